"""A recorded market that several tests break copies of."""

import datetime
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from gex_pipeline.archive.day import end_of_day
from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.archive.uncommitted import hot_frames
from gex_pipeline.archive.verify import Places, newest_date, verify
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.sessions import et_ns
from gex_pipeline_tests.streamer.stage import staged, wait_until
from gex_pipeline_tests.streamer.test_run import is_streaming

ORIGIN = Origin(source="simulator", mode="simulated", tape="")


class Recording(NamedTuple):
    """Roots of one recorded market."""

    kept: Path
    """Half in parts, half in the spool."""
    finished: Path
    """All of it in day files."""


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Some market minutes: streamed, half of it archived, killed in the middle, ended, finished.

    The first streamer is killed; the archive commits what it left; the second one ends cleanly, and
    what it has streamed lies in the spool. Then the archive takes that too and the day ends.
    """
    folder = tmp_path_factory.mktemp("stage")
    kept = Recording(folder / "kept", folder / "finished")
    with staged(folder) as stage:
        paths = LakePaths(stage.root)
        stage.start("simulate", GEX_SIMULATOR_SPEED="60", GEX_SIMULATOR_RATE="40")
        first = stage.start("stream")
        wait_until(lambda: is_streaming(stage, 5_000), "5,000 items")
        first.kill()
        first.wait()
        source = HotSource(stage.client, stage.keys, stage.root / "spool")
        assert archive(source, paths, source.tapes(), origin=ORIGIN, now_s=0.0) is not None
        second = stage.start("stream")
        wait_until(lambda: stage.status().get("pid") == str(second.pid), "the second streamer")
        wait_until(lambda: is_streaming(stage, 5_000), "5,000 items more")
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
        hot = hot_frames(stage.client, stage.keys)
        live = Places(paths, stage.root / "spool", stage.root / "capture", hot)
        date = newest_date(live)
        assert date is not None
        assert verify(live, date).closes
        _copy(stage.root, kept.kept)
        assert archive(source, paths, source.tapes(), origin=ORIGIN, now_s=0.0) is not None
        done = end_of_day(source, paths, et_ns(date + datetime.timedelta(days=1), 12))
        assert done is not None
        assert len(done.manifests) == 3
        _copy(stage.root, kept.finished)
    return kept


def _copy(root: Path, to: Path) -> None:
    shutil.copytree(root, to, ignore=shutil.ignore_patterns("hot", "lock"))
