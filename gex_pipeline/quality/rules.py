"""Rules on one day's events, as masks over columns; and what each finding is worth.

Nothing is ever taken out: a tick that breaks a rule stays where it was received, and the verdict
says so.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.quality.ledger import MINUTE_NS
from gex_pipeline.quality.spans import Span, length, without

Verdict = Literal["pass", "warn", "fail", "absent"]

WINDOW = 51
"""Events around one that its band is made of."""
WIDTH = 10.0
"""Half of the band, in robust standard deviations."""
FLOOR_SHARE = 0.002
"""Half of the band at least, as a share of the median: a price that stands still has no spread."""
SILENCE_NS = MINUTE_NS
_MAD_TO_SIGMA = 1.4826
_CHUNK = 50_000


class Rule(msgspec.Struct, frozen=True):
    """A rule by name, and when what it finds is a failure."""

    name: str
    meaning: str
    fail_above: float
    """Share of what was checked; up to it, whatever is found is a warning."""


RULES = {
    rule.name: rule
    for rule in (
        Rule("lost", "Numbers of the tape that no place holds any more.", 0.0),
        Rule("gap", "Seconds of the session inside gaps that the tape tells.", 0.01),
        Rule("source_seq", "Numbers of the source's own sequence that never came.", 0.0),
        Rule("rate", "Minutes of the session, outside told gaps, without one tick.", 0.01),
        Rule("silence", "Seconds of silences above a minute, in session, outside gaps.", 0.05),
        Rule("crossed", "Quotes whose bid is above their ask.", 0.001),
        Rule("outlier", "Prices outside a robust band around those next to them.", 0.001),
        Rule("order", "Ticks whose own time is before that of the tick before.", 0.05),
        Rule("duplicate", "Ticks that repeat the one before in every figure and time.", 0.05),
        Rule("price", "Prices of zero or below where none can be.", 0.001),
        Rule("crossed_options", "The same as crossed, of an underlying's options.", 0.01),
        Rule("order_options", "The same as order, contract by contract.", 0.05),
        Rule("duplicate_options", "The same as duplicate, contract by contract.", 0.05),
        Rule("price_options", "Bids, asks or sales of options below zero.", 0.001),
        Rule("spot_check", "Events drawn at random that differ from the raw capture.", 0.0),
    )
}
"""By name, in the order of the documents."""


class Finding(msgspec.Struct, frozen=True):
    """What a rule saw."""

    checked: int
    found: int
    ts_first_ns: int | None = None
    ts_last_ns: int | None = None
    detail: str = ""

    def __add__(self, other: "Finding") -> "Finding":
        """Return both together: of another stretch of the day."""
        firsts = [each.ts_first_ns for each in (self, other) if each.ts_first_ns is not None]
        lasts = [each.ts_last_ns for each in (self, other) if each.ts_last_ns is not None]
        return Finding(
            self.checked + other.checked,
            self.found + other.found,
            min(firsts, default=None),
            max(lasts, default=None),
            self.detail or other.detail,
        )


NOTHING = Finding(0, 0)


def judged(rule: str, finding: Finding) -> Verdict:
    """Return the verdict on a finding; nothing to judge by is absent."""
    if not finding.checked:
        return "absent"
    if not finding.found:
        return "pass"
    return "fail" if finding.found > RULES[rule].fail_above * finding.checked else "warn"


def found_in(mask: Bools, ts_ns: Ints, checked: int, detail: str = "") -> Finding:
    """Return the finding of a mask over events; `detail` is said if there is any."""
    places = ts_ns[mask]
    if not len(places):
        return Finding(checked, 0)
    return Finding(checked, len(places), int(places.min()), int(places.max()), detail)


# --- rules on events, in the order of their seqs --------------------------------------------------


def crossed(bid: Floats, ask: Floats) -> Bools:
    """Return where the bid is above the ask; a side that is missing or 0 crosses nothing."""
    return (bid > ask) & (ask > 0)


def backwards(code: Ints, ts_event_ns: Ints) -> Bools:
    """Return where an event's own time is before that of its symbol's event before it."""
    return _compared(code, lambda this, before: ts_event_ns[this] < ts_event_ns[before])


def repeated(code: Ints, columns: Sequence[NDArray[Any]]) -> Bools:
    """Return where an event equals its symbol's event before it in all columns; NaN equals NaN."""

    def equal(this: Ints, before: Ints) -> Bools:
        same = np.ones(len(this), np.bool_)
        for column in columns:
            now, then = column[this], column[before]
            same &= (now == then) | ((now != now) & (then != then))
        return same

    return _compared(code, equal)


