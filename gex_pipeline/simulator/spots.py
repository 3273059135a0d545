"""Prices of indexes, funds and futures at any moment, all from the same two factors."""

import datetime
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.sessions import (
    FIRST_DAY,
    SECOND_NS,
    Calendar,
    Session,
    et_datetime,
    et_ns,
    is_trading_day,
    previous_trading_day,
    regular_open_ns,
    session,
    session_date,
    trading_day_on_or_before,
)
from gex_pipeline.simulator.instruments import Front, Instrument, front_contract
from gex_pipeline.simulator.levels import FACTORS, SP, Levels, path_date
from gex_pipeline.simulator.noise import uniform
from gex_pipeline.simulator.script import Script
from gex_pipeline.simulator.valuation import RATE

_LEVERAGE: Final = 4.0
"""Volatility falls by so many percent as the S&P rises by one."""
_VOLUME_RESETS: Final = (7, 28)
_YEAR_NS: Final = 365 * 86_400 * 1_000_000_000
_SLOT_NS: Final = 250_000_000
_SALT: Final = 41
_ONE_DAY = datetime.timedelta(days=1)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument's market at one moment; an index has no bid and ask."""

    last: float
    bid: float | None
    ask: float | None
    bid_size: int
    ask_size: int
    last_size: int
    volume: int
    open: float
    high: float
    low: float
    close: float
    """Of the day before."""
    ts_ms: int


class Spots:
    """The instruments of one seed."""

    def __init__(self, seed: int, script: Script) -> None:
        self._seed = seed
        self._script = script
        self._levels = Levels(seed)
        self._scale = np.zeros(2)
        self._vol_shift = 0.0

    def move_to(self, instrument: Instrument, price: float, ts_ns: int) -> None:
        """Make the instrument and its whole family cost so much at a moment, volatility usual."""
        logs = self._levels.at(ts_ns)
        self._vol_shift = -_LEVERAGE * float(logs[SP])
        factor = instrument.factor
        self._scale[factor] = np.log(price / instrument.ratio) - logs[factor]

    def vol_level(self, ts_ns: int, *, options: bool = False) -> float:
        """Return what multiplies every volatility at a moment; 1 is usual."""
        logs = self._logs(ts_ns, options=options)
        return float(np.exp(-_LEVERAGE * logs[SP] - self._vol_shift))

    def price(self, instrument: Instrument, ts_ns: int, *, options: bool = False) -> float:
        """Return the exact price, before any tick; `options`: as options are quoted on it."""
        if instrument.kind == "volatility":
            return instrument.ratio * self.vol_level(ts_ns)
        if instrument.kind == "forex":
            return instrument.ratio * float(np.exp(_mix(instrument) @ self._logs(ts_ns)))
        logs = self._logs(ts_ns, options=options) + self._scale
        level = instrument.ratio * float(np.exp(logs[instrument.factor]))
        if instrument.kind != "future":
            return level
        years = (et_ns(self.front(instrument, ts_ns).expiry, 9, 30) - ts_ns) / _YEAR_NS
        fair = level * float(np.exp((RATE - instrument.dividend) * max(years, 0.0)))
        return fair + self._script.points(instrument.symbol, ts_ns)

    def front(self, instrument: Instrument, ts_ns: int) -> Front:
        """Return the contract that a future's root stands for at a moment."""
        root = instrument.symbol
        front = front_contract(root, session_date(ts_ns, "cme"))
        for _ in range(self._script.rolls(root, ts_ns)):
            front = front_contract(root, front.expiry)
        return front

    def closes(
        self, instrument: Instrument, first: datetime.date, last: datetime.date
    ) -> tuple[float, float]:
        """Return the lowest and highest close before each of the days from `first` to `last`.

        Where prices jump on the way, what they were before and after counts on all of them.
        """
        first, last = max(first - _ONE_DAY, FIRST_DAY), last - _ONE_DAY
        span = self._levels.range_of(instrument.factor, first, last)
        from_ns, until_ns = et_ns(first, 16), et_ns(last, 16)
        jumps = [self._script.jumped(ts_ns) for ts_ns in self._stations(from_ns, until_ns)]
        span = span + [min(jumps), max(jumps)] + self._scale[instrument.factor]
        lowest, highest = np.exp(span) * instrument.ratio
        return float(lowest), float(highest)

    def look(self, instrument: Instrument, ts_ns: int) -> Look:
        """Return the instrument's market as it stands; between sessions as it closed."""
        ts_ns = self._script.quoted_ns(ts_ns)
        hours, at_ns = quoted(ts_ns, instrument.calendar)
        exact, tick = self.price(instrument, at_ns), instrument.tick
        noise = self._noise(instrument, at_ns)
        low = float(np.floor(exact / tick)) * tick
        two_sided = _is_two_sided(instrument)
        last = low + tick * (noise[3] < (exact - low) / tick) if two_sided else exact
        opened, lowest, highest = self._extremes(instrument, hours, at_ns, exact)
        close_ns = quoted(hours.open_ns - 1, "equity")[1]
        return Look(
            last=_on_tick(last, tick),
            bid=_on_tick(low, tick) if two_sided else None,
            ask=_on_tick(low + tick, tick) if two_sided else None,
            bid_size=1 + int(40 * noise[0] ** 2),
            ask_size=1 + int(40 * noise[1] ** 2),
            last_size=1 + int(20 * noise[2] ** 3),
            volume=_volume(instrument, hours, at_ns, ts_ns),
            open=_on_tick(opened, tick),
            high=_on_tick(max(highest, last), tick),
            low=_on_tick(min(lowest, last), tick),
            close=_on_tick(self.price(instrument, close_ns), tick),
            ts_ms=at_ns // 1_000_000,
        )

    def reach(self, instrument: Instrument, from_ns: int, until_ns: int) -> tuple[float, float]:
        """Return the lowest and highest last price that anybody is told between two moments."""
        steps = range(from_ns, until_ns, SECOND_NS)
        turns = [
            turn for turn in self._script.turns(from_ns, until_ns) for turn in (turn - 1, turn)
        ]
        prices = []
        for moment in (*steps, *turns, until_ns):
            at_ns = quoted(self._script.quoted_ns(moment), instrument.calendar)[1]
            prices.append(self.price(instrument, at_ns))
        tick = instrument.tick
        if not _is_two_sided(instrument):
            return _on_tick(min(prices), tick), _on_tick(max(prices), tick)
        lowest, highest = np.floor(min(prices) / tick), np.floor(max(prices) / tick) + 1
        return _on_tick(lowest * tick, tick), _on_tick(highest * tick, tick)

    def _noise(self, instrument: Instrument, at_ns: int) -> list[float]:
        name = int.from_bytes(instrument.symbol.encode(), "big")
        numbers: list[float] = uniform(
            self._seed, _SALT, name, at_ns // _SLOT_NS, np.arange(4)
        ).tolist()
        return numbers

    def _extremes(
        self, instrument: Instrument, hours: Session, at_ns: int, exact: float
    ) -> tuple[float, float, float]:
        """Return the open and about the lowest and highest price of the session so far."""
        opened = self.price(instrument, hours.open_ns)
        path = self._levels.day(path_date(at_ns))
        mix, stations = _mix(instrument), self._stations(hours.open_ns, at_ns)
        spans: Floats = np.array(
            [
                np.array(path.extremes(mix, since_ns, until_ns))
                + mix.sum() * self._script.jumped(since_ns)
                for since_ns, until_ns in pairwise((*stations, at_ns))
            ]
        )
        prices = exact * np.exp(spans - mix @ self._logs(at_ns))
        return opened, float(prices.min()), float(prices.max())

    def _logs(self, ts_ns: int, *, options: bool = False) -> Floats:
        return self._levels.at(ts_ns) + self._script.jumped(ts_ns, options=options)

    def _stations(self, from_ns: int, until_ns: int) -> list[int]:
        """Return the moment, and the jumps that follow on it."""
        return [from_ns, *self._script.jumps(from_ns, until_ns)]


