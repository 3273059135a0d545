"""`gex verify`: does a date close, from the socket's count to the day files?"""

import datetime
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import click
import msgspec
import redis

from gex_pipeline.archive.tape import HotSource
from gex_pipeline.archive.uncommitted import HotFrames
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
    with _places(settings, origin) as places:
        day = date.date() if date is not None else newest_date(places)
        if day is None:
            raise InputError(f"Nothing is held in {origin.root}. Start everything: gex up")
        report = verify(places, day)
    if not report.tapes:
        raise InputError(f"Nothing of {day} is held in {origin.root}. Name another --date.")
    if as_json:
        fields = {"mode": origin.mode} | msgspec.structs.asdict(report)
        click.echo(msgspec.json.encode(fields).decode())
    else:
        click.echo("\n".join(_lines(report, origin.mode)))
    ctx.exit(0 if report.closes else 1)


@contextmanager
def _places(settings: Settings, origin: Origin) -> Iterator[Places]:
    """Give the places of a root; the hot store too, if one answers."""
    root, given = origin.root, settings.gex_redis_url
    places = Places(LakePaths(root), root / "spool", root / "capture")
    try:
        with connect(hot_url(given.reveal() if given else None, root)) as store:
            store.ping()
            hot = _frames(HotSource(store, Keys(prefix=origin.prefix), root / "spool"))
            yield msgspec.structs.replace(places, hot=hot)
    except (UnavailableError, *UNREACHABLE):
        yield places
