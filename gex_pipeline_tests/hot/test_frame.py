"""A frame comes back equal or not at all."""

import datetime

import pytest

from gex_pipeline.errors import FrameError
from gex_pipeline.hot.frame import Frame, Position, decode_frame, encode_frame, position_of
from gex_pipeline.hot.frame import read_header as header_of
from gex_pipeline_tests.hot.builders import MONDAY, TAPE, option, trade


def frame(count: int, first: int = 11) -> Frame:
    """A frame of option quotes."""
    events = tuple(
        type(event)(**{n: getattr(event, n) for n in event.__struct_fields__} | {"seq": seq})
        for seq, event in enumerate(map(option, range(count)), first)
    )
    return Frame(TAPE, 3, first, first + count - 1, MONDAY, events)


@pytest.mark.parametrize("count", [1, 20, 21, 256])
def test_a_frame_comes_back_equal(count: int) -> None:
    """Small ones as they are, larger ones compressed."""
    sent = frame(count)

    data = encode_frame(sent)

    assert decode_frame(data) == sent
    header = header_of(data)
    assert header is not None
    assert (header.tape, header.size, header.position) == (TAPE, len(data), (3, 10 + count))


def test_any_damaged_byte_is_found() -> None:
    """Magic, header, tape and payload: no flipped bit passes."""
    data = encode_frame(frame(2))

    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        with pytest.raises(FrameError):
            decode_frame(bytes(damaged))


def test_zeros_are_no_frame() -> None:
    """The tail that a power cut leaves, of any length."""
    for size in range(200):
        assert header_of(bytes(size)) is None


def test_a_cut_frame_is_none() -> None:
    """At every length below its own, and with a byte too many."""
    data = encode_frame(frame(2))

    assert all(header_of(data[:size]) is None for size in range(len(data)))
    with pytest.raises(FrameError):
        decode_frame(data + b"x")


@pytest.mark.parametrize("count", [0, 257])
def test_a_frame_has_1_to_256_events(count: int) -> None:
    """No more, and never none."""
    with pytest.raises(FrameError, match="events"):
        encode_frame(frame(count))


def test_events_are_numbered_from_first_to_last() -> None:
    """A frame whose events say other seqs than its header is refused when it is written."""
    with pytest.raises(FrameError, match="numbered"):
        encode_frame(Frame(TAPE, 1, 1, 1, datetime.date(2026, 1, 5), (trade(),)))


def test_a_position_is_an_entrys_id() -> None:
    """As text and back; other text is none."""
    assert str(Position(2, 17)) == "2-17"
    assert position_of(b"2-17") == Position(2, 17)
    with pytest.raises(FrameError, match="no position"):
        position_of("start")
