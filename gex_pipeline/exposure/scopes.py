"""Scopes: which expiries a figure covers. A date is the settlement date, today New York's."""

import datetime
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from gex_pipeline.errors import ConventionError
from gex_pipeline.exposure.chain import Chain
from gex_pipeline.market import sessions
from gex_pipeline.market.arrays import Bools, Ints

NAMES: Final = (
    "all",
    "0dte",
    "next",
    "front0",
    "front1",
    "weekly",
    "monthly",
    "to_opex",
    "full90",
)
_EXPIRY: Final = re.compile(r"expiry:(\d{4}-\d{2}-\d{2})(?::([A-Z]{1,6}))?")
_FULL_DAYS: Final = 90
_DAY: Final = datetime.timedelta(days=1)
_NOTHING: Final = (datetime.date.max, datetime.date.min)
"""A range that ends before it starts."""


def check_scope(scope: str) -> str:
    """Return the scope if there is one of that name; expiry:YYYY-MM-DD[:ROOT] is one.

    Raises:
        ConventionError: there is none.
    """
    if scope in NAMES or _expiry(scope):
        return scope
    raise ConventionError("Scope", scope, (*NAMES, "expiry:YYYY-MM-DD[:ROOT]"))


def scope_groups(chain: Chain, live: Bools, scope: str) -> Bools:
    """Return (G,) the unexpired groups that belong to the scope."""
    return groups_of(chain, live, (scope,))[0]


def groups_of(chain: Chain, live: Bools, scopes: Sequence[str]) -> list[Bools]:
    """Return (G,) the unexpired groups that belong to each scope."""
    today = sessions.et_datetime(chain.asof_ns).date()
    dates = [group.settle_date for group in chain.groups]
    days = np.array([date.toordinal() for date in dates], dtype=np.int64)
    to_opex = not {"monthly", "to_opex"}.isdisjoint(scopes)
    opex = _opex(today, chain.asof_ns) if to_opex else today
    ranges = _ranges(today, _ahead(dates, live), opex)
    return [
        _named(chain, scope) & live
        if scope not in ranges
        else (days >= ranges[scope][0].toordinal()) & (days <= ranges[scope][1].toordinal()) & live
        for scope in scopes
    ]


def _named(chain: Chain, scope: str) -> Bools:
    """Return (G,) the groups of expiry:YYYY-MM-DD[:ROOT]; of anything else none."""
    day, wanted = _expiry(scope) or (None, None)
    chosen = [
        day in (group.expiry, group.settle_date) and wanted in (None, group.root)
        for group in chain.groups
    ]
    return np.array(chosen, dtype=bool)


def lines_of(start: Ints, groups: Bools) -> slice | Ints:
    """Return what selects the lines of the groups: a slice wherever they lie side by side.

    `start` is (G + 1,), the first line of each group; most scopes are one run of expiries, and a
    slice copies nothing.
    """
    chosen = np.flatnonzero(groups)
    if not chosen.size:
        return slice(0, 0)
    first, last = int(chosen[0]), int(chosen[-1])
    if last - first + 1 == chosen.size:
        return slice(int(start[first]), int(start[last + 1]))
    return np.concatenate([np.arange(start[g], start[g + 1]) for g in chosen])


def _ahead(dates: list[datetime.date], live: Bools) -> list[datetime.date]:
    """Return the distinct dates that still have unexpired contracts, ascending."""
    return sorted({date for date, alive in zip(dates, live.tolist(), strict=True) if alive})


def _ranges(
    today: datetime.date, ahead: list[datetime.date], opex: datetime.date
) -> dict[str, tuple[datetime.date, datetime.date]]:
    """Return the first and last date of each named scope; an empty one ends before it starts."""
    start, later = datetime.date.min, [date for date in ahead if date > today]
    return {
        "all": (start, datetime.date.max),
        "0dte": (today, today),
        "next": _one(later, 0),
        "front0": _one(ahead, 0),
        "front1": _one(ahead, 1),
        "weekly": _week_of(ahead[0]) if ahead else _NOTHING,
        "monthly": (opex, opex),
        "to_opex": (start, opex),
        "full90": (start, today + _FULL_DAYS * _DAY),
    }


def _one(dates: list[datetime.date], position: int) -> tuple[datetime.date, datetime.date]:
    return (dates[position],) * 2 if len(dates) > position else _NOTHING


def _week_of(day: datetime.date) -> tuple[datetime.date, datetime.date]:
    monday = day - day.weekday() * _DAY
    return monday, monday + 6 * _DAY


def _opex(today: datetime.date, asof_ns: int) -> datetime.date:
    """Return the nearest standard expiry that has not settled on its close."""
    opex = sessions.standard_opex(today)
    settled = sessions.session(opex).close_ns <= asof_ns
    return sessions.standard_opex(today + _DAY) if settled else opex


def _expiry(scope: str) -> tuple[datetime.date, str | None] | None:
    matched = _EXPIRY.fullmatch(scope)
    if not matched:
        return None
    try:
        return datetime.date.fromisoformat(matched[1]), matched[2]
    except ValueError:
        return None
