"""The quality rules on one session date of the lake; their verdicts become the table `quality`."""

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl

from gex_pipeline.archive.findings import (
    bad_option_prices,
    bad_prices,
    codes,
    crossed_quotes,
    duplicates,
    ints,
    out_of_order,
    outlying,
    summed,
)
from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.spotcheck import check
from gex_pipeline.archive.ticks import TapeTicks
from gex_pipeline.archive.verify import SOURCE
from gex_pipeline.errors import InputError
from gex_pipeline.lake.derived import Derived, commit_derived, read_derived
from gex_pipeline.lake.parquet import write_rows
from gex_pipeline.lake.parts import Manifest, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.sessions import Calendar, session
from gex_pipeline.market.symbology import INDEXES, calendar_of
from gex_pipeline.market.tables import LAKE_SCHEMA_VERSION, QUALITY
from gex_pipeline.quality.rules import (
    NOTHING,
    Finding,
    Verdict,
    judged,
    quiet_minutes,
    silences,
    skipped,
    told_gaps,
)
from gex_pipeline.quality.spans import Span

SPOTS: Final = 50
"""Events of each tape that are drawn for the spot check."""
KEY: Final = "rules"
_CALENDARS: Final[tuple[Calendar, ...]] = ("equity", "index", "cme")
_QUOTE: Final = ("ts_event_ns", "ts_recv_ns", "bid", "ask", "bid_size", "ask_size")
_TRADE: Final = ("ts_event_ns", "ts_recv_ns", "price", "size", "volume")
_OPTION: Final = (*_QUOTE, "last", "iv", "volume", "open_interest")


class Judged(msgspec.Struct, frozen=True):
    """One row of the table."""

    tape: str
    symbol: str
    rule: str
    verdict: Verdict
    finding: Finding


def judge(
    paths: LakePaths,
    date: datetime.date,
    *,
    symbols: Sequence[str],
    capture: Path,
    spots: int = SPOTS,
) -> list[Judged]:
    """Return every verdict on a date; `symbols` are the configured ones, canonical."""
    found = []
    for calendar in _CALENDARS:
        ticks = TapeTicks(paths, read_chain(paths, f"{SOURCE}.{calendar}"), date)
        if ticks.nodes:
            mine = [symbol for symbol in symbols if calendar_of(symbol) == calendar]
            found += list(_Judge(ticks, calendar).verdicts(mine, capture, spots))
    return found


def judge_days(
    paths: LakePaths, origin: Origin, *, symbols: Sequence[str], capture: Path
) -> dict[datetime.date, list[Judged]]:
    """Judge the finished dates that have no verdict yet, or of which more has come since."""
    known = {each.date: each.made_from for each in read_derived(paths, QUALITY.name)}
    judged_now = {}
    for date, made_from in sorted(_finished(paths).items()):
        if known.get(date) != made_from:
            verdicts = judge(paths, date, symbols=symbols, capture=capture)
            write_quality(paths, date, verdicts, origin, made_from)
            judged_now[date] = verdicts
    return judged_now


def _finished(paths: LakePaths) -> dict[datetime.date, str]:
    """Return the dates of which a tape has day files, and how far each tape goes on them."""
    ends: dict[datetime.date, dict[str, int]] = defaultdict(dict)
    finished = set()
    for calendar in _CALENDARS:
        for node in read_chain(paths, f"{SOURCE}.{calendar}").nodes:
            ends[node.date][node.tape] = node.last
            if isinstance(node, Manifest) and not node.retired:
                finished.add(node.date)
    return {
        date: " ".join(f"{tape}:{last}" for tape, last in ends[date].items()) for date in finished
    }


def write_quality(
    paths: LakePaths,
    date: datetime.date,
    verdicts: Sequence[Judged],
    origin: Origin,
    made_from: str = "",
) -> Derived:
    """Put the verdicts into the lake, in the place of those before."""
    rows = [
        {
            "source": origin.source,
            "mode": origin.mode,
            "session_date": date,
            "tape": each.tape,
            "symbol": each.symbol,
            "rule": each.rule,
            "verdict": each.verdict,
            **msgspec.structs.asdict(each.finding),
        }
        for each in verdicts
    ]
    record = Derived(
        table=QUALITY.name,
        key=KEY,
        date=date,
        file=f"{QUALITY.name}/date={date}/{KEY}.parquet",
        rows=len(rows),
        bytes=0,
        made_from=made_from,
        schema=LAKE_SCHEMA_VERSION,
    )
    return commit_derived(paths, record, partial(write_rows, QUALITY, rows))


