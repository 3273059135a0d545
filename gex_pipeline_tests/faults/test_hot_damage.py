"""Damaged spools: a torn end is cut, damage before it is named to the seq and told on the tape."""

import tempfile
from pathlib import Path

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from gex_pipeline.hot.frame import decode_frame, read_header
from gex_pipeline.hot.holes import SpoolHole
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.segment import list_segments
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.telling import tell_holes
from gex_pipeline.market.events import Gap
from gex_pipeline_tests.faults.history import exactly_once, in_spool, on_tape
from gex_pipeline_tests.hot.builders import (
    MONDAY,
    NOW_NS,
    TAPE,
    eventually,
    newest_segment,
    trade,
    trades,
)

SECOND_NS = 1_000_000_000


def fill(folder: Path, frames: int = 30, size: int = 5) -> None:
    """Write a spool of several segments, a frame a second, and close it."""
    with Spool.open(folder, TAPE, segment_bytes=1_200) as spool:
        for number in range(frames):
            spool.append([trade(ts_ns=NOW_NS + number * SECOND_NS)] * size, MONDAY)


def flip(folder: Path, seq: int, place: float = 0.5) -> None:
    """Flip a bit of the frame that holds a seq, wherever it is, at a share of its length."""
    for segment in list_segments(folder):
        data = bytearray(segment.path.read_bytes())
        start = 0
        while header := read_header(bytes(data), start):
            if header.first_seq <= seq <= header.last_seq:
                data[start + int(place * (header.size - 1))] ^= 4
                segment.path.write_bytes(data)
                return
            start += header.size
    raise AssertionError(f"no frame holds {seq}")


def surveyed(spool: Spool) -> Spool:
    """The spool, once all that was left is looked through."""
    assert eventually(lambda: spool.state().surveyed)
    return spool


def gaps(spool: Spool) -> list[Gap]:
    """The gaps that stand in a spool."""
    events = [event for data in spool.read_after(0) for event in decode_frame(data).events]
    return [event for event in events if isinstance(event, Gap)]


@settings(max_examples=60, deadline=None)
@given(
    tail=st.one_of(
        st.integers(1, 64).map(bytes),
        st.sampled_from([4_096, 100_000]).map(bytes),
        st.binary(min_size=1, max_size=200),
        st.binary(max_size=60).map(lambda noise: b"\xf7GX1" + noise),
    ),
    cut=st.integers(0, 400),
)
def test_any_tail_is_cut(tail: bytes, cut: int) -> None:
    """Zeros, noise, half a frame with noise behind it: what is whole stays, numbers go on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, frames=4)
        path = newest_segment(folder)
        data = path.read_bytes()
        path.write_bytes(data[: max(len(data) - cut, 0)] + tail)
        with Spool.open(folder, TAPE) as spool:
            last_seq, found = spool.last_seq, in_spool(spool)
            assert exactly_once(found, len(found)) == ""
            assert len(found) == 20 if cut == 0 else len(found) in (0, 5, 10, 15)
            assert last_seq in (len(found), len(found) + 5)  # a frame of full length was numbered
            assert spool.append(trades(1), MONDAY).first_seq == last_seq + 1
            assert in_spool(spool) == [*found, (TAPE, 1, last_seq + 1)]


def test_a_damaged_last_frame_keeps_its_numbers(tmp_path: Path) -> None:
    """It may have been sent before it was damaged: its numbers are not given again."""
    fill(tmp_path)
    flip(tmp_path, 150, 0.9)

    with Spool.open(tmp_path, TAPE) as spool:
        assert spool.append(trades(1), MONDAY).first_seq == 151


@pytest.mark.parametrize("seq", [3, 7, 71, 98, 133])
def test_a_flipped_byte_is_named_and_told_once(
    client: redis.Redis, keys: Keys, tmp_path: Path, seq: int
) -> None:
    """In any segment, at the start of a frame, in it and at its end: this frame, nothing else."""
    fill(tmp_path)
    flip(tmp_path, seq, seq / 150)
    first = (seq - 1) // 5 * 5 + 1
    hole = SpoolHole(first, first + 4, "damaged", 1)

    with surveyed(Spool.open(tmp_path, TAPE)) as spool:
        assert spool.holes.open == (hole,)
        Sender(client, keys, spool).pump()
        assert spool.state().holes == (hole,)
        assert tell_holes(spool, NOW_NS + 60 * SECOND_NS, MONDAY) == 1
        Sender(client, keys, spool).pump()
        told = gaps(spool)
    with surveyed(Spool.open(tmp_path, TAPE)) as spool:
        Sender(client, keys, spool).pump()
        assert tell_holes(spool, NOW_NS + 61 * SECOND_NS, MONDAY) == 0
        assert gaps(spool) == told
        assert spool.state().holes == (hole,)

    (gap,) = told
    before, after = max(first // 5 - 1, 0), first // 5 + 1
    assert (gap.cause, gap.first_seq, gap.last_seq) == ("damaged", first, first + 4)
    assert gap.ts_to_ns == NOW_NS + after * SECOND_NS
    assert gap.ts_from_ns == (NOW_NS + before * SECOND_NS if first > 1 else gap.ts_to_ns)
    found = on_tape(client, keys, TAPE)
    assert exactly_once([who for who in found if who[2] < first], first - 1) == ""
    assert exactly_once([who for who in found if who[2] > first], 151, first + 5) == ""


def test_what_the_server_still_holds_is_no_gap(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """The events had been sent before the byte flipped."""
    fill(tmp_path)
    with Spool.open(tmp_path, TAPE) as spool:
        Sender(client, keys, spool).pump()
    flip(tmp_path, 33)

    with surveyed(Spool.open(tmp_path, TAPE)) as spool:
        assert [(h.first_seq, h.last_seq) for h in spool.holes.open] == [(31, 35)]
        Sender(client, keys, spool).pump()
        assert (spool.untold(), spool.holes.open) == ((), ())
    assert exactly_once(on_tape(client, keys, TAPE), 150) == ""


def test_what_the_archive_has_is_no_gap_and_not_looked_through(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """Behind the archive's cursor nobody reads the spool any more."""
    fill(tmp_path)
    flip(tmp_path, 33)
    flip(tmp_path, 123)

    with surveyed(Spool.open(tmp_path, TAPE, archived_seq=100)) as spool:
        assert [(h.first_seq, h.last_seq) for h in spool.holes.open] == [(121, 125)]
        Sender(client, keys, spool, cursor=lambda: 123).pump()
        assert [(h.first_seq, h.last_seq) for h in spool.untold()] == [(124, 125)]


