"""Intake: any source's rows, cleaned, made distinct and laid out as lines in canonical order."""

import datetime
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.errors import MomentError
from gex_pipeline.exposure.chain import CALL, PUT, AsofRule, Chain, Group
from gex_pipeline.market import sessions
from gex_pipeline.market.arrays import Bools, Floats, Ints, Texts
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.roots import option_root

_MISSING: Final = -1.0
"""Sorts before every price."""
_PRICES: Final = (1e-6, 1e9)
"""Dollars that any market has seen; beyond them a number is a mistake, and its square no number."""
_VOLATILITIES: Final = (1e-4, 1e3)
_GAMMAS: Final = (1e-12, 1e6)
_COUNT_MAX: Final = 1e12


class _Rows(msgspec.Struct, frozen=True, eq=False):
    """Usable rows: a contract's identity as numbers, and its cleaned columns."""

    group: Ints
    right_row: Ints
    strike: Floats
    bid: Floats
    ask: Floats
    iv: Floats
    gamma: Floats
    open_interest: Floats
    volume: Floats
    ts_quote_ns: Ints

    def take(self, index: Ints) -> "_Rows":
        return _Rows(*(getattr(self, name)[index] for name in self.__struct_fields__))


def clean_chain(source: OptionChain, asof_ns: int | None = None) -> Chain:
    """Return the chain without duplicates, sentinels and unusable rows, in canonical order.

    `asof_ns` overrides the moment of the quotes; else it is the newest two-sided quote's own time
    (not after the answer was received), or what the download time says about a delayed file.

    Raises:
        MomentError: neither the rows nor the source say when the quotes were taken.
    """
    groups, rows, dropped = _usable_rows(source)
    rows, duplicates = _newest(rows)
    moment, rule = _asof(source, rows) if asof_ns is None else (asof_ns, "given")
    return msgspec.structs.replace(
        _lay_out(source, groups, rows),
        asof_ns=moment,
        asof_rule=rule,
        duplicates=duplicates,
        dropped=dropped,
    )


def _usable_rows(source: OptionChain) -> tuple[tuple[Group, ...], _Rows, dict[str, int]]:
    """Return the groups in order of expiry and root, the rows in them, and what was dropped."""
    dropped = dict(source.dropped)
    usable = np.ones(len(source), dtype=bool)
    for reason, good in _row_checks(source):
        dropped[reason] = dropped.get(reason, 0) + int(np.count_nonzero(usable & ~good))
        usable &= good
    keep = np.flatnonzero(usable)
    keys = list(
        zip(
            source.expiry[keep].tolist(),
            source.root[keep].tolist(),
            source.settlement[keep].tolist(),
            strict=True,
        )
    )
    groups, index, lost = _groups(keys)
    if lost:
        dropped["expiry"] = dropped.get("expiry", 0) + int(np.count_nonzero(index < 0))
        keep, index = keep[index >= 0], index[index >= 0]
    return groups, _cleaned(source, keep, index), {k: n for k, n in dropped.items() if n}


def _row_checks(source: OptionChain) -> tuple[tuple[str, Bools], ...]:
    low, high = _PRICES
    adjusted = np.char.isdigit(_last_character(source.root))
    return (
        ("symbol", (source.root != "") & (np.abs(source.right) == 1)),
        ("expiry", ~np.isnat(source.expiry)),
        ("strike", (source.strike >= low) & (source.strike <= high)),
        ("adjusted", ~adjusted),
    )


def _last_character(texts: Texts) -> Texts:
    unique, inverse = np.unique(texts, return_inverse=True)
    return np.array([text[-1:] for text in unique.tolist()] or [""], dtype="U1")[inverse]


def _groups(keys: list[tuple[datetime.date, str, str]]) -> tuple[tuple[Group, ...], Ints, bool]:
    """Return the distinct groups in canonical order, each row's group, and whether any was lost.

    A row whose expiry the calendar does not cover has group -1. The settlement letter is the
    group's, not the row's: the first in order that the vendor states.
    """
    letters: dict[tuple[datetime.date, str], str] = {}
    for expiry, root, letter in sorted(set(keys), reverse=True):
        letters[(expiry, root)] = letter or letters.get((expiry, root), "")
    first = sessions.trading_day_on_or_after(sessions.FIRST_DAY)
    last = sessions.LAST_DAY
    covered = sorted(key for key in letters if first <= key[0] <= last)
    number = {key: position for position, key in enumerate(covered)}
    groups = tuple(_group(expiry, root, letters[(expiry, root)]) for expiry, root in covered)
    index = np.array([number.get((expiry, root), -1) for expiry, root, _ in keys], dtype=np.int64)
    return groups, index, len(covered) < len(letters)


def _group(expiry: datetime.date, root: str, letter: str) -> Group:
    terms = option_root(root)
    return Group(
        root=root,
        expiry=expiry,
        settle_date=sessions.settlement_date(expiry),
        settle_ns=sessions.settlement_ns(root, expiry, letter),
        european=terms.european,
        tick=terms.tick,
    )


