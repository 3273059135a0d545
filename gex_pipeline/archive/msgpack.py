"""Msgpack read by columns: one field of many rows at once, from wherever each row stands.

Every reader takes the bytes and each row's place in them, and returns the values as an Arrow array
and the places behind. What it does not know raises UnfitError.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa

Array = np.ndarray[Any, Any]
Column = tuple[pa.Array, Array]
"""Values of a field, and where each row goes on."""

_NIL, _FALSE, _TRUE = 0xC0, 0xC2, 0xC3
_FIRST_CODE, _LAST_CODE = 0x80, 0xDF
"""Of the bytes that say what follows; all others are small numbers themselves."""
_FLOATS: Final = {0xCA: ">f4", 0xCB: ">f8"}
_INTS: Final = {
    0xCC: ">u1",
    0xCD: ">u2",
    0xCE: ">u4",
    0xCF: ">u8",
    0xD0: ">i1",
    0xD1: ">i2",
    0xD2: ">i4",
    0xD3: ">i8",
}
_NUMBERS: Final = {"f": _INTS | _FLOATS, "i": _INTS}
"""What a column of floats or of whole numbers may hold: 5.0 is no whole number."""
_SIZES: Final = {0xD9: ">u1", 0xDA: ">u2", 0xDB: ">u4"}
"""Of texts longer than 31 bytes."""
_SHORT_TEXT, _LAST_SHORT_TEXT = 0xA0, 0xBF


class UnfitError(ValueError):
    """These bytes are not to be read in this way."""


def window(data: Array, dtype: str) -> Array:
    """Return the value of a type at every byte; the last ones are left out."""
    size = np.dtype(dtype).itemsize
    return np.ndarray(data.size - size + 1, dtype, data, strides=(1,))


def numbers(data: Array, place: Array, dtype: Any) -> Column:
    """Read numbers or nil."""
    known = _NUMBERS[np.dtype(dtype).kind]
    code = data[place]
    if code[0] in known and (code == code[0]).all():
        read = window(data, known[code[0]])
        return pa.array(read[place + 1].astype(dtype)), place + (1 + read.itemsize)
    values = code.view(np.int8).astype(dtype)  # small numbers, negative ones too, are their byte
    valid, sizes = np.ones(code.size, dtype=bool), np.ones(code.size, dtype=np.int64)
    for each in _codes(code):
        mine = np.flatnonzero(code == each)
        if each == _NIL:
            valid[mine] = False
            continue
        if each not in known:
            raise UnfitError(f"{each:#x} is no number")
        read = window(data, known[each])
        values[mine] = read[place[mine] + 1]
        sizes[mine] += read.itemsize
    return _nullable(values, valid), place + sizes


def bools(data: Array, place: Array) -> Column:
    """Read yes, no or nil."""
    code = data[place]
    if not np.isin(code, (_NIL, _FALSE, _TRUE)).all():
        raise UnfitError("neither yes nor no")
    return _nullable(code == _TRUE, code != _NIL), place + 1


def texts(data: Array, place: Array) -> Column:
    """Read texts or nil."""
    code = data[place]
    short = (code >= _SHORT_TEXT) & (code <= _LAST_SHORT_TEXT)
    sizes, heads = np.where(short, code & 31, 0).astype(np.int64), np.ones(code.size, np.int64)
    for each in _codes(code[~short]):
        mine = np.flatnonzero(code == each)
        if each == _NIL:
            continue
        if each not in _SIZES:
            raise UnfitError(f"{each:#x} is no text")
        read = window(data, _SIZES[each])
        sizes[mine] = read[place[mine] + 1]
        heads[mine] += read.itemsize
    if not (short | np.isin(code, (_NIL, *_SIZES))).all():
        raise UnfitError("no text")
    start = place + heads
    return _strings(data, start, sizes, code != _NIL), start + sizes


def _codes(code: Array) -> list[int]:
    """Return the bytes that say what follows, each once."""
    present = np.flatnonzero(np.bincount(code, minlength=256))
    return [int(each) for each in present if _FIRST_CODE <= each <= _LAST_CODE]


def _nullable(values: Array, valid: Array) -> pa.Array:
    return pa.array(values) if valid.all() else pa.array(values, mask=~valid)


def _strings(data: Array, start: Array, sizes: Array, valid: Array) -> pa.Array:
    offsets = np.append(0, np.cumsum(sizes))
    if (sizes == sizes[0]).all():
        rows = np.ndarray((data.size - int(sizes[0]) + 1, int(sizes[0])), np.uint8, data, 0, (1, 1))
        letters = rows[start]
    else:
        letters = data[np.repeat(start - offsets[:-1], sizes) + np.arange(offsets[-1])]
    return pa.StringArray.from_buffers(
        start.size,
        pa.py_buffer(offsets.astype(np.int32)),
        pa.py_buffer(np.ascontiguousarray(letters)),
        None if valid.all() else pa.array(valid).buffers()[1],
    )
