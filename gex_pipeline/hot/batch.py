"""Batches of events as bytes: msgpack, compressed where that saves something.

Frames carry one, and so does each entry of `ticks:` and `options:` in its field `e`.
"""

import threading
from collections.abc import Sequence

import msgspec
import zstandard

from gex_pipeline.errors import CodecError
from gex_pipeline.market.codec import (
    EventHead,
    decode_events,
    encode_events,
    join_events,
    split_events,
)
from gex_pipeline.market.events import Event

BATCH_FIELD = b"e"
COMPRESS_ABOVE = 20
"""Events in a batch that is compressed; in a smaller one it saves nothing."""

LEVEL = -2
"""Of the compression: a tenth of the bytes more than at 1, and a fifth of its time less."""

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
"""Its first byte begins no array of msgpack."""
_MAX_SIZE = 64 * 1024 * 1024


class _Coders(threading.local):
    """Compressor and decompressor of one thread: neither may be shared."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_coders = _Coders()


def pack_events(events: Sequence[Event]) -> bytes:
    """Return the bytes of a batch.

    Raises:
        CodecError: an event holds what no event may.
    """
    return pack_batch(encode_events(events), len(events))


def pack_batch(data: bytes, count: int) -> bytes:
    """Return the bytes of a batch of so many events that is encoded already."""
    return _coders.compressor.compress(data) if count > COMPRESS_ABOVE else data


def pack_parts(parts: Sequence[msgspec.Raw]) -> bytes:
    """Return the bytes of a batch of events that were encoded already."""
    return pack_batch(join_events(parts), len(parts))


def unpack_events(data: bytes) -> list[Event]:
    """Return the events of a batch.

    Raises:
        CodecError: other bytes, or events of another schema version.
    """
    return decode_events(plain_batch(data))


def unpack_parts(data: bytes) -> tuple[list[EventHead], list[msgspec.Raw]]:
    """Return the heads of a batch's events, and their bytes.

    Raises:
        CodecError: other bytes, or events of another schema version.
    """
    return split_events(plain_batch(data))


def plain_batch(data: bytes) -> bytes:
    """Return a batch as msgpack, decompressed where it is compressed.

    Raises:
        CodecError: another compression.
    """
    if not data.startswith(_ZSTD_MAGIC):
        return data
    try:
        return _coders.decompressor.decompress(data, max_output_size=_MAX_SIZE)
    except zstandard.ZstdError as error:
        raise CodecError(f"their compression is not ours: {error}") from error