def _cleaned(source: OptionChain, keep: Ints, group: Ints) -> _Rows:
    return _Rows(
        group=group,
        right_row=np.where(source.right[keep] > 0, CALL, PUT),
        strike=source.strike[keep],
        bid=_quoted(source.bid[keep], _PRICES),
        ask=_quoted(source.ask[keep], _PRICES),
        iv=_quoted(source.iv[keep], _VOLATILITIES),
        gamma=_quoted(source.gamma[keep], _GAMMAS),
        open_interest=_count(source.open_interest[keep]),
        volume=_count(source.volume[keep]),
        ts_quote_ns=_moments(source.ts_quote_ns[keep]),
    )


def _quoted(column: Floats, bounds: tuple[float, float]) -> Floats:
    """Return the column with NaN for what is neither 0 nor within the bounds: -999, infinities."""
    low, high = bounds
    return np.where((column == 0) | ((column >= low) & (column <= high)), column, np.nan)


def _count(column: Floats) -> Floats:
    """Return whole contracts; 0 for what is no count."""
    return np.floor(np.where((column > 0) & (column <= _COUNT_MAX), column, 0.0))


def _moments(column: Ints) -> Ints:
    """Return the column with 0 for what is no moment of the calendar's years."""
    first, last = (sessions.et_ns(day, 0) for day in (sessions.FIRST_DAY, sessions.LAST_DAY))
    return np.where((column >= first) & (column < last), column, 0)


def _newest(rows: _Rows) -> tuple[_Rows, int]:
    """Return one row per contract in canonical order, and how many repeats went.

    Of repeats the largest (quote time, volume, open interest, bid, ask, iv, gamma) stays: a rule
    that the order of rows cannot change.
    """
    values = [np.nan_to_num(column, nan=_MISSING) for column in (rows.gamma, rows.iv, rows.ask)]
    order = np.lexsort(
        (
            *values,
            np.nan_to_num(rows.bid, nan=_MISSING),
            rows.open_interest,
            rows.volume,
            rows.ts_quote_ns,
            rows.right_row,
            rows.strike,
            rows.group,
        )
    )
    rows = rows.take(order)
    last = np.ones(order.size, dtype=bool)
    last[:-1] = (
        (rows.group[1:] != rows.group[:-1])
        | (rows.strike[1:] != rows.strike[:-1])
        | (rows.right_row[1:] != rows.right_row[:-1])
    )
    return rows.take(np.flatnonzero(last)), int(order.size - np.count_nonzero(last))


def _asof(source: OptionChain, rows: _Rows) -> tuple[int, AsofRule]:
    quoted = (rows.bid > 0) & (rows.ask >= rows.bid) & (rows.ts_quote_ns > 0)
    if quoted.any():
        newest = int(rows.ts_quote_ns[quoted].max())
        received = source.ts_source_ns
        return (min(newest, received) if received > 0 else newest), "given"
    if source.ts_source_ns <= 0:
        raise MomentError("The file does not say when it was made, in a form that we read.")
    late = option_root(source.symbol).quote_close_late
    return sessions.quote_asof_ns(source.ts_source_ns, late=late)


def _lay_out(source: OptionChain, groups: tuple[Group, ...], rows: _Rows) -> Chain:
    """Return the rows, sorted and distinct, as lines; the moment is still to be stated."""
    starts = np.ones(rows.strike.size, dtype=bool)
    starts[1:] = (rows.group[1:] != rows.group[:-1]) | (rows.strike[1:] != rows.strike[:-1])
    line = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    group, strike = rows.group[first], rows.strike[first]
    strikes, strike_id = np.unique(strike, return_inverse=True)
    where = (rows.right_row, line)
    size = (2, first.size)

    def matrix(column: Floats, empty: float) -> Floats:
        filled = np.full(size, empty)
        filled[where] = column
        return filled

    listed = np.zeros(size, dtype=bool)
    listed[where] = True
    ts_quote_ns = np.zeros(size, dtype=np.int64)
    ts_quote_ns[where] = rows.ts_quote_ns
    low, high = _PRICES
    return Chain(
        symbol=source.symbol,
        source=source.source,
        spot=float(source.spot) if low <= source.spot <= high else np.nan,
        asof_ns=0,
        asof_rule="given",
        groups=groups,
        group_start=np.searchsorted(group, np.arange(len(groups) + 1)),
        settle_ns=np.array([g.settle_ns for g in groups], dtype=np.int64),
        group=group,
        strike=strike,
        strikes=strikes,
        strike_id=strike_id,
        listed=listed,
        bid=matrix(rows.bid, np.nan),
        ask=matrix(rows.ask, np.nan),
        iv=matrix(rows.iv, np.nan),
        gamma=matrix(rows.gamma, np.nan),
        open_interest=matrix(rows.open_interest, 0.0),
        volume=matrix(rows.volume, 0.0),
        ts_quote_ns=ts_quote_ns,
    )
