"""Frames: a batch of events as bytes, the same in the spool and in the tape.

    magic 4 | crc 4 | payload size 4 | count 2 | format 1 | tape size 1 | epoch 8 | first 8 |
    date 4 | tape | payload

Numbers are little-endian. The checksum covers all that follows it and starts from a number of its
own, and no frame is empty: zeros, which a power cut leaves at a file's end, are never a frame.
"""

import datetime
import struct
import zlib
from typing import NamedTuple

import msgspec

from gex_pipeline.errors import FrameError
from gex_pipeline.hot.batch import pack_events, unpack_events
from gex_pipeline.market.events import Event

MAX_EVENTS = 256
MAX_PAYLOAD = 16 * 1024 * 1024
MAGIC = b"\xf7GX1"

_HEADER = struct.Struct("<4sIIHBBQQI")
HEADER_SIZE = _HEADER.size
_CRC = struct.Struct("<I")
_CHECKED_FROM = 8
_LAST_DAY = datetime.date.max.toordinal()
_CRC_SEED = 0x67657831
_FORMAT = 1


class Position(NamedTuple):
    """A place on a tape: after the event `seq` of the owner `epoch`."""

    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"


def position_of(text: str | bytes) -> Position:
    """Return the position of an entry's id, `<epoch>-<seq>`."""
    epoch, _, seq = (text.decode() if isinstance(text, bytes) else text).partition("-")
    try:
        return Position(int(epoch), int(seq))
    except ValueError as error:
        raise FrameError(f"{text!r} is no position") from error


class Frame(msgspec.Struct, frozen=True):
    """Events first_seq to last_seq of a tape, all of one session date."""

    tape: str
    epoch: int
    first_seq: int
    last_seq: int
    session_date: datetime.date
    events: tuple[Event, ...]

    @property
    def position(self) -> Position:
        """Where a reader stands that has read the frame; as text, the entry's id."""
        return Position(self.epoch, self.last_seq)


class FrameHeader(NamedTuple):
    """What stands before a frame's events."""

    tape: str
    epoch: int
    first_seq: int
    last_seq: int
    session_date: datetime.date
    size: int
    """Bytes of the whole frame."""
    payload_start: int

    @property
    def position(self) -> Position:
        """Where a reader stands that has read the frame."""
        return Position(self.epoch, self.last_seq)


def encode_frame(frame: Frame) -> bytes:
    """Return the frame's bytes; whoever decodes them gets an equal frame.

    Raises:
        CodecError: an event holds what no event may.
        FrameError: no events, too many, or their seqs are not first_seq to last_seq.
    """
    _check_events(frame)
    return encode_packed(
        frame.tape,
        frame.position,
        len(frame.events),
        frame.session_date,
        pack_events(frame.events),
    )


def encode_packed(
    tape: str, position: Position, count: int, session_date: datetime.date, payload: bytes
) -> bytes:
    """Return the bytes of the frame of so many events up to a position, packed already.

    Raises:
        FrameError: no events, too many, or more bytes than a frame holds.
    """
    _check_count(count)
    if len(payload) > MAX_PAYLOAD:
        raise FrameError(f"its events take {len(payload)} bytes, and {MAX_PAYLOAD} is the most")
    name = tape.encode()
    header = _HEADER.pack(
        MAGIC,
        0,
        len(payload),
        count,
        _FORMAT,
        len(name),
        position.epoch,
        position.seq - count + 1,
        session_date.toordinal(),
    )
    crc = zlib.crc32(payload, zlib.crc32(header[_CHECKED_FROM:] + name, _CRC_SEED))
    return b"".join((MAGIC, crc.to_bytes(4, "little"), header[_CHECKED_FROM:], name, payload))


def read_header(data: bytes | memoryview, start: int = 0) -> FrameHeader | None:
    """Return the header of the frame that starts there, its checksum verified.

    None: no whole, undamaged frame starts there.
    """
    header = claimed_header(data, start)
    if header is None:
        return None
    (crc,) = _CRC.unpack_from(data, start + len(MAGIC))
    checked = memoryview(data)[start + _CHECKED_FROM : start + header.size]
    return header if zlib.crc32(checked, _CRC_SEED) == crc else None


def claimed_header(data: bytes | memoryview, start: int = 0) -> FrameHeader | None:
    """Return what says of itself that it is a whole frame; its checksum may be wrong."""
    if len(data) - start < HEADER_SIZE:
        return None
    magic, _, payload_size, count, form, tape_size, epoch, first, day = _HEADER.unpack_from(
        data, start
    )
    tape_end = start + HEADER_SIZE + tape_size
    end = tape_end + payload_size
    if (
        (magic, form) != (MAGIC, _FORMAT)
        or not (count and payload_size and 0 < day <= _LAST_DAY and tape_size)
        or end > len(data)
    ):
        return None
    return FrameHeader(
        bytes(data[start + HEADER_SIZE : tape_end]).decode(errors="replace"),
        epoch,
        first,
        first + count - 1,
        datetime.date.fromordinal(day),
        end - start,
        tape_end - start,
    )


def decode_frame(data: bytes) -> Frame:
    """Return the frame of its bytes.

    Raises:
        FrameError: damaged bytes, or more or less than one frame.
        CodecError: events of another schema version.
    """
    header = read_header(data)
    if header is None or header.size != len(data):
        raise FrameError("its checksum or its length is wrong")
    frame = Frame(
        header.tape,
        header.epoch,
        header.first_seq,
        header.last_seq,
        header.session_date,
        tuple(unpack_events(data[header.payload_start :])),
    )
    _check_events(frame)
    return frame


def _check_events(frame: Frame) -> None:
    events = frame.events
    _check_count(len(events))
    dense = events[0].seq == frame.first_seq and events[-1].seq == frame.last_seq
    if not dense or frame.last_seq - frame.first_seq + 1 != len(events) or frame.first_seq < 1:
        raise FrameError("its events are not numbered from its first seq to its last")


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_EVENTS:
        raise FrameError(f"it has {count} events, and 1 to {MAX_EVENTS} make a frame")
