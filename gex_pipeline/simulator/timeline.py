"""The simulator's market clock: opens at 09:31 New York, rolls to the next date at the close."""

import datetime
from pathlib import Path
from typing import Final

import msgspec

from gex_pipeline.errors import SimulatorStateError
from gex_pipeline.market.clock import MarketClock
from gex_pipeline.market.sessions import (
    et_datetime,
    next_trading_day,
    regular_open_ns,
    session,
    trading_day_on_or_after,
    trading_day_on_or_before,
)
from gex_pipeline.simulator.storage import replace_file

_MINUTE_NS: Final = 60 * 1_000_000_000
_STATE: Final = "state.json"


class Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a restart needs: the clock, and the boot that its monotonic time belongs to."""

    clock: MarketClock
    newest_date: datetime.date
    boot: str
    start_ns: int | None = None
    """Where the session was told to open, if it was."""


class Timeline:
    """A clock that is anchored anew at each close; reading it applies the rolls that are due."""

    def __init__(self, clock: MarketClock) -> None:
        self._clock = clock

    def clock(self, mono_ns: int) -> MarketClock:
        """Return the clock that holds at a monotonic time."""
        while (due := self.roll()) is not None and mono_ns >= due.anchor_mono_ns:
            self._clock = due
        return self._clock

    def now_ns(self, mono_ns: int) -> int:
        """Return the market time."""
        return self.clock(mono_ns).now_ns(mono_ns)

    def roll(self) -> MarketClock | None:
        """Return the clock that follows at the next close; None while the clock is paused."""
        closes_ns = next_close_ns(self._clock.anchor_event_ns)
        at_mono_ns = self._clock.mono_ns(closes_ns)
        if at_mono_ns is None:
            return None
        after = next_trading_day(et_datetime(closes_ns).date())
        return MarketClock(opening_ns(after), at_mono_ns, self._clock.speed)


def opening_ns(day: datetime.date) -> int:
    """Return 09:31 New York of a trading date, when the simulator opens."""
    return regular_open_ns(day) + _MINUTE_NS


def next_close_ns(ts_ns: int) -> int:
    """Return the first close of the stock market after an instant."""
    closes_ns = session(trading_day_on_or_after(et_datetime(ts_ns).date())).close_ns
    if closes_ns > ts_ns:
        return closes_ns
    return session(next_trading_day(et_datetime(ts_ns).date())).close_ns


def resumed(
    folder: Path, *, speed: float, start_ns: int | None, today: datetime.date, mono_ns: int
) -> Timeline:
    """Return the timeline to go on with: the saved session's, or a new session's.

    A session that still runs goes on from its clock, also through the time that the simulator was
    away. Else the next one opens on the trading date after the newest known; the very first on the
    newest trading day. `start_ns` opens there instead, once: restarted with the same one, the
    session goes on, so that market time does not go back under what was recorded.
    """
    saved = load(folder)
    if start_ns is not None and (saved is None or saved.start_ns != start_ns):
        return Timeline(MarketClock(start_ns, mono_ns, speed))
    if saved is not None and saved.boot == boot_id() and mono_ns >= saved.clock.anchor_mono_ns:
        now_ns = saved.clock.now_ns(mono_ns)
        if now_ns < next_close_ns(saved.clock.anchor_event_ns):
            return Timeline(MarketClock(now_ns, mono_ns, speed))
    newest = _newest_date(folder, saved)
    day = next_trading_day(newest) if newest else trading_day_on_or_before(today)
    return Timeline(MarketClock(opening_ns(day), mono_ns, speed))


def save(folder: Path, clock: MarketClock, mono_ns: int, start_ns: int | None = None) -> None:
    """Write what a restart needs."""
    day = et_datetime(clock.now_ns(mono_ns)).date()
    saved = Saved(clock, trading_day_on_or_before(day), boot_id(), start_ns)
    replace_file(folder / _STATE, msgspec.json.encode(saved))


def load(folder: Path) -> Saved | None:
    """Return what was saved; None before the first session.

    Raises:
        SimulatorStateError: the file is not one of ours.
    """
    path = folder / _STATE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Saved)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise SimulatorStateError(str(path), str(error)) from error


def boot_id() -> str:
    """Return what names the machine's running boot; "" where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _newest_date(folder: Path, saved: Saved | None) -> datetime.date | None:
    """Return the newest trading date that the simulated root holds, in its lake or by the state."""
    dates = [saved.newest_date] if saved else []
    for path in (folder.parent / "lake").glob("*/date=*"):
        try:
            dates.append(datetime.date.fromisoformat(path.name.removeprefix("date=")))
        except ValueError:
            continue
    return max(dates, default=None)
