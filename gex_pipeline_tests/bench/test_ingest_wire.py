"""What the ingest bench sends: the production decoder makes of it what the reader expects."""

import datetime
from collections import Counter, defaultdict

import msgspec

from gex_pipeline.feeds.schwab.decode import Decoder
from gex_pipeline.feeds.schwab.stream import read_frame
from gex_pipeline_tests.bench.ingest_wire import CONTRACTS, ITEMS, SHARES, make_wire

TODAY = datetime.date(2026, 11, 25)
FRAMES = 60


def test_the_feed_is_what_it_says() -> None:
    """Images of twenty fields, deltas of four, in the order of the tapes that they come to."""
    wire = make_wire(TODAY, FRAMES)
    decoder = Decoder()
    found: dict[str, list[str]] = defaultdict(list)
    keys: dict[str, set[str]] = defaultdict(set)
    fields = Counter[int]()
    for number, text in enumerate((*wire.images, *wire.deltas)):
        frame = read_frame(text)
        assert frame is not None
        items = 0
        for block in frame.data:
            for item in msgspec.json.decode(block.content):
                keys[block.service].add(item["key"])
                fields[sum(name.isdigit() for name in item)] += number >= len(wire.images)
                items += 1
            for calendar, event in decoder.events(block, 1):
                found[calendar].append(event.symbol)
        assert number < len(wire.images) or items == ITEMS

    both = {name: wire.of_images[name] + wire.of_deltas[name] for name in wire.of_images}
    assert found == both
    assert {name: len(names) for name, names in keys.items()} == {
        "LEVELONE_OPTIONS": CONTRACTS,
        "LEVELONE_EQUITIES": len(SHARES),
    }
    assert +fields == {4: FRAMES * ITEMS}
    assert not decoder.drain()
