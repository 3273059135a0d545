"""`gex levels`: exposure and levels of one option chain file."""

import datetime
import sys
from pathlib import Path

import click
import msgspec

from gex_pipeline.cli.report import report
from gex_pipeline.errors import ChainFileError, ConventionError, MomentError
from gex_pipeline.exposure.convention import CROSS_CHECKS, GEXC_1
from gex_pipeline.exposure.crosscheck import cross_check
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.scopes import NAMES, check_scope
from gex_pipeline.exposure.snapshot import GexSnapshot
from gex_pipeline.feeds.chainfile import read_chain_file
from gex_pipeline.market.sessions import (
    FIRST_DAY,
    LAST_DAY,
    NEW_YORK,
    SECOND_NS,
    et_datetime,
)

OURS = "gexc-1"


@click.command()
@click.argument("file")
@click.option(
    "--scope",
    default="all",
    show_default=True,
    help=f"Which expiries: {', '.join(NAMES)} or expiry:YYYY-MM-DD[:ROOT].",
)
@click.option(
    "--convention",
    default=OURS,
    show_default=True,
    help=f"Ours, or another tool's for comparison: {', '.join(CROSS_CHECKS)}.",
)
@click.option(
    "--as-of",
    "as_of",
    metavar="ISO-TIME",
    help="When the quotes were taken, instead of what the file says; New York time unless it"
    " carries an offset.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the whole snapshot as one JSON object."
)
def levels(*, file: str, scope: str, convention: str, as_of: str | None, as_json: bool) -> None:
    """Show gamma exposure and levels of an option chain FILE (- reads standard input).

    FILE is a Cboe quote table (CSV or .dat), a Cboe option JSON or a Schwab chain JSON; its content
    decides. Dollars are of dealer delta per +1% of spot.

    \b
    Example:
      gex levels spx_quotedata.csv
      gex levels spx_quotedata.csv --scope 0dte
      gex levels spx_quotedata.csv --json | jq .zero_gamma
    """
    snapshot = compute(_read(file), check_scope(scope), _known(convention), _moment_ns(as_of))
    if as_json:
        click.echo(msgspec.json.encode(snapshot))
        return
    click.echo("\n".join(report(snapshot)))


def compute(data: bytes, scope: str, convention: str, asof_ns: int | None) -> GexSnapshot:
    """Return the snapshot of the file's bytes under a named convention."""
    source = read_chain_file(data)
    chain = clean_chain(source, asof_ns)
    if convention == OURS:
        return fold(chain, (scope,))[scope]
    counted_from = asof_ns or source.ts_source_ns or chain.asof_ns
    return cross_check(chain, convention, scope, et_datetime(counted_from).date())


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ChainFileError(f"no readable file: {error}") from error


def _known(convention: str) -> str:
    if convention == GEXC_1.id:
        return OURS
    known = (OURS, *CROSS_CHECKS)
    if convention not in known:
        raise ConventionError("Convention", convention, known)
    return convention


def _moment_ns(text: str | None) -> int | None:
    """Return an ISO time as UTC nanoseconds; New York's where it has no offset."""
    if text is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise MomentError(f"{text!r} is no ISO time.") from error
    if len(text) <= len("2024-01-05"):
        raise MomentError(f"{text!r} has no time of day.")
    if not FIRST_DAY < moment.date() < LAST_DAY:
        raise MomentError(f"{text!r} lies outside the trading calendar, {FIRST_DAY} to {LAST_DAY}.")
    local = moment if moment.tzinfo else moment.replace(tzinfo=NEW_YORK)
    elapsed = local - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return elapsed // datetime.timedelta(microseconds=1) * (SECOND_NS // 1_000_000)
