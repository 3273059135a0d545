"""`gex retention`: what is past its time, and with --apply its end."""

import datetime
from collections.abc import Sequence
from typing import Final

import click
import msgspec

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.lake.catalog import build_catalog
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.retention import Expired, cutoff, expired, retire
from gex_pipeline.settings import origin_of

_MEGABYTE: Final = 1e6


@click.command()
@click.option("--days", type=click.IntRange(min=1), help="Age in days; default GEX_RETENTION_DAYS.")
@click.option("--apply", "applied", is_flag=True, help="Let the files go; else only report.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def retention(ctx: click.Context, *, days: int | None, applied: bool, as_json: bool) -> None:
    """Report the day files that are older than GEX_RETENTION_DAYS; remove them with --apply.

    The age counts from the newest date that the lake holds. Unset (the default), all is kept. The
    lake's records of what it once held stay, and so do the tables made from it: daily, gex_1m,
    quality. Files go a quarter of an hour after they were let go, at the next clean-up.

    \b
    Example:
      gex retention --days 365
      gex retention --apply --json
    """
    settings = service_settings(strict=False)
    age = days if days is not None else settings.gex_retention_days
    paths = LakePaths(origin_of(settings).root)
    if age is None:
        click.echo('{"days": null, "expired": []}' if as_json else "Everything is kept.")
        return
    before = cutoff(paths, age)
    found = retire(paths, before) if applied else expired(paths, before)
    if found is None:
        click.echo("End of day or a clean-up is at work. Try again in a minute.", err=True)
        ctx.exit(1)
    if applied and found:
        build_catalog(paths)
    click.echo(_json(age, found, applied) if as_json else _text(before, found, applied))


def _json(days: int, found: Sequence[Expired], applied: bool) -> str:  # noqa: FBT001 # what was asked
    fields = {
        "days": days,
        "applied": applied,
        "bytes": sum(each.bytes for each in found),
        "expired": found,
    }
    return msgspec.json.encode(fields).decode()


def _text(before: datetime.date, found: Sequence[Expired], applied: bool) -> str:  # noqa: FBT001 # what was asked
    lines = [
        f"{each.date}  {each.tape:16} {len(each.files):3} files {each.rows:>12,} rows"
        f" {each.bytes / _MEGABYTE:>10,.1f} MB"
        for each in found
    ]
    size = sum(each.bytes for each in found) / _MEGABYTE
    what = "let go" if applied else "would go with --apply"
    return "\n".join([*lines, f"{len(found)} days before {before}: {size:,.1f} MB {what}."])
