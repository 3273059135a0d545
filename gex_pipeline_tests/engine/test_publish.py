"""What readers get of images: the newest of each scope, whichever an image was folded for."""

from typing import Any

import msgspec

from gex_pipeline.engine.publish import Publisher
from gex_pipeline.exposure.live import Image
from gex_pipeline.exposure.moment import BY_STRIKE, PUBLISHED, figures
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.engine.builders import feed, lane_of, told
from gex_pipeline_tests.engine.conftest import Market
from gex_pipeline_tests.synthetic import ASOF_NS, synthetic_chain


def images() -> tuple[Image, Image]:
    """Return an underlying at the end of a second and half a second after it."""
    lane = lane_of("SPX")
    feed(lane, told(synthetic_chain(400, 4)))
    image = lane.preview("SPX", ASOF_NS)
    assert image is not None
    later = {"asof_ns": ASOF_NS + SECOND_NS // 2, "ts_recv_ns": ASOF_NS + SECOND_NS // 2}
    return image, msgspec.structs.replace(image, **later)


def test_a_small_preview_leaves_the_other_scopes_to_the_complete_second(market: Market) -> None:
    """Each scope has its own newest: a second that comes behind a preview still brings the rest."""
    publisher = Publisher(market.store, market.keys)
    second, preview = images()

    publisher.snapshots(preview, figures(preview, BY_STRIKE, final=False))
    publisher.snapshots(second, figures(second, PUBLISHED, final=True))

    stored: Any = {
        scope: msgspec.json.decode(market.store.get(market.keys.gex("SPX", scope)))  # type: ignore[arg-type] # a client that waits gives bytes
        for scope in PUBLISHED
    }
    assert {scope for scope in PUBLISHED if not stored[scope]["final"]} == set(BY_STRIKE)
    assert {stored[scope]["ts_event_ns"] for scope in BY_STRIKE} == {preview.asof_ns}
    assert publisher.published == 2