def test_a_segment_that_is_gone_is_a_hole(tmp_path: Path) -> None:
    """Whole, between two others."""
    fill(tmp_path)
    _, lost, after = list_segments(tmp_path)[:3]
    lost.path.unlink()

    with surveyed(Spool.open(tmp_path, TAPE)) as spool:
        (hole,) = spool.holes.open
        assert (hole.first_seq, hole.last_seq) == (lost.base_seq, after.base_seq - 1)


def test_damage_while_running_is_told_too(client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    """A frame that is damaged before the sender comes to it."""
    with surveyed(Spool.open(tmp_path, TAPE)) as spool:
        for _ in range(6):
            spool.append(trades(5), MONDAY)
        flip(tmp_path, 12)
        sender = Sender(client, keys, spool)
        sender.pump()
        assert sender.state().damaged_bytes > 0
        Sender(client, keys, spool).pump()
        assert tell_holes(spool, NOW_NS, MONDAY) == 1
        (gap,) = gaps(spool)

    assert (gap.first_seq, gap.last_seq) == (11, 15)


def test_past_retention_segments_go_when_it_is_told(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """Not archived, not on the server: the gap names what was not archived, then the files go.

    The last of a date waits until what follows it is old too.
    """
    days = [MONDAY.replace(day=day) for day in (5, 6, 7, 8, 9, 12)]
    with Spool.open(tmp_path, TAPE, segment_bytes=1) as spool:
        for day in days:
            spool.append(trades(5), day)
        sender = Sender(client, keys, spool, cursor=lambda: 3, retention_days=4)
        sender.pump()
        client.delete(keys.tape(TAPE))
        sender = Sender(client, keys, spool, cursor=lambda: 3, retention_days=4)
        sender.pump()
        kept = len(list_segments(tmp_path))
        client.flushall()
        again = Sender(client, keys, spool, cursor=lambda: 3, retention_days=4)
        again._tidy()
        told = tell_holes(spool, NOW_NS, days[-1])
        again._tidy_at = 0.0
        again._tidy()

        assert (kept, told) == (6, 1)
        assert [(g.cause, g.first_seq, g.last_seq) for g in gaps(spool)] == [("expired", 4, 10)]
        assert list_segments(tmp_path)[0].base_seq == 11
