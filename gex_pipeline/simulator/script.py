"""What happens to the market and to its vendor besides the usual: acts, each from a moment on.

A script is part of the market: the same seed, time and script give the same answer. An act is
given beforehand with its New York time, or at the moment itself; it lasts some market seconds, or
from then on.
"""

import datetime
import math
from collections.abc import Iterable, Iterator, Set
from typing import Final, TypeVar

import msgspec

from gex_pipeline.errors import ScriptError
from gex_pipeline.market.sessions import NEW_YORK, SECOND_NS, et_datetime, is_trading_day
from gex_pipeline.simulator.act import Act
from gex_pipeline.simulator.acts import AnyAct, Basis, Contracts, Enlist, Freeze, Halt, Jump, Roll
from gex_pipeline.simulator.frames import SUCCEEDED
from gex_pipeline.simulator.instruments import INSTRUMENTS, OPTIONABLE
from gex_pipeline.simulator.mishaps import Addressed, Asked, Fail, Refuse, Shorten, Void
from gex_pipeline.simulator.paths import PATHS
from gex_pipeline.simulator.services import ADMIN, SERVICES, SIGNING, SUBSCRIBING

_FOREVER: Final = 2**63
_CODES: Final = (9, 11, 19, *range(20, 30))
"""What a request can be refused with; 26 and above say that it succeeded."""


_Kind = TypeVar("_Kind", bound=Act)


class Span(msgspec.Struct, frozen=True):
    """An act and when it runs: from a moment up to another."""

    from_ns: int
    until_ns: int
    act: AnyAct

    def runs(self, ts_ns: int) -> bool:
        """Whether the act runs at a moment."""
        return self.from_ns <= ts_ns < self.until_ns


class Script:
    """All acts, in the order of their beginning."""

    def __init__(self) -> None:
        self.spans: tuple[Span, ...] = ()

    def add(self, acts: Iterable[AnyAct], now_ns: int) -> None:
        """Take in acts; a time without a date is of the New York date of `now_ns`.

        Raises:
            ScriptError: an act that cannot happen; none of them is taken.
        """
        new = [_span(act, now_ns) for act in acts]
        self.spans = tuple(sorted((*self.spans, *new), key=lambda span: span.from_ns))

    def running(self, kind: type[_Kind], ts_ns: int) -> Iterator[_Kind]:
        """Yield the acts of a kind that run at a moment."""
        for span in self.spans:
            if isinstance(span.act, kind) and span.runs(ts_ns):
                yield span.act

    def runs(self, kind: type[Act], ts_ns: int) -> bool:
        """Whether any act of a kind runs at a moment."""
        return any(True for _ in self.running(kind, ts_ns))

    def begun(self, kinds: tuple[type[Act], ...], after_ns: int, until_ns: int) -> Iterator[AnyAct]:
        """Yield the acts of these kinds that begin after a moment and up to another."""
        for span in self.spans:
            if isinstance(span.act, kinds) and after_ns < span.from_ns <= until_ns:
                yield span.act

    def quoted_ns(self, ts_ns: int) -> int:
        """Return the moment whose quotes stand at a moment: where it is frozen, the beginning."""
        frozen = (s.from_ns for s in self.spans if isinstance(s.act, Freeze) and s.runs(ts_ns))
        return min(frozen, default=ts_ns)

    def jumped(self, ts_ns: int, *, options: bool = False) -> float:
        """Return the log of what jumps have made of all prices; `options`: of options' quotes."""
        return sum(
            math.log1p(span.act.percent / 100)
            for span in self.spans
            if isinstance(span.act, Jump)
            and span.runs(ts_ns - options * round(span.act.delay_s * SECOND_NS))
        )

    def jumps(self, from_ns: int, until_ns: int) -> list[int]:
        """Return when prices jump between two moments."""
        moments = (
            moment
            for span in self.spans
            if isinstance(span.act, Jump)
            for moment in (span.from_ns, span.until_ns)
        )
        return sorted(moment for moment in moments if from_ns < moment < until_ns)

    def turns(self, from_ns: int, until_ns: int) -> list[int]:
        """Return when any act begins or ends between two moments."""
        moments = {moment for span in self.spans for moment in (span.from_ns, span.until_ns)}
        return sorted(moment for moment in moments if from_ns < moment < until_ns)

    def points(self, symbol: str, ts_ns: int) -> float:
        """Return what a future costs more than its carry says."""
        return sum(act.points for act in self.running(Basis, ts_ns) if symbol in act.symbols)

    def rolls(self, symbol: str, ts_ns: int) -> int:
        """Return how many contracts further than usual the front one of a future is."""
        return sum(symbol in act.symbols for act in self.running(Roll, ts_ns))

    def halted(self, symbol: str, ts_ns: int) -> bool:
        """Whether nothing is said of a symbol."""
        return any(symbol in act.symbols for act in self.running(Halt, ts_ns))

    def failure(self, symbol: str, expiries: Set[datetime.date], ts_ns: int) -> int | None:
        """Return the status that a chain answer with these expiries fails with; None: none."""
        failing = self.running(Fail, ts_ns)
        return next((act.status for act in failing if _hits(act, symbol, expiries)), None)

    def shortens(self, symbol: str, expiries: Set[datetime.date], ts_ns: int) -> bool:
        """Whether a chain answer with these expiries comes cut short."""
        return any(_hits(act, symbol, expiries) for act in self.running(Shorten, ts_ns))

    def listings(self, ts_ns: int) -> tuple[Span, ...]:
        """Return the listings and delistings that have begun and not ended."""
        return tuple(s for s in self.spans if isinstance(s.act, Contracts) and s.runs(ts_ns))


