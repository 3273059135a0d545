"""Batches of events as columns, without an object per value: msgpack read by numpy.

A batch is `[version, [[tag, field, …], …]]`. Rows are found by what no other bytes begin with (size
of the array, tag); then field after field is read of all rows of a kind at once. All of it must fit
together to the byte: each row ends where the next one starts, numbers are dense, or the batches
are `Unfit` and go through the typed decoder. So do the rows of kinds with lists, dates or bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from gex_pipeline.archive.msgpack import Array, Column, UnfitError, bools, numbers, texts, window
from gex_pipeline.lake.columns import schema_of
from gex_pipeline.market.codec import SCHEMA_VERSION
from gex_pipeline.market.events import KINDS, Event, tag_of
from gex_pipeline.market.tables import EVENT_TABLES

PADDING: Final = bytes(16)
"""Behind the last batch: every read of some bytes stays inside."""
_SHORT: Final = 16
"""Items from which on an array has a longer head."""
_READ: Final[dict[pa.DataType, Callable[[Array, Array], Column]]] = {
    pa.float64(): lambda data, place: numbers(data, place, np.float64),
    pa.int64(): lambda data, place: numbers(data, place, np.int64),
    pa.string(): texts,
    pa.bool_(): bools,
}


class Batches(NamedTuple):
    """Batches one after the other, decompressed, and what their frames say of them."""

    data: bytes
    ends: Array
    """Where each batch ends."""
    first_seqs: Array
    counts: Array
    """Events of each batch."""


class _Rows(NamedTuple):
    kinds: Array
    """Place in KINDS."""
    starts: Array
    stops: Array


def columns_of(batches: Batches) -> dict[type[Event], pa.Table]:
    """Return the events as columns by the names of their fields, each kind in order of seq.

    Raises:
        UnfitError: read them by the typed decoder and `columns_of_events`.
    """
    data = np.frombuffer(batches.data + PADDING, dtype=np.uint8)
    rows = _rows(data, batches)
    found: dict[type[Event], pa.Table] = {}
    for place, kind in enumerate(KINDS):
        mine = np.flatnonzero(rows.kinds == place)
        if mine.size:
            read = _plain_table if _is_plain(kind) else _other_table
            found[kind] = read(data, kind, rows.starts[mine], rows.stops[mine])
    _check_seqs(batches, rows, found)
    return found


def columns_of_events(events: Sequence[Event]) -> dict[type[Event], pa.Table]:
    """Return the same of decoded events."""
    by_kind: dict[type[Event], list[Event]] = {}
    for event in events:
        by_kind.setdefault(type(event), []).append(event)
    return {kind: _table_of(kind, each) for kind, each in by_kind.items()}


# --- where the rows are ---------------------------------------------------------------------------


def _rows(data: Array, batches: Batches) -> _Rows:
    heads = _heads(data)
    places = [_places(data, heads, _marker(kind)) for kind in KINDS]
    starts = np.concatenate(places)
    kinds = np.repeat(np.arange(len(KINDS)), [each.size for each in places])
    order = np.argsort(starts, kind="stable")
    starts, kinds = starts[order], kinds[order]
    if starts.size != batches.counts.sum():
        raise UnfitError
    last = np.cumsum(batches.counts) - 1
    stops = np.append(starts[1:], 0)
    stops[last] = batches.ends
    _check_firsts(data, batches, starts[np.append(0, last[:-1] + 1)])
    return _Rows(kinds, starts, stops)


def _heads(data: Array) -> Array:
    """Return where a row may start: an array's head, and behind it the head of a short text."""
    this, following = data[:-1], data[1:]
    short = ((this & 0xF0) == 0x90) & ((following & 0xF0) == 0xA0)
    return np.flatnonzero(short | ((this == 0xDC) & (following == 0)))


def _places(data: Array, heads: Array, marker: bytes) -> Array:
    """Return where a marker stands; its last letter is compared first: few others are like it."""
    found = heads[heads < data.size - len(marker)]
    found = found[data[found + (len(marker) - 1)] == marker[-1]]
    whole: Array = found[window(data, f"S{len(marker)}")[found] == marker]
    return whole


@cache
def _marker(kind: type[Event]) -> bytes:
    size, tag = len(kind.__struct_fields__) + 1, msgspec.msgpack.encode(tag_of(kind))
    head = bytes([0x90 | size]) if size < _SHORT else b"\xdc" + size.to_bytes(2, "big")
    return head + tag


def _check_firsts(data: Array, batches: Batches, starts: Array) -> None:
    """See that each batch's first row stands behind a head of this version."""
    heads = np.append(0, batches.ends[:-1])
    sizes = np.where(batches.counts < _SHORT, 3, 5)
    if not ((starts - heads == sizes).all() and (data[heads + 1] == SCHEMA_VERSION).all()):
        raise UnfitError


def _check_seqs(batches: Batches, rows: _Rows, found: Mapping[type[Event], pa.Table]) -> None:
    """See that the events are numbered as their frames say."""
    seqs = np.empty(rows.starts.size, dtype=np.int64)
    for place, kind in enumerate(KINDS):
        if kind in found:
            seqs[rows.kinds == place] = found[kind]["seq"].to_numpy()
    before = np.cumsum(batches.counts) - batches.counts
    dense = np.repeat(batches.first_seqs - before, batches.counts) + np.arange(seqs.size)
    if not (seqs == dense).all():
        raise UnfitError


# --- the rows of one kind -------------------------------------------------------------------------


@cache
def _is_plain(kind: type[Event]) -> bool:
    """Return whether all fields are numbers, texts or yes and no."""
    types = (schema_of(EVENT_TABLES[tag_of(kind)]).field(n).type for n in kind.__struct_fields__)
    return all(each in _READ for each in types)


def _plain_table(data: Array, kind: type[Event], starts: Array, stops: Array) -> pa.Table:
    schema = schema_of(EVENT_TABLES[tag_of(kind)])
    columns, place = {}, starts + len(_marker(kind))
    for name in kind.__struct_fields__:
        columns[name], place = _READ[schema.field(name).type](data, place)
    if not (place == stops).all():
        raise UnfitError
    return pa.table(columns)


def _other_table(data: Array, kind: type[Event], starts: Array, stops: Array) -> pa.Table:
    """Return the rows of a kind by the typed decoder."""
    pieces = [data[a:b].tobytes() for a, b in zip(starts, stops, strict=True)]
    head = b"\xdd" + len(pieces).to_bytes(4, "big")
    try:
        events = _decoder(kind).decode(head + b"".join(pieces))
    except msgspec.DecodeError as error:
        raise UnfitError from error
    return _table_of(kind, events)


@cache
def _decoder(kind: type[Event]) -> Any:
    return msgspec.msgpack.Decoder(list[kind])  # type: ignore[valid-type] # a value, not a name


def _table_of(kind: type[Event], events: Sequence[Any]) -> pa.Table:
    schema = schema_of(EVENT_TABLES[tag_of(kind)])
    return pa.table(
        {
            name: pa.array([getattr(event, name) for event in events], schema.field(name).type)
            for name in kind.__struct_fields__
        }
    )
