"""Raw capture: what a source sent, as it came, in checksummed files that can be read back.

    <root>/capture/<New York date>/<stamp of the first frame>-<number>.cap

A file is a run of blocks, each written by one call and compressed on its own:

    magic 4 | crc 4 | payload size 4 | frames 4 | payload (zstd of a msgpack array of frames)

The checksum covers all that follows it and starts from a number of its own, so zeros are no block.
A kill tears the last block at most, and the reader ends there. Frames are numbered without a hole
from the start of their process (`run`): a missing number is a missing frame.
"""

import datetime
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
import zstandard

from gex_pipeline.market.sessions import et_datetime

SUFFIX = ".cap"
MAGIC = b"\xf7GXC"
MAX_PAYLOAD = 256 * 1024 * 1024
ZSTD_LEVEL = 3

_HEADER = struct.Struct("<4sIII")
_CHECKED_FROM = 8
_CRC_SEED = 0x67657863
_MAX_RAW = 1 << 30
_PIECE = 1 << 20

Kind = Literal["stream", "chain", "repeated", "missing", "quotes", "end"]
"""stream: a text frame of the socket. chain: an answer of a chain. repeated: one that was cut short
and asked for again. missing: a window of a chain that could not be had. quotes: an answer of
quotes, asked for while the stream was down. end: the recorder closed
after its last frame; without it the recorder stopped or was killed."""


class WireFrame(msgspec.Struct, frozen=True, array_like=True):
    """One frame as it came, with what we know of it."""

    run: int
    """Market time at which the process that recorded it began."""
    number: int
    """Its place in the run, from 1."""
    ts_recv_ns: int
    """The stamp that its events carry."""
    connection: int
    """Which of the run's connections it came by, from 1; 0: asked for by REST."""
    kind: Kind
    data: bytes
    symbol: str = ""
    """Whose chain it is; of quotes all that were asked for, by comma."""
    first: datetime.date | None = None
    """First expiry that was asked for."""
    last: datetime.date | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[WireFrame])


def encode_block(frames: Sequence[WireFrame], compressor: zstandard.ZstdCompressor) -> bytes:
    """Return the bytes of a block."""
    payload = compressor.compress(_encoder.encode(frames))
    header = _HEADER.pack(MAGIC, 0, len(payload), len(frames))
    crc = zlib.crc32(payload, zlib.crc32(header[_CHECKED_FROM:], _CRC_SEED))
    return b"".join((MAGIC, crc.to_bytes(4, "little"), header[_CHECKED_FROM:], payload))


def read_capture(
    folder: Path, *, from_ns: int | None = None, to_ns: int | None = None
) -> Iterator[WireFrame]:
    """Yield the captured frames in the order in which they came, of a stretch of market time.

    `folder` is <root>/capture. A frame that is just being written is not seen; a damaged block is
    stepped over, and the numbers of the frames show it.
    """
    paths = capture_files(folder)
    for path, following in zip(paths, [*paths[1:], None], strict=True):
        if to_ns is not None and _start_ns(path) > to_ns:
            return
        if from_ns is not None and following is not None and _start_ns(following) < from_ns:
            continue
        for frame in read_file(path):
            if (from_ns is None or frame.ts_recv_ns >= from_ns) and (
                to_ns is None or frame.ts_recv_ns <= to_ns
            ):
                yield frame


def capture_files(folder: Path) -> list[Path]:
    """Return the capture's files, oldest first."""
    return sorted(folder.glob(f"*/*{SUFFIX}"), key=lambda path: path.name)


def read_file(path: Path) -> Iterator[WireFrame]:
    """Yield the frames of one file, block by block."""
    try:
        file = path.open("rb")
    except FileNotFoundError:  # the oldest go when the capture has its size
        return
    with file:
        start, size = 0, path.stat().st_size
        while 0 <= start < size:
            payload = _payload(file, start)
            if payload is None:
                start = _next_magic(file, start + 1)
                continue
            yield from _frames(payload)
            start += _HEADER.size + len(payload)


def capture_path(folder: Path, ts_ns: int, number: int) -> Path:
    """Return the file that begins with a frame of that time; names sort as the frames do."""
    return folder / str(et_datetime(ts_ns).date()) / f"{ts_ns:020d}-{number:06d}{SUFFIX}"


def _payload(file: BinaryIO, start: int) -> bytes | None:
    """Return what the block that starts there holds; None: no whole, undamaged block does."""
    file.seek(start)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    magic, crc, size, _ = _HEADER.unpack(header)
    if magic != MAGIC or not 0 < size <= MAX_PAYLOAD:
        return None
    payload = file.read(size)
    checked = zlib.crc32(payload, zlib.crc32(header[_CHECKED_FROM:], _CRC_SEED))
    return payload if len(payload) == size and checked == crc else None


def _frames(payload: bytes) -> list[WireFrame]:
    raw = zstandard.ZstdDecompressor().decompress(payload, max_output_size=_MAX_RAW)
    return _decoder.decode(raw)


def _next_magic(file: BinaryIO, start: int) -> int:
    """Return where the next block may start, from here on; -1: nowhere."""
    file.seek(start)
    kept = b""
    while piece := file.read(_PIECE):
        found = (kept + piece).find(MAGIC)
        if found >= 0:
            return start - len(kept) + found
        start += len(piece)
        kept = piece[-len(MAGIC) + 1 :]
    return -1


def _start_ns(path: Path) -> int:
    return int(path.stem.partition("-")[0])
