"""A reader sees each event once, in order, and hears of every hole."""

import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import redis

from gex_pipeline.errors import FrameError
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.frame import Frame, Position, encode_frame
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.tape import FIELD, START, Hole, TapeReader, floor_of, trim
from gex_pipeline_tests.hot.builders import MONDAY, TAPE, eventually, kill, trades


def put(client: redis.Redis, keys: Keys, first: int, last: int, epoch: int = 1) -> Frame:
    """Add a frame to the tape, as a sender does."""
    events = tuple(
        msgspec.structs.replace(event, seq=seq)
        for seq, event in enumerate(trades(last - first + 1), first)
    )
    frame = Frame(TAPE, epoch, first, last, MONDAY, events)
    client.xadd(keys.tape(TAPE), {FIELD: encode_frame(frame)}, id=str(frame.position))
    return frame


def spans(items: Sequence[Frame | Hole]) -> list[tuple[str, int, int]]:
    """What was read, in short."""
    return [(type(item).__name__, item.first_seq, item.last_seq) for item in items]


def test_frames_behind_a_position(client: redis.Redis, keys: Keys) -> None:
    """From the oldest, from the middle, from the end; so many at a time."""
    frames = [put(client, keys, first, first + 4) for first in (1, 6, 11)]
    reader = TapeReader(client, keys, TAPE)

    assert reader.read() == frames
    assert reader.read(count=2) == frames[:2]
    assert reader.read(Position(1, 5)) == frames[1:]
    assert reader.read(Position(1, 15)) == []
    assert reader.end() == Position(1, 15)


def test_an_empty_tape(client: redis.Redis, keys: Keys) -> None:
    """Nothing to read, no end; an owner may start at 1."""
    reader = TapeReader(client, keys, TAPE)

    assert (reader.read(), reader.end(), floor_of(client, keys, TAPE)) == ([], None, START)


def test_events_that_were_read_are_left_out(client: redis.Redis, keys: Keys) -> None:
    """Of a frame that overlaps, the new events; of one inside, nothing."""
    put(client, keys, 1, 5)
    put(client, keys, 3, 8, epoch=2)
    put(client, keys, 2, 7, epoch=3)
    put(client, keys, 9, 9, epoch=4)

    frames = TapeReader(client, keys, TAPE).read()

    assert spans(frames) == [("Frame", 1, 5), ("Frame", 6, 8), ("Frame", 9, 9)]
    assert [event.seq for event in frames[1].events] == [6, 7, 8]


def test_holes_are_named(client: redis.Redis, keys: Keys) -> None:
    """Between frames and behind the position; the oldest frame of all has none before it."""
    put(client, keys, 11, 15)
    put(client, keys, 21, 22, epoch=2)
    reader = TapeReader(client, keys, TAPE)

    assert spans(reader.read_checked()) == [("Frame", 11, 15), ("Hole", 16, 20), ("Frame", 21, 22)]
    assert spans(reader.read_checked(Position(1, 4)))[0] == ("Hole", 5, 10)


def test_trimming_stops_where_it_is_told(client: redis.Redis, keys: Keys) -> None:
    """No entry behind the position goes, not even one that starts before it."""
    for first in (1, 6, 11):
        put(client, keys, first, first + 4)

    assert trim(client, keys, TAPE, Position(1, 8)) == 1
    assert spans(TapeReader(client, keys, TAPE).read()) == [("Frame", 6, 10), ("Frame", 11, 15)]
    assert trim(client, keys, TAPE, Position(1, 15)) == 2
    assert floor_of(client, keys, TAPE) == Position(1, 15)


def test_what_is_no_frame_of_the_tape_is_refused(client: redis.Redis, keys: Keys) -> None:
    """Other bytes, and a frame under an id that is not its own."""
    reader = TapeReader(client, keys, TAPE)
    frame = put(client, keys, 1, 5)
    client.xadd(keys.tape(TAPE), {FIELD: encode_frame(frame)}, id="1-9")
    with pytest.raises(FrameError, match="1-9"):
        reader.read()
    client.xadd(keys.tape(TAPE), {b"x": b"y"}, id="2-1")
    with pytest.raises(FrameError, match="no field f"):
        reader.read(Position(1, 9))


def test_following_survives_the_server(
    own_server: EmbeddedServer, keys: Keys, tmp_path: Path
) -> None:
    """Frames come as they are written, over a kill -9 of the server, until the stop."""
    stop, seen = threading.Event(), list[Frame | Hole]()
    with connect(own_server.url) as client, connect(own_server.url) as writer:
        reader = TapeReader(client, keys, TAPE)
        collector = threading.Thread(target=lambda: seen.extend(reader.follow(None, stop)))
        collector.start()
        try:
            put(writer, keys, 1, 5)
            assert eventually(lambda: len(seen) == 1)
            kill(own_server, tmp_path)
            own_server.start(tmp_path, own_server.port)
            put(writer, keys, 8, 9)
            assert eventually(lambda: len(seen) == 3)
        finally:
            stop.set()
            collector.join()
    assert spans(seen) == [("Frame", 1, 5), ("Hole", 6, 7), ("Frame", 8, 9)]
