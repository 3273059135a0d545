"""`gex verify`: does a date close, from the socket's count to the day files?"""

import datetime
from collections.abc import Iterable, Iterator
from typing import Final

import click
import msgspec
import redis

from gex_pipeline.archive.uncommitted import hot_frames
from gex_pipeline.archive.verify import Places, Report, TableCount, newest_date, verify
from gex_pipeline.cli.environment import service_settings
from gex_pipeline.errors import InputError, UnavailableError
from gex_pipeline.gateway.connection import hot_url
from gex_pipeline.hot.connect import UNREACHABLE, connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.quality.closing import Break
from gex_pipeline.settings import Origin, Settings, origin_of

NOWHERE: Final = "redis://127.0.0.1:1"
"""Address at which nobody answers."""
SHOWN: Final = 10
"""Breaks that the text shows."""


@click.command("verify")
@click.option(
    "--date",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Session date; default: the newest that is held.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def verify_date(ctx: click.Context, *, date: datetime.datetime | None, as_json: bool) -> None:
    """Close the ledger of a session date: received = written + conflated + rejected.

    Per tape, table and minute: the socket's count, the raw capture counted by another reader, the
    rows of spool, tape, parts and day files; and every number of each tape in one place or told as
    lost. Exit code 1 names the first place that does not close.

    \b
    Example:
      gex verify
      gex verify --date 2026-11-25 --json
    """
    settings = service_settings(strict=False)
    origin = origin_of(settings)
    with connect(_address(settings, origin)) as store:
        places = _places(origin, store if _answers(store) else None)
        day = date.date() if date is not None else newest_date(places)
        if day is None:
            raise InputError(f"Nothing is held in {origin.root}. Start everything: gex up")
        report = verify(places, day)
    if not report.tapes:
        raise InputError(
            f"Nothing of {day} is held in {origin.root}: never recorded, or let go by retention."
            " Name another --date."
        )
    if as_json:
        fields = {"mode": origin.mode} | msgspec.structs.asdict(report)
        click.echo(msgspec.json.encode(fields).decode())
    else:
        click.echo("\n".join(_lines(report, origin.mode)))
    ctx.exit(0 if report.closes else 1)


def _address(settings: Settings, origin: Origin) -> str:
    """Return where the hot store is, or would be."""
    given = settings.gex_redis_url
    try:
        return hot_url(given.reveal() if given else None, origin.root)
    except UnavailableError:
        return NOWHERE


def _answers(store: redis.Redis) -> bool:
    try:
        return bool(store.ping())
    except UNREACHABLE:
        return False


def _places(origin: Origin, store: redis.Redis | None) -> Places:
    root = origin.root
    hot = None if store is None else hot_frames(store, Keys(prefix=origin.prefix))
    return Places(LakePaths(root), root / "spool", root / "capture", hot)


def _lines(report: Report, mode: str) -> Iterator[str]:
    note = " (SIMULATED)" if mode == "simulated" else ""
    yield f"{report.date}{note}: {'closes' if report.closes else 'DOES NOT CLOSE'}"
    if report.first_break is not None:
        yield f"first: {_words(report.first_break)}"
        yield from (f"       {_words(each)}" for each in report.breaks[1:SHOWN])
        if report.breaks_found > SHOWN:
            yield f"       and {report.breaks_found - SHOWN:,} more"
    yield ""
    yield from _table(report.tables)
    yield ""
    yield f"capture: {_capture(report)}"
    yield f"hot store: {'read' if report.hot else 'absent'}"
    for tape in report.tapes:
        places = ", ".join(f"{count:,} in {place}" for place, count in tape.events.items())
        yield f"{tape.tape}: {tape.first_seq:,} to {tape.last_seq:,}, {places}, {tape.lost:,} lost"
        gaps = ", ".join(f"{count} {cause}" for cause, count in sorted(tape.gaps.items()))
        yield from [f"  gaps: {gaps}"] * bool(gaps)
        for each in tape.unsettled:
            behind = "its owner was killed" if each.before_seq else "its owner is at work"
            counted = ", ".join(f"{n:,} {table}" for table, n in sorted(each.events.items()))
            yield f"  behind seq {each.after_seq:,} not settled, {behind}: {counted}"
    yield from (f"inside a gap: {_words(each)}" for each in report.inside_gaps[:SHOWN])


def _table(lines: Iterable[TableCount]) -> Iterator[str]:
    heads = ("received", "written", "conflated", "rejected", "rows")
    yield f"{'tape':<16}{'table':<15}" + "".join(f"{head:>13}" for head in heads)
    for line in lines:
        counts = (line.received, line.written, line.conflated, line.rejected, line.rows)
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in sorted(line.reasons.items()))
        row = f"{line.tape:<16}{line.table or '-':<15}" + "".join(f"{n:>13,}" for n in counts)
        yield f"{row}  {reasons}".rstrip()


def _capture(report: Report) -> str:
    if report.capture == "absent":
        return "absent"
    frames = f"{report.capture_frames:,} frames"
    return f"{report.capture}, {frames}, compared in {report.capture_minutes:,} minutes"


def _words(each: Break) -> str:
    when = "" if each.minute_ns is None else f" {et_datetime(each.minute_ns):%H:%M} New York"
    seqs = "" if each.first_seq is None else f", seq {each.first_seq:,}"
    to = "" if each.last_seq in (None, each.first_seq) else f" to {each.last_seq:,}"
    place = " ".join(part for part in (each.stage, each.tape, each.table) if part)
    return f"{place}{when}: {each.words} ({each.by:+,}{seqs}{to})"
