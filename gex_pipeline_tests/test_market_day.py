"""A simulated market day from the socket to the replay: recorded, compacted, verified, replayed.

At 60 market seconds a second and with the market's small form. Here the day begins at 15:57, so
that its close and the roll to the next date come within seconds; GEX_MARKET_DAY=09:31 has it whole,
of two underlyings (some 15 minutes: the engine skips no second and falls behind).
"""

import datetime
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gex_pipeline.archive.day import end_of_day
from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.hot.clockstore import read_clock
from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.hot.lease import read_status
from gex_pipeline.hot.session import session_keys
from gex_pipeline.hot.tape import tape_end
from gex_pipeline.lake.clean import clean
from gex_pipeline.lake.parts import Manifest, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.events import Event, GexSecond, GexStrikes
from gex_pipeline.market.sessions import et_ns, next_trading_day
from gex_pipeline_tests.streamer.stage import Stage, staged

DATE = datetime.date(2026, 11, 24)
BEGINS = os.environ.get("GEX_MARKET_DAY", "15:57")
WHOLE = BEGINS != "15:57"
ORIGIN = Origin(source="simulator", mode="simulated", tape="")
PATIENCE_S = 2400.0 if WHOLE else 60.0
MEMORY_MB = 1024 if WHOLE else 128
"""What waits for the engine waits in the hot store."""
CODE = "from gex_pipeline.cli import main; main()"
SMALL = {
    "GEX_SIMULATOR_SPEED": "60",
    "GEX_SIMULATOR_CONTRACTS": "2000" if WHOLE else "400",
    "GEX_SIMULATOR_RATE": "100",
    "SCHWAB_SYMBOL_LIMIT": "500",
    **({"GEX_SYMBOLS": "SPX,SPY"} if WHOLE else {}),
}
FEEDS = ("schwab.cme", "schwab.equity", "schwab.index")
FIGURES = ("gex.equity", "gex.index")


def archive_until(stage: Stage, holds: Callable[[], object], what: str) -> None:
    """Archive step by step, as Dagster does, until it holds; fail when it never does."""
    source = HotSource(stage.client, stage.keys, stage.root / "spool")
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s, f"never: {what}"
        archive(source, LakePaths(stage.root), source.tapes(), origin=ORIGIN, now_s=0.0)
        time.sleep(5.0 if WHOLE else 0.5)


def rolled(stage: Stage) -> bool:
    """Whether the market stands in the next trading date."""
    if not stage.client.exists(stage.keys.clock()):
        return False
    now_ns = read_clock(stage.client, stage.keys).now_ns(time.monotonic_ns())
    return now_ns > et_ns(next_trading_day(DATE), 9, 31)


def sent(stage: Stage) -> bool:
    """Whether nothing of the tapes waits in the spool for want of memory."""
    told = read_status(stage.client, stage.keys, "streamer").get("senders", "[]")
    return not any(each["held"] for each in json.loads(told))


def caught_up(stage: Stage) -> bool:
    """Whether the engine has read every tape to its end."""
    engine = read_status(stage.client, stage.keys, "engine")
    return all(
        engine.get(f"position:{tape}") == str(tape_end(stage.client, stage.keys.tape(tape)))
        for tape in ("schwab.equity", "schwab.index")
    )


def gex(root: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours over a root."""
    return subprocess.run(  # noqa: S603 # our own interpreter
        [sys.executable, "-c", CODE, *arguments],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "GEX_DATA_DIR": str(root.parent),
            "GEX_SOURCE": "simulator",
            "GEX_REDIS_URL": url,
            **({"GEX_SYMBOLS": SMALL["GEX_SYMBOLS"]} if WHOLE else {}),
        },
        capture_output=True,
        text=True,
        check=False,
        cwd=root.parent,
    )


def kept(events: Iterator[Event]) -> dict[tuple[Any, ...], Event]:
    """Return figures by what they are of, without their numbers on the tape."""
    found: dict[tuple[Any, ...], Event] = {}
    for event in events:
        if isinstance(event, GexSecond | GexStrikes):
            key = (type(event).__name__, event.symbol, event.scope, event.ts_recv_ns)
            assert key not in found, key
            found[key] = msgspec.structs.replace(event, seq=0)
    return found


def record(stage: Stage) -> None:
    """Stream and compute until the date is over and every second of it is on the tape."""
    stage.start("simulate", "--start", f"{DATE}T{BEGINS}", **SMALL)
    streamer = stage.start("stream", **SMALL)
    engine = stage.start("engine", **SMALL)
    archive_until(stage, lambda: rolled(stage), "the next trading date")
    stage.control("hold")
    archive_until(stage, lambda: sent(stage), "a sender that has sent all")
    streamer.send_signal(signal.SIGTERM)
    assert streamer.wait(30) == 0
    archive_until(stage, lambda: caught_up(stage), "an engine at the end of the tapes")
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(30) == 0


def compact(stage: Stage, paths: LakePaths) -> None:
    """Archive everything, end the day and clean up; nothing of the date is left in parts."""
    source = HotSource(stage.client, stage.keys, stage.root / "spool")
    done = archive(source, paths, source.tapes(), origin=ORIGIN, now_s=0.0)
    assert done is not None
    assert sum(each.lost for each in done) == 0
    finished = end_of_day(source, paths, et_ns(next_trading_day(DATE), 9, 40))
    assert finished is not None
    assert finished.problems == ()
    for now_s in (0.0, 1e11):  # marked, and gone as if the grace were over
        clean(paths, now_s, grace_s=0.0)
    for tape in (*FEEDS, *FIGURES):
        nodes = [node for node in read_chain(paths, tape).nodes if node.date == DATE]
        assert [type(node) for node in nodes] == [Manifest], tape


def archived(paths: LakePaths) -> Iterator[Event]:
    """Yield what the engine recorded of the date."""
    for tape in FIGURES:
        for stretch in recorded(paths, read_chain(paths, tape)):
            if stretch.session_date == DATE:
                yield from stretch.events


def computed_again(stage: Stage, session: str) -> Iterator[Event]:
    """Yield what the engine computed in a replay."""
    for tape in FIGURES:
        entries: Any = stage.client.xrange(session_keys(session).tape(tape))
        for _, fields in entries:
            yield from decode_frame(fields[b"f"]).events


@pytest.mark.timeout(3600)
def test_a_market_day_is_recorded_compacted_verified_and_replayed(tmp_path: Path) -> None:
    """The ledger closes over day files, and every replayed figure equals the live one."""
    with staged(tmp_path, MEMORY_MB) as stage:
        paths = LakePaths(stage.root)
        record(stage)
        compact(stage, paths)

        verified = gex(stage.root, stage.url, "verify", "--date", str(DATE), "--json")
        assert verified.returncode == 0, verified.stdout[:2000] + verified.stderr
        report = json.loads(verified.stdout)
        assert (report["closes"], report["capture"]) == (True, "closes")

        options = ("--speed", "max", "--session", "day")
        replay = gex(stage.root, stage.url, "replay", str(DATE), *options)
        assert replay.returncode == 0, replay.stdout + replay.stderr
        live, again = kept(archived(paths)), kept(computed_again(stage, "day"))
    seconds = {key[3] for key in live if key[0] == "GexSecond"}
    print(f"{len(live):,} figures of {len(seconds):,} seconds")  # noqa: T201 # for whoever runs the day
    assert len(seconds) > 150
    assert again == live
