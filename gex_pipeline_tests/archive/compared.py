"""A recorded half hour of a date: the chain images of two underlyings, as live keeps them."""

from pathlib import Path

from gex_pipeline.archive.day import end_of_day
from gex_pipeline.engine.record import chain_images
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market import sessions
from gex_pipeline.market.events import ChainImage, Event
from gex_pipeline_tests.archive.builders import MemorySource
from gex_pipeline_tests.engine.builders import S, beat, numbered, told
from gex_pipeline_tests.gateway.recording import OWN, archive, live_seconds
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

HALF_HOUR = 1800 * S
SPX = synthetic_chain(300, 3)
LATER_SPX = synthetic_chain(300, 3, spot=6030.0)
NDX = synthetic_chain(200, 2, spot=20_000.0, symbol="NDX", seed=2)


def images() -> list[ChainImage]:
    """Return those of SPX at 10:30 and 11:00, of NDX at 10:45 and 11:00, and a minute later.

    A tape that is silent for longer has no images.
    """
    later = ASOF_NS + HALF_HOUR
    events: list[Event] = told(SPX)
    events += [*told(NDX, ASOF_NS + 900 * S), *told(LATER_SPX, later), beat(later + 65 * S)]
    seconds = live_seconds(numbered(events), "SPX", "NDX")
    found = [event for second in seconds for event in chain_images(second)]
    return [event for event in found if isinstance(event, ChainImage)]


def record(root: Path, events: list[ChainImage]) -> LakePaths:
    """Commit images as parts."""
    archive(root, OWN, numbered(list(events)), part_events=400)
    return LakePaths(root)


def finish(paths: LakePaths) -> None:
    """End the date."""
    done = end_of_day(MemorySource([]), paths, sessions.et_ns(DAY, 18))
    assert done is not None
    assert [each.date for each in done.manifests] == [DAY]
