"""Events to bytes and back: msgpack arrays for the tape, JSON objects for people.

What is encoded here can be decoded here: a batch that no reader could read is refused when it is
written, not when it is needed. Compression, checksums and framing belong to the tape.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from gex_pipeline.errors import CodecError
from gex_pipeline.market.events import KINDS, Event, tag_of

SCHEMA_VERSION = 4
"""Of the events' fields and of the batch around them; each batch starts with it."""
OLDEST_VERSION = 1
"""What is still read: fields that it lacks take their defaults."""


Row = list[Any]
"""An event as the array that it is on the wire, its values not looked at yet."""
SEQ = 4
"""Where its number stands in a row."""


class _Batch(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    events: list[Event]


class _Version(msgspec.Struct, frozen=True, array_like=True):
    version: int


class EventHead(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What all kinds of an encoded event begin with."""

    kind: str
    """The event's tag."""
    symbol: str
    ts_event_ns: int
    ts_recv_ns: int
    seq: int
    source_seq: int | None = None
    first_field: Any = None
    """The first of its kind's own: an option's underlying."""


class _Heads(msgspec.Struct, frozen=True, array_like=True):
    version: int
    events: list[EventHead]


class _Parts(msgspec.Struct, frozen=True, array_like=True):
    version: int
    events: list[msgspec.Raw]


_EVENTS: Any = list[Event]
_encoder = msgspec.msgpack.Encoder()
_head_decoder = msgspec.msgpack.Decoder(_Heads)
_part_decoder = msgspec.msgpack.Decoder(_Parts)
_event_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_decoder = msgspec.msgpack.Decoder(_Batch)
_version_decoder = msgspec.msgpack.Decoder(_Version)
_json_encoder = msgspec.json.Encoder()
_json_decoder = msgspec.json.Decoder(dict[str, Any])
_BATCH = b"\x92" + _encoder.encode(SCHEMA_VERSION)
"""How every batch begins: an array of two, and the version."""
_kinds = {tag_of(kind): kind for kind in KINDS}


def encode_events(events: Sequence[Event]) -> bytes:
    """Return a batch of events as one msgpack array: [version, [event, …]].

    Raises:
        CodecError: an event holds what no event may, such as NaN or a time before 1970.
    """
    try:
        data = _encoder.encode((SCHEMA_VERSION, events))
    except (TypeError, ValueError, OverflowError) as error:
        raise CodecError(str(error)) from error
    decode_events(data)
    return data


def row_of(event: Event) -> Row:
    """Return the row of an event.

    Raises:
        CodecError: it holds what no event may.
    """
    try:
        row: Row = msgspec.to_builtins(event)
    except (TypeError, ValueError, OverflowError) as error:
        raise CodecError(str(error)) from error
    return row


def encode_rows(rows: Sequence[Row]) -> tuple[list[Event], bytes]:
    """Return the events of rows, and the batch of them; half the work of `encode_events`.

    Raises:
        CodecError: a row holds what no event may.
    """
    try:
        events = msgspec.convert(rows, _EVENTS)
        return events, _encoder.encode((SCHEMA_VERSION, events))
    except (TypeError, ValueError, OverflowError) as error:
        raise CodecError(str(error)) from error


def event_of(row: Row) -> Event:
    """Return the event of a row.

    Raises:
        CodecError: it holds what no event may.
    """
    return encode_rows([row])[0][0]


def batch_of_rows(rows: bytes, count: int) -> bytes:
    """Return the batch of events that are encoded already, each as the array that it is."""
    return b"".join((_BATCH, _array(count), rows))


def decode_events(data: bytes | memoryview) -> list[Event]:
    """Return the events of a batch, equal to those encoded.

    Raises:
        CodecError: other bytes, another schema version, or a value that its field may not hold.
    """
    try:
        batch = _decoder.decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise CodecError(_reason(data, error)) from error
    if not OLDEST_VERSION <= batch.version <= SCHEMA_VERSION:
        raise CodecError(_other_version(batch.version))
    return batch.events


def split_events(data: bytes) -> tuple[list[EventHead], list[msgspec.Raw]]:
    """Return the heads of a batch's events and their bytes, which costs little.

    Raises:
        CodecError: other bytes, or another schema version.
    """
    try:
        heads, parts = _head_decoder.decode(data), _part_decoder.decode(data)
    except msgspec.DecodeError as error:
        raise CodecError(_reason(data, error)) from error
    if not OLDEST_VERSION <= heads.version <= SCHEMA_VERSION:
        raise CodecError(_other_version(heads.version))
    return heads.events, parts.events


def join_events(parts: Sequence[msgspec.Raw]) -> bytes:
    """Return the batch of events that `split_events` took apart."""
    return _encoder.encode((SCHEMA_VERSION, parts))


def decode_event(part: msgspec.Raw) -> Event:
    """Return one event of a batch.

    Raises:
        CodecError: other bytes, or a value that its field may not hold.
    """
    try:
        return _event_decoder.decode(part)
    except (msgspec.DecodeError, ValueError) as error:
        raise CodecError(str(error)) from error


def encode_json(event: Event) -> bytes:
    """Return one event as a JSON object; its kind is the field `type`.

    Raises:
        CodecError: the event holds what no event may.
    """
    try:
        _event_decoder.decode(_encoder.encode(event))  # JSON has no NaN: it would come back as None
        return _json_encoder.encode({"type": tag_of(event)} | msgspec.structs.asdict(event))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise CodecError(str(error)) from error


def decode_json(data: bytes | str) -> Event:
    """Return the event of a JSON object.

    Raises:
        CodecError: no JSON object, an unknown kind or field, or a value that no field may hold.
    """
    try:
        fields = _json_decoder.decode(data)
        tag = fields.pop("type", None)
        kind = _kinds.get(str(tag))
        if kind is None:
            raise CodecError(f"kind {tag!r} is none of {', '.join(_kinds)}")
        return _event_from(kind, fields)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise CodecError(str(error)) from error


def _array(size: int) -> bytes:
    """Return how msgpack begins an array of so many."""
    if size < 16:
        return bytes((0x90 | size,))
    return b"\xdc" + size.to_bytes(2, "big") if size < 65_536 else b"\xdd" + size.to_bytes(4, "big")


def _event_from(kind: type[Event], fields: dict[str, Any]) -> Event:
    """Return the event of named fields, by way of the array that the wire has."""
    values: list[Any] = [tag_of(kind)]
    for name, required, default in _fields_of(kind):
        if required and name not in fields:
            raise CodecError(f"{tag_of(kind)} lacks the field {name}")
        values.append(fields.pop(name, default))
    if fields:
        raise CodecError(f"{tag_of(kind)} has no field {', '.join(fields)}")
    return msgspec.convert(values, kind)


@cache
def _fields_of(kind: type[Event]) -> tuple[tuple[str, bool, Any], ...]:
    """Return name, need and default of each field; to ask msgspec takes as long as a batch."""
    return tuple((f.name, f.required, f.default) for f in msgspec.structs.fields(kind))


def _reason(data: bytes | memoryview, error: Exception) -> str:
    """Return why a batch cannot be read: another version explains more than a field does."""
    try:
        version = _version_decoder.decode(data).version
    except msgspec.DecodeError:
        return str(error)
    known = OLDEST_VERSION <= version <= SCHEMA_VERSION
    return str(error) if known else _other_version(version)


def _other_version(version: int) -> str:
    return f"schema version {version}, and this reads {OLDEST_VERSION} to {SCHEMA_VERSION}"
