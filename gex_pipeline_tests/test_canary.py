"""The search for leaked secrets finds one wherever a run can write it."""

import datetime
import logging
import sqlite3
from pathlib import Path

import pytest

from gex_pipeline.hot.spool import Spool
from gex_pipeline.market.events import Gap
from gex_pipeline_tests.canary import CLIENT_SECRET, REFRESH_TOKEN, Listener, leaks

DAY = datetime.date(2026, 11, 20)


def spooled(folder: Path, cause: str) -> None:
    """Spool enough events with a text that their frame is compressed."""
    spool = Spool.open(folder, "schwab.index", fsync_ms=50)
    spool.append(
        [Gap("", 1, 1, ts_from_ns=0, ts_to_ns=1, cause=f"{cause}{n}") for n in range(100)], DAY
    )
    spool.close()


@pytest.mark.parametrize("secret", [CLIENT_SECRET, REFRESH_TOKEN, "sim-access.1763.x.y.z"])
def test_a_secret_is_found_in_every_kind_of_file(tmp_path: Path, secret: str) -> None:
    """Text, a database and a compressed spool; not where tokens belong."""
    (tmp_path / "streamer.log").write_text(f"Authorization: Bearer {secret}\n")
    (tmp_path / "harmless.log").write_text("Authorization: Bearer …\n")
    with sqlite3.connect(tmp_path / "runs.db") as database:
        database.execute("create table events (text)")
        database.execute("insert into events values (?)", [secret])
    database.close()
    spooled(tmp_path / "spool", f"x {secret}")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "schwab_token.json").write_text(secret)
    (tmp_path / ".env.back").write_text(secret)

    found = list(leaks(tmp_path))

    assert [Path(name).suffix for name in found] == [".db", ".seg", ".log"]
    for path in (tmp_path / name for name in found):
        path.unlink()  # the run itself is searched in the same way at its end


def test_a_logged_secret_is_found() -> None:
    """By where it was logged, without showing it."""
    log, listener = logging.Logger("apart"), Listener()
    log.addHandler(listener)

    log.debug("token %s", REFRESH_TOKEN)
    log.debug("token %s", "…")

    assert len(listener.leaks) == 1
    assert REFRESH_TOKEN not in listener.leaks[0]
