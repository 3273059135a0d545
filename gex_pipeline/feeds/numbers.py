"""Numbers as vendors write them, turned into columns; what is no number becomes NaN."""

import math
import re
from collections.abc import Sequence
from typing import cast

import numpy as np

from gex_pipeline.market.arrays import Floats, Ints

Number = float | str | None
"""A vendor's number: JSON sources also write null, "NaN" or "--"."""

_MS_LIMIT = 4_102_444_800_000  # the year 2100, in milliseconds: no quote is younger
_NS_PER_MS = 1_000_000
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


def number(value: Number) -> float:
    """Return the number exactly as written, "1,234.5" included; NaN for anything else."""
    if value is None:
        return math.nan
    if isinstance(value, str) and _THOUSANDS.fullmatch(value.strip()):
        value = value.replace(",", "")
    try:
        return float(value)
    except ValueError:
        return math.nan


def floats(values: Sequence[Number]) -> Floats:
    """Return `number` of every value; fast where all of them are plain numbers."""
    try:
        plain = map(float, cast("Sequence[float | str]", values))
        return np.fromiter(plain, np.float64, len(values))
    except (TypeError, ValueError):
        return np.fromiter(map(number, values), np.float64, len(values))


def ns_of_milliseconds(values: Sequence[Number]) -> Ints:
    """Return UTC nanoseconds of milliseconds since 1970; 0 for what is no time before 2100."""
    milliseconds = floats(values)
    known = (milliseconds > 0) & (milliseconds < _MS_LIMIT)
    return np.where(known, milliseconds, 0.0).astype(np.int64) * _NS_PER_MS
