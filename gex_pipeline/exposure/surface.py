"""The surface: exposure by strike and settlement date, of one scope.

A cell sums the scope's contracts of its strike and date: 0 where they have none of the weight, NaN
where no contract is listed or none has a volatility. Rows and columns add up to the rows of
exposure/breakdown.py, because both sum the same lines.
"""

import datetime
from typing import Final, Literal

import msgspec
import numpy as np

from gex_pipeline.exposure.book import WEIGHTS, Book, make_book
from gex_pipeline.exposure.chain import CALL, MULTIPLIER, PUT, Chain
from gex_pipeline.exposure.convention import GEXC_1, Convention
from gex_pipeline.exposure.figures import no_answer
from gex_pipeline.exposure.greeks import DAYS_PER_YEAR, ONE_PERCENT, sensitivities
from gex_pipeline.exposure.scopes import check_scope, lines_of, scope_groups
from gex_pipeline.exposure.smile import solve_smile
from gex_pipeline.market.arrays import Bools, Floats, Ints

Kind = Literal["gex", "dex", "vex", "cex", "vendor"]
Weight = Literal["open_interest", "volume"]
UNITS: Final[dict[Kind, str]] = {
    "gex": "USD of dealer delta per +1% of spot",
    "dex": "USD of delta",
    "vex": "USD of delta per +1 volatility point",
    "cex": "USD of delta per calendar day",
    "vendor": "USD of dealer delta per +1% of spot, by the vendor's own gamma",
}
SPAN: Final = 0.10
"""Of log strike over spot to each side, unless another is asked for."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which surface."""

    scope: str = "all"
    exposure: Kind = "gex"
    weights: tuple[Weight, ...] = ("open_interest", "volume")
    each_root: bool = False
    """A column per root and expiry, where a date's roots would be summed."""
    span: float | None = SPAN
    """None: all strikes."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A settlement date, or one root of it."""

    date: datetime.date
    roots: tuple[str, ...]
    settle_ns: int
    """UTC nanoseconds; of several roots the last."""


