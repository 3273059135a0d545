"""Cboe's quote table, CSV and the older .dat: a row per strike and expiry, call left, put right."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from gex_pipeline.errors import ChainFileError
from gex_pipeline.feeds.cboe.cells import split_cells, split_lines
from gex_pipeline.feeds.cboe.header import read_header
from gex_pipeline.feeds.cboe.layout import Layout, find_layout
from gex_pipeline.feeds.cboe.symbols import read_symbols
from gex_pipeline.feeds.numbers import floats
from gex_pipeline.feeds.sieve import canonical_symbol
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.chain import OptionChain

_Rows = Sequence[Sequence[str]]
_BLANK = " \t,"
_LONG_NUMBER = re.compile(r"\d{4}")


def read_table(data: bytes) -> OptionChain:
    """Return the chain of a quote table, whichever of the known headers it has.

    Contracts come row by row, the call before the put; a cell that is no number is NaN. The table
    has no quote times.

    Raises:
        ChainFileError: no table, a header without a column that we need, no row, or a last row
            that is cut off.
    """
    lines = split_lines(data)
    layout = find_layout(lines)
    header = read_header(lines[: layout.at])
    rows = _rows(lines[layout.at + 1 :], layout)
    contracts = read_symbols(
        [text.strip() for text in _pairs(rows, layout, "symbol")],
        _doubled(rows, layout.contract.get("expiry")),
        _doubled(rows, layout.contract.get("strike")),
    )
    usable = contracts.usable
    return OptionChain(
        symbol=canonical_symbol(None, contracts.root[usable]),
        source=header.source,
        spot=header.spot,
        ts_source_ns=header.ts_source_ns,
        root=contracts.root[usable],
        expiry=contracts.expiry[usable],
        right=contracts.right[usable],
        strike=contracts.strike[usable],
        bid=_numbers(rows, layout, "bid")[usable],
        ask=_numbers(rows, layout, "ask")[usable],
        iv=_numbers(rows, layout, "iv")[usable],
        gamma=_numbers(rows, layout, "gamma")[usable],
        open_interest=_numbers(rows, layout, "open_interest")[usable],
        volume=_numbers(rows, layout, "volume")[usable],
        ts_quote_ns=np.zeros(usable.sum(), np.int64),
        settlement=np.full(usable.sum(), "", "U1"),
        dropped=contracts.dropped,
    )


def _rows(lines: Sequence[str], layout: Layout) -> _Rows:
    """Return the cells of every row that is not blank, each at least as wide as the header."""
    rows = [split_cells(line) for line in lines if line.strip(_BLANK)]
    while rows and not lines[-1] and _is_remark(rows[-1], layout.width):
        rows.pop()
    if not rows:
        raise ChainFileError("a table with a header and no rows")
    if _is_cut(rows[-1], layout.width, ended=not lines[-1]):
        raise ChainFileError(f"a table that stops in the middle of row {len(rows):,}")
    return [row if len(row) == layout.width else _fitted(row, layout) for row in rows]


def _is_remark(row: Sequence[str], width: int) -> bool:
    """Return whether a line under the table is words, such as a disclaimer: no date, no symbol."""
    return len(row) < width / 2 and not _LONG_NUMBER.search(" ".join(row))


def _is_cut(row: Sequence[str], width: int, *, ended: bool) -> bool:
    """Return whether the last row is a part: columns are missing, or it ends at a comma."""
    return len(row) < width or not (ended or row[width - 1].strip())


def _fitted(row: list[str], layout: Layout) -> list[str]:
    """Return a row filled up with blanks; all blank if it has too many cells to tell their columns.

    A comma inside a number, "1,234", would move every number after it to a wrong column.
    """
    if any(cell.strip() for cell in row[layout.most :]):
        return [""] * layout.width
    return row + [""] * (layout.width - len(row))


def _pairs(rows: _Rows, layout: Layout, name: str) -> list[str]:
    """Return one field of every contract: of each row the call's, then the put's."""
    sides = layout.call[name], layout.put[name]
    return [row[at] for row in rows for at in sides]


def _numbers(rows: _Rows, layout: Layout, name: str) -> Floats:
    if name not in layout.call:
        return np.full(2 * len(rows), np.nan)
    return floats(_pairs(rows, layout, name))


def _doubled(rows: _Rows, at: int | None) -> list[str]:
    """Return a row's own cell for each of its two contracts; "" without such a column."""
    cells: Iterator[str] = (row[at] for row in rows) if at is not None else ("" for _ in rows)
    return [cell for cell in cells for _ in range(2)]
