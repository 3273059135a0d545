"""`gex repair`: every byte of the parts read, and damaged ones built again from the spool."""

from collections.abc import Sequence

import click
import msgspec

from gex_pipeline.archive.repair import Repaired, repair
from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.tape import SpoolSource
from gex_pipeline.cli.environment import service_settings
from gex_pipeline.lake.catalog import build_catalog
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.settings import origin_of


@click.command("repair")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def repair_lake(ctx: click.Context, *, as_json: bool) -> None:
    """Read every byte of the lake's parts; build damaged ones again where the spool still can.

    A damaged folder is put aside as lake/_intraday/TAPE/.bad-… and stays there. Damaged day files
    are named by gex verify and gex sql --check: put them back from a copy. Exit code 1: something
    damaged could not be built again.

    \b
    Example:
      gex repair
      gex repair --json
    """
    origin = origin_of(service_settings(strict=False))
    paths = LakePaths(origin.root)
    mode = "simulated" if origin.mode == "simulated" else "live"
    rows = Origin(source=origin.source, mode=mode, tape="")
    done = repair(SpoolSource(origin.root / "spool"), paths, rows)
    if done is None:
        click.echo("An archive step is at work. Try again in a minute.", err=True)
        ctx.exit(1)
    if any(each.rebuilt for each in done):
        build_catalog(paths)
    click.echo(_json(done) if as_json else _text(done))
    ctx.exit(0 if all(each.rebuilt for each in done) else 1)


def _json(done: Sequence[Repaired]) -> str:
    return msgspec.json.encode({"parts": done}).decode()


def _text(done: Sequence[Repaired]) -> str:
    if not done:
        return "No part is damaged."
    lines = []
    for each in done:
        what = "built again" if each.rebuilt else "NOT built again: the spool holds it no more"
        lines.append(f"{each.tape} {each.first} to {each.last}: {what}")
        lines += [f"  {problem}" for problem in each.problems]
    return "\n".join(lines)
