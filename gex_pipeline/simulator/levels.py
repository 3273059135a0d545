"""Two factors, S&P and Nasdaq, as paths through all trading days: what every price hangs on.

A day's close is a point of a mean-reverting walk over calendar days, and the day is a Brownian
bridge between two closes on a grid of seconds. So a level is a function of seed and time alone.
"""

import datetime
from collections import OrderedDict

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.sessions import (
    FIRST_DAY,
    LAST_DAY,
    SECOND_NS,
    et_datetime,
    et_ns,
    previous_trading_day,
    trading_day_on_or_after,
)

FACTORS = 2
SP, NASDAQ = range(FACTORS)
_ROLL_HOUR = 18
_DAY_S = 23 * 3600  # from 18:00 of the evening before to 17:00
_CASH_FROM_S, _CASH_TO_S = 15 * 3600 + 1800, 22 * 3600
_NIGHT_SHARE = 0.3
"""Part of a day's variance that falls outside the stock market's hours."""
_DAY_STDEV = 0.008
_PULL = 0.02
_BETA, _OWN = 1.15, 0.45
_KEPT_DAYS = 4
_ONE_DAY = datetime.timedelta(days=1)


class DayPath(msgspec.Struct, frozen=True, eq=False):
    """The factors' logs through one trading date, a column per second."""

    start_ns: int
    logs: Floats

    def at(self, ts_ns: int) -> Floats:
        """Return both logs at an instant, interpolated; held at the ends."""
        second = min(max((ts_ns - self.start_ns) / SECOND_NS, 0.0), _DAY_S - 1e-6)
        left = int(second)
        part = second - left
        return self.logs[:, left] * (1 - part) + self.logs[:, left + 1] * part

    def extremes(self, mix: Floats, from_ns: int, to_ns: int) -> tuple[float, float]:
        """Return the lowest and highest mix of both logs on the grid between two instants."""
        first = min(max((from_ns - self.start_ns) // SECOND_NS, 0), _DAY_S)
        last = min(max((to_ns - self.start_ns) // SECOND_NS, first), _DAY_S)
        seen = self.logs[:, first : last + 1]
        rows = np.flatnonzero(mix)
        if rows.size > 1:
            mixed = mix @ seen
            return float(mixed.min()), float(mixed.max())
        line, weight = seen[rows[0]], float(mix[rows[0]])
        ends = sorted((weight * float(line.min()), weight * float(line.max())))
        return ends[0], ends[1]


class Levels:
    """The factors of one seed; a level of 0 is the long-run mean."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._closes = _closes(seed)
        self._days: OrderedDict[datetime.date, DayPath] = OrderedDict()

    def close(self, day: datetime.date) -> Floats:
        """Return both logs at the end of a trading date."""
        return self._closes[:, _index(day)]

    def range_of(self, factor: int, first: datetime.date, last: datetime.date) -> Floats:
        """Return the lowest and highest close of the days from `first` to `last`."""
        closes = self._closes[factor, _index(first) : _index(last) + 1]
        return np.array([closes.min(), closes.max()])

    def at(self, ts_ns: int) -> Floats:
        """Return both logs at an instant."""
        return self.day(path_date(ts_ns)).at(ts_ns)

    def day(self, day: datetime.date) -> DayPath:
        """Return the path of a trading date."""
        path = self._days.get(day)
        if path is None:
            path = self._days[day] = self._bridge(day)
            while len(self._days) > _KEPT_DAYS:
                self._days.popitem(last=False)
        return path

    def _bridge(self, day: datetime.date) -> DayPath:
        before, after = self.close(previous_trading_day(day)), self.close(day)
        elapsed = np.concatenate(([0.0], np.cumsum(_variance_per_second())))
        steps = np.random.default_rng([self._seed, day.toordinal()]).standard_normal((2, _DAY_S))
        walk = np.zeros((FACTORS, _DAY_S + 1))
        np.cumsum(steps * np.sqrt(_variance_per_second()), axis=1, out=walk[:, 1:])
        walk -= walk[:, -1:] * elapsed
        own = np.vstack([walk[SP], _BETA * walk[SP] + _OWN * walk[NASDAQ]]) * _DAY_STDEV
        logs = before[:, None] + (after - before)[:, None] * elapsed + own
        return DayPath(et_ns(day - _ONE_DAY, _ROLL_HOUR), logs)


def path_date(ts_ns: int) -> datetime.date:
    """Return the trading date whose path holds an instant: it rolls at 18:00 New York."""
    moment = et_datetime(ts_ns)
    rolled = _ONE_DAY * (moment.hour >= _ROLL_HOUR)
    return trading_day_on_or_after(moment.date() + rolled)


def _index(day: datetime.date) -> int:
    return (day - FIRST_DAY).days


def _closes(seed: int) -> Floats:
    """Return both factors' closes of every calendar day that the trading calendar covers."""
    days = _index(LAST_DAY) + 1
    steps = np.random.default_rng([seed, 0]).standard_normal((FACTORS, days)) * _DAY_STDEV
    moves = np.vstack([steps[SP], _BETA * steps[SP] + _OWN * steps[NASDAQ]])
    closes = np.empty((FACTORS, days))
    level = np.zeros(FACTORS)
    for day in range(days):
        level = level * (1 - _PULL) + moves[:, day]
        closes[:, day] = level
    return closes


def _variance_per_second() -> Floats:
    share = np.full(_DAY_S, _NIGHT_SHARE / (_DAY_S - (_CASH_TO_S - _CASH_FROM_S)))
    share[_CASH_FROM_S:_CASH_TO_S] = (1 - _NIGHT_SHARE) / (_CASH_TO_S - _CASH_FROM_S)
    return share
