"""Exposure by strike over days and years: the chain images of the lake, sketched one by one.

Memory holds a row group of images at a time, however many days are asked for. The bytes of an image
are another edge's format, so who calls says how they are opened (gateway/sketches.py joins both).
"""

import datetime
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa

from gex_pipeline.exposure.sketch import Columns, Listing, Sketch, list_contracts, sketch
from gex_pipeline.lake.files import LakeFile
from gex_pipeline.lake.groups import groups_of
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import look
from gex_pipeline.market.tables import CHAIN_1M

_COLUMNS: Final = ("symbol", "ts_recv_ns", "spot", "image")


class Opened(Protocol):
    """An image as its owner opens it."""

    @property
    def asof_ns(self) -> int:
        """The moment of its figures."""
        ...

    @property
    def columns(self) -> Columns:
        """A number a contract."""
        ...

    def contracts(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return OCC symbols and settlements."""
        ...

    def lists_as(self, other: Any) -> bool:
        """Return whether the contracts are those of another image, in the same order."""
        ...


def sketches(
    paths: LakePaths,
    symbol: str,
    opened: Callable[[Any], Opened],
    *,
    start: datetime.date | None = None,
    end: datetime.date | None = None,
) -> Iterator[Sketch]:
    """Yield the exposure by strike of each minute's image of these session dates, in order.

    Raises:
        LakeError: the lake cannot be listed.
        CodecError: an image is none that `opened` knows.
    """
    listing, of = None, None
    for file in _files(paths, start, end):
        for ts_ns, spot, data in _images(file, symbol):
            image = opened(data)
            if listing is None or of is None or not image.lists_as(of):
                listing, of = list_contracts(symbol, *image.contracts()), image
            yield _sketched(symbol, ts_ns, spot, image, listing)


def _sketched(
    symbol: str, ts_ns: int, spot: float | None, image: Opened, listing: Listing
) -> Sketch:
    price = np.nan if spot is None else spot
    return sketch(symbol, ts_ns, price, image.asof_ns, listing, image.columns)


def _files(
    paths: LakePaths, start: datetime.date | None, end: datetime.date | None
) -> list[LakeFile]:
    files = look(paths, (CHAIN_1M.name,)).of((CHAIN_1M.name,))
    low, high = start or datetime.date.min, end or datetime.date.max
    return [file for file in files if low <= file.date <= high]


def _images(file: LakeFile, symbol: str) -> Iterator[tuple[int, float | None, Any]]:
    """Yield the symbol's images of a file: time, spot, and a view of the bytes."""
    groups = groups_of(file.path)
    for group in groups.where(subject=symbol):
        rows = groups.read([group], _COLUMNS)
        columns = [rows[name].to_pylist() for name in ("symbol", "ts_recv_ns", "spot")]
        for name, ts_ns, spot, data in zip(*columns, _views(rows["image"]), strict=True):
            if name == symbol:
                yield ts_ns, spot, data


def _views(column: pa.ChunkedArray) -> Iterator[pa.Buffer]:
    """Yield the bytes of each row where they are: a scalar of them would be a copy."""
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        ends = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        for start, end in pairwise(ends.tolist()):
            yield data.slice(start, end - start)