def _hits(act: Fail | Shorten, symbol: str, expiries: Set[datetime.date]) -> bool:
    return act.symbol in ("", symbol) and any(act.first <= day <= act.last for day in expiries)


def _span(act: AnyAct, now_ns: int) -> Span:
    _check(act)
    from_ns = _moment_ns(act.at, now_ns)
    lasting = _FOREVER if act.for_s is None else from_ns + round(act.for_s * SECOND_NS)
    return Span(from_ns, lasting, act)


def _moment_ns(text: str, now_ns: int) -> int:
    if not text:
        return now_ns
    day = et_datetime(now_ns).date()
    try:
        moment = datetime.datetime.fromisoformat(text if "T" in text else f"{day}T{text}")
    except ValueError as error:
        fact = f"{text!r} is no time such as 09:35:10 or 2026-11-20T09:35"
        raise ScriptError(fact) from error
    local = moment if moment.tzinfo else moment.replace(tzinfo=NEW_YORK)
    return round(local.timestamp() * 1000) * 1_000_000


def _check(act: AnyAct) -> None:
    """Refuse what market and vendor do not have."""
    known: Iterable[str] = (
        OPTIONABLE if isinstance(act, Contracts | Fail | Shorten | Void) else INSTRUMENTS
    )
    named = getattr(act, "symbols", None) or filter(None, [getattr(act, "symbol", "")])
    for symbol in named:
        _check_known(symbol, known)
    if isinstance(act, Asked):
        _check_known(act.service, ("", ADMIN, *SERVICES))
        _check_known(act.command, ("", *SIGNING, *SUBSCRIBING))
    if isinstance(act, Addressed):
        _check_known(act.path, ("", *PATHS))
    if isinstance(act, Refuse):
        _check_refusal(act)
    if isinstance(act, Jump) and act.percent <= -100:
        raise ScriptError("prices fall by less than 100 percent")
    if isinstance(act, Enlist) and not (act.strikes and is_trading_day(act.expiry)):
        raise ScriptError("contracts are listed with strikes and a trading day as expiry")


def _check_known(name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ScriptError(f"{name!r} is none of {', '.join(filter(None, known))}")


def _check_refusal(act: Refuse) -> None:
    if act.code not in _CODES:
        raise ScriptError(f"{act.code} is none of the codes {', '.join(map(str, _CODES))}")
    signing = act.service == ADMIN or act.command in SIGNING
    if act.code in SUCCEEDED and signing:
        raise ScriptError(f"code {act.code} answers subscriptions only")
