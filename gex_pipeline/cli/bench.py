"""`gex bench NAME`: measure a part of the project against its limits and peers."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import click

from gex_pipeline.errors import BenchError

_PACKAGE: Final = "gex_pipeline_tests.bench"
NAMES: Final = ("engine", "tape", "lake", "replay", "live", "ingest")


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
@click.option("--rounds", default=200, show_default=True, help="Interleaved rounds.")
@click.pass_context
def bench(ctx: click.Context, *, name: str, as_json: bool, rounds: int) -> None:
    """Measure a part of the project against its limits, with floor and peers in the same run.

    Needs a checkout with everything installed (make install): peers and workloads are with the
    tests. The exit code is 1 when a limit is missed.

    \b
    Example:
      gex bench engine
      gex bench engine --json | jq .figures
    """
    if find_spec("gex_pipeline_tests") is None:
        raise BenchError
    module: Any = import_module(f"{_PACKAGE}.{name}")
    result = module.run(rounds)
    click.echo(result.to_json() if as_json else result.to_text())
    ctx.exit(0 if result.ok else 1)