def skipped(code: Ints, source_seq: Ints) -> int:
    """Return how many numbers of the source's sequences are missing between those that came."""
    missing = 0
    for one in np.unique(code).tolist():
        came = np.unique(source_seq[code == one])
        missing += int(came[-1] - came[0] + 1 - len(came))
    return missing


def outliers(values: Floats, *, window: int = WINDOW, width: float = WIDTH) -> Bools:
    """Return where a value leaves the band around the median of those next to it.

    The band is `width` robust standard deviations (1.4826 MAD) of the window that has the value in
    its middle, or of the first or last whole one, and a small share of the median at least. Fewer
    values than a window are judged by all of them.
    """
    count = len(values)
    window = min(window, count)
    out = np.zeros(count, np.bool_)
    if not window:
        return out
    windows = sliding_window_view(values, window)
    for start in range(0, count, _CHUNK):
        places = np.arange(start, min(start + _CHUNK, count))
        rows = np.clip(places - window // 2, 0, len(windows) - 1)
        first, last = rows[0], rows[-1] + 1
        middle = np.median(windows[first:last], axis=1)
        spread = np.median(np.abs(windows[first:last] - middle[:, None]), axis=1)
        half = np.maximum(width * _MAD_TO_SIGMA * spread, FLOOR_SHARE * np.abs(middle))
        at = rows - first
        out[places] = np.abs(values[places] - middle[at]) > half[at]
    return out


def _compared(code: Ints, breaks: Any) -> Bools:
    """Return where `breaks` holds between an event and its symbol's event before it."""
    order = np.argsort(code, kind="stable")
    out = np.zeros(len(code), np.bool_)
    follows = code[order[1:]] == code[order[:-1]]
    this, before = order[1:][follows], order[:-1][follows]
    out[this] = breaks(this, before)
    return out


# --- rules on time --------------------------------------------------------------------------------


def quiet_minutes(ts_ns: Ints, session: Span, gaps: Iterable[Span]) -> Finding:
    """Return how many whole minutes of a session have no event, of those that no gap touches."""
    first, last = -(-session[0] // MINUTE_NS), session[1] // MINUTE_NS
    told = list(gaps)
    ticked = set(np.unique(ts_ns // MINUTE_NS).tolist())
    expected = [
        minute
        for minute in range(first, last)
        if not any(a < (minute + 1) * MINUTE_NS and b > minute * MINUTE_NS for a, b in told)
    ]
    quiet = [minute * MINUTE_NS for minute in expected if minute not in ticked]
    if not quiet:
        return Finding(len(expected), 0)
    return Finding(len(expected), len(quiet), quiet[0], quiet[-1] + MINUTE_NS, "no tick")


def silences(
    ts_ns: Ints, session: Span, gaps: Iterable[Span], limit_ns: int = SILENCE_NS
) -> Finding:
    """Return the seconds of a session in which nothing came for longer than the limit.

    Of a silence what a told gap covers does not count.
    """
    told = list(gaps)
    inside = np.sort(ts_ns[(ts_ns >= session[0]) & (ts_ns < session[1])])
    edges = np.concatenate([[session[0]], inside, [session[1]]])
    waits = np.flatnonzero(np.diff(edges) > limit_ns)
    spans = [
        left
        for at in waits.tolist()
        for left in without((int(edges[at]), int(edges[at + 1])), told)
        if left[1] - left[0] > limit_ns
    ]
    checked = length(without(session, told)) // 1_000_000_000
    if not spans:
        return Finding(checked, 0)
    longest = max(stop - start for start, stop in spans) // 1_000_000_000
    found = length(spans) // 1_000_000_000
    return Finding(checked, found, spans[0][0], spans[-1][1], f"longest {longest} s")


def told_gaps(session: Span, gaps: Iterable[Span]) -> Finding:
    """Return the seconds of a session inside gaps."""
    inside = [(max(a, session[0]), min(b, session[1])) for a, b in gaps]
    inside = [each for each in inside if each[0] < each[1]]
    checked = (session[1] - session[0]) // 1_000_000_000
    if not inside:
        return Finding(checked, 0)
    found = -(-length(inside) // 1_000_000_000)
    words = f"{len(inside)} gaps"
    return Finding(checked, found, min(a for a, _ in inside), max(b for _, b in inside), words)
