"""A recorded market that several tests break copies of."""

import shutil
import signal
from pathlib import Path

import pytest

from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.archive.uncommitted import hot_frames
from gex_pipeline.archive.verify import Places, newest_date, verify
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline_tests.streamer.stage import staged, wait_until
from gex_pipeline_tests.streamer.test_run import is_streaming

ORIGIN = Origin(source="simulator", mode="simulated", tape="")


@pytest.fixture(scope="session")
def recorded_stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of some market minutes: streamed, half of it archived, killed in the middle, ended.

    The first streamer is killed; the archive commits what it left; the second one ends cleanly, and
    what it has streamed lies in the spool.
    """
    folder = tmp_path_factory.mktemp("stage")
    with staged(folder) as stage:
        stage.start("simulate", GEX_SIMULATOR_SPEED="60", GEX_SIMULATOR_RATE="40")
        first = stage.start("stream")
        wait_until(lambda: is_streaming(stage, 5_000), "5,000 items")
        first.kill()
        first.wait()
        source = HotSource(stage.client, stage.keys, stage.root / "spool")
        done = archive(source, LakePaths(stage.root), source.tapes(), origin=ORIGIN, now_s=0.0)
        assert done is not None
        second = stage.start("stream")
        wait_until(lambda: stage.status().get("pid") == str(second.pid), "the second streamer")
        wait_until(lambda: is_streaming(stage, 5_000), "5,000 items more")
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
        hot = hot_frames(stage.client, stage.keys)
        live = Places(LakePaths(stage.root), stage.root / "spool", stage.root / "capture", hot)
        date = newest_date(live)
        assert date is not None
        assert verify(live, date).closes
        shutil.copytree(stage.root, folder / "kept", ignore=shutil.ignore_patterns("hot", "lock"))
    return folder / "kept"