class _Judge:
    """The rules on one tape."""

    def __init__(self, ticks: TapeTicks, calendar: Calendar) -> None:
        self.ticks = ticks
        self.gaps = ticks.gaps()
        self._calendar = calendar
        self._times = ticks.times()

    def verdicts(self, symbols: Sequence[str], capture: Path, spots: int) -> Iterator[Judged]:
        """Yield the tape's verdicts, then those of its symbols."""
        yield self._judged("", "lost", Finding(self.ticks.numbers, self.ticks.lost))
        hours = self._hours(self._calendar)
        yield self._judged("", "gap", told_gaps(hours, self.gaps) if hours else NOTHING)
        yield self._judged("", "source_seq", self._source_seq())
        yield self._judged("", "spot_check", self._spot_check(capture, spots))
        present = {*self.ticks.symbols("quotes"), *self.ticks.symbols("trades")}
        for symbol in sorted({*symbols, *present}):
            yield from self._of_symbol(symbol, expected=symbol in symbols)
        for underlying in filter(None, self.ticks.symbols("option_quotes")):
            yield from self._of_options(underlying)

    def _judged(self, symbol: str, rule: str, finding: Finding) -> Judged:
        return Judged(self.ticks.tape, symbol, rule, judged(rule, finding), finding)

    def _hours(self, calendar: Calendar) -> Span | None:
        """Return the part of the session that the tape can speak of; None: there is none."""
        try:
            hours = session(self.ticks.date, calendar)
        except InputError:  # no trading date of that calendar
            return None
        if self._times is None:
            return None
        first, last = self._times
        start = max(hours.open_ns, first) if self.ticks.new else hours.open_ns
        stop = hours.close_ns if self.ticks.over else min(hours.close_ns, last)
        return (start, stop) if start < stop else None

    def _source_seq(self) -> Finding:
        total = NOTHING
        for table in ("quotes", "trades", "depth", "candles"):
            scan = self.ticks.scan(table)
            if scan is None:
                continue
            rows = scan.select("symbol", "source_seq").drop_nulls().collect()
            if len(rows):
                code, seqs = codes(rows["symbol"]), rows["source_seq"].to_numpy()
                total += Finding(len(rows), skipped(code, seqs))
        return total

    def _spot_check(self, capture: Path, count: int) -> Finding:
        samples = self.ticks.draw(count, seed=self.ticks.date.toordinal())
        spots = check(samples, capture)
        if spots is None:
            return NOTHING
        stamps = [sample.ts_recv_ns for sample, _ in spots.differ]
        words = f"seq {spots.differ[0][0].seq}: {spots.differ[0][1]}" if spots.differ else ""
        return Finding(
            spots.equal + len(spots.differ),
            len(spots.differ),
            min(stamps, default=None),
            max(stamps, default=None),
            words or (f"{len(spots.unseen)} not captured" if spots.unseen else ""),
        )

    # --- one symbol -------------------------------------------------------------------------------

    def _of_symbol(self, symbol: str, *, expected: bool) -> Iterator[Judged]:
        quotes = self.ticks.of_symbol("quotes", symbol, _QUOTE)
        trades = self.ticks.of_symbol("trades", symbol, _TRADE)
        came = np.concatenate([ints(quotes, "ts_recv_ns"), ints(trades, "ts_recv_ns")])
        # An index is computed while its shares trade.
        hours = self._hours("equity" if symbol in INDEXES else self._calendar)
        if expected:
            minutes = quiet_minutes(came, hours, self.gaps) if hours else NOTHING
            yield self._judged(symbol, "rate", minutes)
            quiet = silences(came, hours, self.gaps) if hours else NOTHING
            yield self._judged(symbol, "silence", quiet)
        both = [frame for frame in (quotes, trades) if len(frame)]
        if len(quotes):
            yield self._judged(symbol, "crossed", crossed_quotes(quotes))
        yield self._judged(symbol, "outlier", outlying(quotes, trades))
        yield self._judged(symbol, "order", summed(both, out_of_order))
        yield self._judged(symbol, "duplicate", summed(both, duplicates))
        yield self._judged(symbol, "price", summed(both, bad_prices))

    def _of_options(self, underlying: str) -> Iterator[Judged]:
        """Judge contract by contract, half an hour at a time; the last ticks go on to the next."""
        rules: dict[str, Callable[[pl.DataFrame], Finding]] = {
            "crossed_options": crossed_quotes,
            "order_options": out_of_order,
            "duplicate_options": duplicates,
            "price_options": bad_option_prices,
        }
        totals = dict.fromkeys(rules, NOTHING)
        carry: pl.DataFrame | None = None
        for step in self.ticks.option_steps(underlying, _OPTION):
            whole = step if carry is None else pl.concat([carry, step])
            for name, rule in rules.items():
                alone = name in ("crossed_options", "price_options")
                found = rule(step if alone else whole)
                carried = 0 if alone or carry is None else len(carry)
                totals[name] += msgspec.structs.replace(found, checked=found.checked - carried)
            carry = whole.unique("symbol", keep="last", maintain_order=True)
        for name, total in totals.items():
            yield self._judged(underlying, name, total)
