"""The fast way from a tape's bytes to columns: the same as by way of events, or a refusal."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gex_pipeline.archive.msgpack import UnfitError
from gex_pipeline.archive.wire import Batches, columns_of, columns_of_events
from gex_pipeline.market.codec import encode_events
from gex_pipeline.market.events import KINDS, ChainImage, Event, tag_of
from gex_pipeline_tests.archive.builders import event
from gex_pipeline_tests.market.test_codec import events, events_of


def numbered(given_events: Sequence[Event], first: int = 1) -> list[Event]:
    """Return the events with dense seqs."""
    return [replace(each, seq=seq) for seq, each in enumerate(given_events, first)]


def batches(*parts: Sequence[Event]) -> Batches:
    """Return the batches of these events."""
    encoded = [encode_events(part) for part in parts]
    return Batches(
        b"".join(encoded),
        np.cumsum([len(data) for data in encoded]),
        np.array([part[0].seq for part in parts]),
        np.array([len(part) for part in parts]),
    )


def assert_same(found: dict[type[Event], pa.Table], told: Sequence[Event]) -> None:
    """See that both ways give the same columns."""
    expected = columns_of_events(told)
    assert set(found) == set(expected)
    for kind, columns in expected.items():
        assert found[kind].combine_chunks().equals(columns.combine_chunks()), tag_of(kind)


@given(st.lists(st.lists(events, min_size=1, max_size=20), min_size=1, max_size=4))
def test_both_ways_give_the_same(parts: list[list[Event]]) -> None:
    """All kinds, all values that a field may hold, in batches of all sizes."""
    told: list[Event] = []
    for part in parts:
        told += numbered(part, len(told) + 1)
    ends = np.cumsum([len(part) for part in parts]).tolist()
    cut = [told[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    assert_same(columns_of(batches(*cut)), told)


@pytest.mark.parametrize("kind", KINDS, ids=tag_of)
def test_every_kind_is_read(kind: type[Event]) -> None:
    """One kind alone, many rows of it."""

    @given(st.lists(events_of(kind), min_size=1, max_size=40))
    def same(given_events: list[Event]) -> None:
        told = numbered(given_events)
        assert_same(columns_of(batches(told)), told)

    same()


def test_bytes_that_look_like_a_row_are_told_apart() -> None:
    """An image that holds a whole batch: what does not fit together is refused, not guessed."""
    inside = encode_events([event(2), event(6)])
    told = numbered(
        [event(2), ChainImage(symbol="SPX", ts_event_ns=1, ts_recv_ns=1, positions="{}",
                              contracts=1, image=inside), event(4)]
    )  # fmt: skip

    with pytest.raises(UnfitError):
        columns_of(batches(told))


@pytest.mark.parametrize("seqs", [(1, 2, 4), (2, 1, 3), (2, 3, 4)])
def test_numbers_must_be_those_of_the_frame(seqs: tuple[int, ...]) -> None:
    """A frame that says 1 to 3 and holds others is not read."""
    good = batches([event(1), event(2), event(3)])
    bad = batches([event(seq) for seq in seqs])

    with pytest.raises(UnfitError):
        columns_of(bad._replace(first_seqs=good.first_seqs))


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_flipped_byte_is_another_value_or_a_refusal(place: int, value: int) -> None:
    """It never raises anything else, whatever the bytes are."""
    whole = batches([event(seq) for seq in range(1, 10)])
    data = bytearray(whole.data)
    data[place % len(data)] = value

    try:
        found = columns_of(whole._replace(data=bytes(data)))
    except UnfitError:
        return
    assert sum(columns.num_rows for columns in found.values()) == 9