class Cells(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """(strikes, columns), NaN where there is nothing to say."""

    call: Floats
    put: Floats
    net: Floats


class Surface(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One exposure of a scope, a matrix a side and weight."""

    exposure: Kind
    unit: str
    span: float | None
    strikes: Floats
    """Ascending; those that the scope lists."""
    strikes_left_out: int = 0
    """Listed beyond the span."""
    columns: tuple[Column, ...] = ()
    """Ascending."""
    open_interest: Cells | None = None
    volume: Cells | None = None
    null_reasons: dict[Weight, str]
    """Why a weight that was asked for is null."""


class _Lines(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What N lines of the chain expose."""

    line: Ints
    known: Bools
    """(2, N) the call, the put has an exposure."""
    call: Floats
    put: Floats
    net: Floats


class _Grid(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Where the lines of the chain stand."""

    rows: int
    columns: int
    cell: Ints
    """(L,) -1: in none."""

    def sum(self, lines: _Lines) -> Cells:
        """Return the cells' sums."""
        cell = self.cell[lines.line]
        inside = cell >= 0
        cell = cell[inside]

        def total(column: "Floats | Bools") -> Floats:
            sums = np.bincount(cell, weights=column[inside], minlength=self.rows * self.columns)
            return sums.astype(np.float64, copy=False).reshape(self.rows, self.columns)

        calls, puts = total(lines.known[CALL]) > 0, total(lines.known[PUT]) > 0
        return Cells(
            call=np.where(calls, total(lines.call), np.nan),
            put=np.where(puts, total(lines.put), np.nan),
            net=np.where(calls | puts, total(lines.net), np.nan),
        )


def chain_surface(chain: Chain, asked: Asked, convention: Convention = GEXC_1) -> Surface:
    """Return the surface of a chain; without a spot an empty one, and why.

    Raises:
        ConventionError: a scope of an unknown name.
    """
    check_scope(asked.scope)
    if chain.spot > 0:
        return surface(make_book(chain, solve_smile(chain, convention), convention), asked)
    return _without_cells(asked, dict.fromkeys(asked.weights, "no_spot"))


def surface(book: Book, asked: Asked) -> Surface:
    """Return the surface of a book."""
    chain = book.chain
    groups = scope_groups(chain, book.smile.live, asked.scope)
    columns, column_of = _columns(chain, groups, each_root=asked.each_root)
    listed, shown = _strikes(chain, groups, asked.span)
    grid = _grid(chain, groups, column_of, shown, len(columns))
    reasons = {name: _no_answer(book, name, groups, asked) for name in asked.weights}
    return msgspec.structs.replace(
        _without_cells(asked, {name: why for name, why in reasons.items() if why}),
        strikes=chain.strikes[shown],
        strikes_left_out=listed - shown.size,
        columns=columns,
        **{
            name: grid.sum(_lines(book, WEIGHTS.index(name), asked.exposure))
            for name, why in reasons.items()
            if not why
        },
    )


def _without_cells(asked: Asked, reasons: dict[Weight, str]) -> Surface:
    return Surface(
        exposure=asked.exposure,
        unit=UNITS[asked.exposure],
        span=asked.span,
        strikes=np.zeros(0),
        null_reasons=reasons,
    )


def _no_answer(book: Book, weight: Weight, groups: Bools, asked: Asked) -> str | None:
    """Return why there is nothing to sum."""
    if asked.exposure == "vendor" and book.tallies.vendor is None:
        return "no_vendor_gamma"
    reason = no_answer(book, WEIGHTS.index(weight), groups, lines_of(book.start, groups))
    return None if asked.exposure == "vendor" and reason == "no_usable_quotes" else reason


def _columns(chain: Chain, groups: Bools, *, each_root: bool) -> tuple[tuple[Column, ...], Ints]:
    """Return the columns, and (G,) the place of each group's; -1: it is not in the scope."""
    chosen = np.flatnonzero(groups).tolist()
    keys = {
        g: (group.settle_date, *((group.expiry, group.root) if each_root else ()))
        for g, group in ((g, chain.groups[g]) for g in chosen)
    }
    order = sorted(set(keys.values()))
    column_of = np.full(groups.size, -1)
    for g in chosen:
        column_of[g] = order.index(keys[g])
    members = [[chain.groups[g] for g in chosen if keys[g] == key] for key in order]
    columns = tuple(
        Column(
            date=some[0].settle_date,
            roots=tuple(dict.fromkeys(group.root for group in some)),
            settle_ns=max(group.settle_ns for group in some),
        )
        for some in members
    )
    return columns, column_of


def _strikes(chain: Chain, groups: Bools, span: float | None) -> tuple[int, Ints]:
    """Return how many strikes the scope lists, and the places of those within the span."""
    ids = np.unique(chain.strike_id[lines_of(chain.group_start, groups)])
    if span is None:
        return ids.size, ids
    near = np.abs(np.log(chain.strikes[ids] / chain.spot)) <= span
    return ids.size, ids[near]


def _grid(chain: Chain, groups: Bools, column_of: Ints, shown: Ints, columns: int) -> _Grid:
    row_of = np.full(chain.strikes.size, -1)
    row_of[shown] = np.arange(shown.size)
    row, column = row_of[chain.strike_id], column_of[chain.group]
    cell = np.where((row >= 0) & groups[chain.group], row * columns + column, -1)
    return _Grid(rows=shown.size, columns=columns, cell=cell)


def _lines(book: Book, weight: int, kind: Kind) -> _Lines:
    if kind == "vendor":
        return _vendor_lines(book.chain, weight)
    line, exposure = book.greeks.line, book.exposures[weight]
    if kind == "gex":
        call, put, net = exposure.call_gex, exposure.put_gex, exposure.call_gex + exposure.put_gex
    else:
        call, put = _sides(book, weight, kind)
        net = getattr(exposure, kind)
    return _Lines(line=line, known=book.chain.listed[:, line], call=call, put=put, net=net)


def _sides(book: Book, weight: int, kind: Kind) -> tuple[Floats, Floats]:
    """Return the calls' and the puts' part of what exposure/greeks.py sums to one number a line."""
    other = sensitivities(book.greeks, book.smile)
    each = {
        "dex": (other.call_delta, other.put_delta, 1.0),
        "vex": (other.vanna, other.vanna, ONE_PERCENT),
        "cex": (other.call_charm, other.put_charm, 1 / DAYS_PER_YEAR),
    }
    of_call, of_put, unit = each[kind]
    held = _weight(book.chain, weight)[:, book.greeks.line]
    dollars = MULTIPLIER * book.chain.spot * unit
    return of_call * held[CALL] * dollars, 0.0 - of_put * held[PUT] * dollars


def _vendor_lines(chain: Chain, weight: int) -> _Lines:
    known = chain.listed & np.isfinite(chain.gamma)
    dollars = np.where(known, chain.gamma, 0.0) * _weight(chain, weight)
    dollars *= MULTIPLIER * chain.spot * chain.spot * ONE_PERCENT
    return _Lines(
        line=np.arange(chain.strike.size),
        known=known,
        call=dollars[CALL],
        put=0.0 - dollars[PUT],
        net=dollars[CALL] - dollars[PUT],
    )


def _weight(chain: Chain, weight: int) -> Floats:
    return (chain.open_interest, chain.volume)[weight]
