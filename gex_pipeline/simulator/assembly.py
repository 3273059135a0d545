"""From lines of contracts, by rule or out of a real chain, to the board of a date."""

import datetime
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.market.roots import option_root
from gex_pipeline.simulator.board import Board, Group, identities, new_group, occ_symbols
from gex_pipeline.simulator.instruments import OPTIONABLE
from gex_pipeline.simulator.interest import day_volume, open_interest, spread_out
from gex_pipeline.simulator.levels import NASDAQ
from gex_pipeline.simulator.listings import (
    PROGRAMMES,
    Closes,
    Expiry,
    Programme,
    ladder,
    listed_expiries,
)
from gex_pipeline.simulator.noise import normal
from gex_pipeline.simulator.smile import usual_reference, usual_table

_YEAR_DAYS = 365
_REF_SALT = 21
_NASDAQ_VOL = 1.25


class Lines(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The contracts of one expiry and root."""

    symbol: str
    factor: int
    expiry: Expiry
    level: float
    """Price of the underlying that open interest gathers around."""
    typical: float
    """Open interest of a usual strike, where none is given."""
    strike: Floats
    right: Ints
    settlement: str = ""
    deliverable: float = 100.0
    """Shares of a contract; another number than 100: adjusted."""
    given_interest: Floats | None = None
    """NaN where nothing is given."""
    given_curve: tuple[float, Floats] | None = None
    """Volatility at the money, and the curve."""


class Column(msgspec.Struct, frozen=True, eq=False):
    """The rows of one group, to be joined."""

    identity: Ints
    open_interest: Floats
    day_volume: Floats


def programme_lines(
    programme: Programme, factor: int, day: datetime.date, closes: Closes
) -> list[Lines]:
    """Return what the programme lists on a date."""
    level = closes(day, day)[0]
    return [
        Lines(
            symbol=programme.symbol,
            factor=factor,
            expiry=expiry,
            level=level,
            typical=programme.open_interest,
            strike=np.repeat(strikes, 2),
            right=np.tile(np.array([1, -1]), strikes.size),
        )
        for expiry in listed_expiries(programme, day)
        for strikes in (ladder(programme, expiry, day, closes),)
    ]


def thinned(lines: Sequence[Lines], day: datetime.date, contracts: int) -> list[Lines]:
    """Return at most so many contracts: the soonest expiries, the strikes nearest to spot."""
    distance = np.concatenate([_distance(line, day) for line in lines])
    late = np.repeat(np.arange(len(lines)), [line.strike.size for line in lines])
    order = np.argsort(np.abs(distance) + 0.12 * late, kind="stable")
    kept = np.zeros(order.size, dtype=np.bool_)
    kept[order[: contracts - contracts % 2]] = True
    parts = np.split(kept, np.cumsum([line.strike.size for line in lines])[:-1])
    return [kept_rows(line, part) for line, part in zip(lines, parts, strict=True) if part.any()]


def kept_rows(line: Lines, kept: Bools) -> Lines:
    """Return some of a group's contracts."""
    held = None if line.given_interest is None else line.given_interest[kept]
    return msgspec.structs.replace(
        line, strike=line.strike[kept], right=line.right[kept], given_interest=held
    )


def share_of(programme: Programme, total: int) -> int:
    """Return the programme's part of a total number of contracts."""
    return total * programme.contracts // sum(each.contracts for each in PROGRAMMES)


def assemble(day: datetime.date, seed: int, lines: Sequence[Lines]) -> Board:
    """Return the board of a date; previous closes are still unknown (NaN)."""
    groups = tuple(_groups(lines))
    columns = [_column(line, day, seed) for line in lines]
    sizes = [line.strike.size for line in lines]
    years = np.array([_years(line.expiry.date, day) for line in lines])
    refs, table = _curves(lines, years, seed)
    occ = tuple(
        name
        for line in lines
        for name in occ_symbols(line.expiry.root, line.expiry.date, line.strike, line.right)
    )
    total = sum(sizes)
    terms = [option_root(line.expiry.root) for line in lines]
    return Board(
        day=day,
        groups=groups,
        table=table,
        ref=refs,
        settle_ns=np.array([group.settle_ns for group in groups], dtype=np.int64),
        group=np.repeat(np.arange(len(lines)), sizes),
        under=np.repeat([OPTIONABLE.index(line.symbol) for line in lines], sizes),
        strike=_joined(line.strike for line in lines),
        right=np.concatenate([line.right for line in lines]).astype(np.int64),
        identity=np.concatenate([column.identity for column in columns]),
        tick=np.repeat([term.tick for term in terms], sizes),
        american=np.repeat([not term.european for term in terms], sizes),
        open_interest=_joined(column.open_interest for column in columns),
        day_volume=_joined(column.day_volume for column in columns),
        prev_close=np.full(total, np.nan),
        occ=occ,
        row_of={name: row for row, name in enumerate(occ)},
    )


def _groups(lines: Iterable[Lines]) -> Iterable[Group]:
    first = 0
    for line in lines:
        last = first + line.strike.size
        group = new_group(line.symbol, line.expiry, first, last, line.settlement)
        yield msgspec.structs.replace(group, deliverable=line.deliverable)
        first = last


def _column(line: Lines, day: datetime.date, seed: int) -> Column:
    keys = (seed, day.toordinal())
    distance = _distance(line, day)
    identity = identities(line.expiry.root, line.expiry.date, line.strike, line.right)
    terms = (line.strike, line.right, identity)
    held = open_interest(line.typical, line.expiry.kind, distance, terms, keys)
    if line.given_interest is not None:
        held = np.where(np.isnan(line.given_interest), held, line.given_interest)
    days_left = (line.expiry.date - day).days
    return Column(identity, held, day_volume(held, distance, days_left, identity, keys))


def _curves(lines: Sequence[Lines], years: Floats, seed: int) -> tuple[Floats, Floats]:
    ratio = np.array([_NASDAQ_VOL if line.factor == NASDAQ else 1.0 for line in lines])
    dates = np.array([line.expiry.date.toordinal() for line in lines], dtype=np.int64)
    refs = usual_reference(years, 1.0) * ratio * np.exp(0.02 * normal(seed, _REF_SALT, dates))
    table = usual_table(years)
    for place, line in enumerate(lines):
        if line.given_curve is not None:
            refs[place], table[place] = line.given_curve
    return refs, table


def _distance(line: Lines, day: datetime.date) -> Floats:
    return spread_out(line.strike, line.level, _years(line.expiry.date, day))


def _years(expiry: datetime.date, day: datetime.date) -> float:
    return max((expiry - day).days, 0) / _YEAR_DAYS


def _joined(columns: Iterable[Floats]) -> Floats:
    return np.concatenate(list(columns))