def quoted(ts_ns: int, calendar: Calendar) -> tuple[Session, int]:
    """Return the newest session that has opened, and the newest instant in it up to `ts_ns`."""
    moment = et_datetime(ts_ns)
    day = moment.date() + _ONE_DAY * (calendar == "cme" and moment.hour >= 18)
    hours = session(trading_day_on_or_before(day, calendar), calendar)
    if ts_ns < hours.open_ns:
        hours = session(previous_trading_day(hours.date, calendar), calendar)
    return hours, min(ts_ns, hours.close_ns - 1)


def resets(ts_ns: int, since: tuple[int, int]) -> bool:
    """Return whether an instant lies between a daily reset, (hour, minute), and the open."""
    moment = et_datetime(ts_ns)
    day = moment.date()
    return (
        is_trading_day(day)
        and (moment.hour, moment.minute) >= since
        and ts_ns < regular_open_ns(day)
    )


def _is_two_sided(instrument: Instrument) -> bool:
    """Return whether it has bid and ask: an index has none."""
    return instrument.kind in ("share", "future", "forex")


def _mix(instrument: Instrument) -> Floats:
    """Return what of both factors makes the log of an instrument's price."""
    if instrument.kind == "forex":
        return np.array(instrument.cross)
    mix = np.zeros(FACTORS)
    mix[instrument.factor] = -_LEVERAGE if instrument.kind == "volatility" else 1.0
    return mix


def _volume(instrument: Instrument, hours: Session, at_ns: int, ts_ns: int) -> int:
    if instrument.kind != "future" and resets(ts_ns, _VOLUME_RESETS):
        return 0
    return int(instrument.volume * (at_ns - hours.open_ns) / (hours.close_ns - hours.open_ns))


def _on_tick(price: float, tick: float) -> float:
    return round(round(price / tick) * tick, 6)
