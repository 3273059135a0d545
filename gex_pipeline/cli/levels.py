"""`gex levels`: exposure and levels of one option chain file, or of a symbol at a moment."""

import datetime
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import msgspec

from gex_pipeline.cli.report import report
from gex_pipeline.errors import ChainFileError, ConventionError, MomentError, SymbolError
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
from gex_pipeline.market.symbology import to_canonical

OURS = "gexc-1"
_SUFFIXES = (".csv", ".dat", ".json", ".txt")


@click.command()
@click.argument("source", metavar="FILE|SYMBOL")
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
    help="When a file's quotes were taken, instead of what it says; of a SYMBOL, the second whose"
    " figures are asked for. New York time unless it carries an offset.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the whole snapshot as one JSON object."
)
def levels(*, source: str, scope: str, convention: str, as_of: str | None, as_json: bool) -> None:
    """Show gamma exposure and levels of an option chain FILE (- reads standard input) or a SYMBOL.

    FILE is a Cboe quote table (CSV or .dat), a Cboe option JSON or a Schwab chain JSON; its content
    decides. Of a SYMBOL, --as-of reads the lake and gives what live recorded for that second;
    without it, the newest chain of the running engine. Of a future or view (/ES, ES_SPX) the levels
    are its index's, moved by the basis. Dollars are of dealer delta per +1% of spot.

    \b
    Example:
      gex levels spx_quotedata.csv
      gex levels spx_quotedata.csv --scope 0dte
      gex levels spx_quotedata.csv --json | jq .zero_gamma
      gex levels SPX --as-of 2026-11-20T10:00
      gex levels /ES
    """
    known, moment_ns = _known(convention), _moment_ns(as_of)
    symbol = _symbol(source)
    if symbol is None:
        snapshot = compute(_read(source), check_scope(scope), known, moment_ns)
    else:
        snapshot = _recorded(symbol, check_scope(scope), known, moment_ns)
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


def _symbol(text: str) -> str | None:
    """Return the symbol that a text names, None where it names a file, there or not."""
    if text == "-" or Path(text).exists() or Path(text).suffix.lower() in _SUFFIXES:
        return None
    try:
        return to_canonical(text)
    except SymbolError:
        return None


def _recorded(symbol: str, scope: str, convention: str, asof_ns: int | None) -> GexSnapshot:
    """Return a symbol's figures; stores and their libraries are loaded only here."""
    module: Any = import_module("gex_pipeline.cli.recorded")
    vendor = None if convention == OURS else convention
    snapshot: GexSnapshot = module.snapshot_of(symbol, scope, vendor, asof_ns)
    return snapshot


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
