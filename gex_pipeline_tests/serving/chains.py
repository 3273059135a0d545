"""The engine's chains in the hot store: what is folded on request is folded from them."""

import pytest
import redis

from gex_pipeline.exposure.lane import Second
from gex_pipeline.exposure.live import Image
from gex_pipeline.hot.chains import encode_image
from gex_pipeline.market.events import Event
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.engine.builders import beat, feed, lane_of, quote_of, told
from gex_pipeline_tests.gateway.market import KEYS
from gex_pipeline_tests.synthetic import ASOF_NS, synthetic_chain

CHAIN = synthetic_chain(600, 6)


def seconds(count: int = 2) -> list[Second]:
    """Return the first seconds of a market whose quotes move."""
    lane, found = lane_of("SPX"), []
    found += feed(lane, told(CHAIN))
    for at in range(1, count + 1):
        now = ASOF_NS + at * SECOND_NS + 1
        events: list[Event] = [quote_of(CHAIN, at, now, streamed=True), beat(now)]
        found += feed(lane, events)
    return found


def put_chain(store: redis.Redis, image: Image) -> None:
    """Store a chain as the engine does."""
    store.set(KEYS.chain(image.symbol), encode_image(image))


@pytest.fixture
def image(store: redis.Redis) -> Image:
    """The stored chain of a complete second, half a second ago."""
    image = seconds()[0].images[0]
    put_chain(store, image)
    return image
