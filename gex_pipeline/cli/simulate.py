"""`gex simulate`: a simulated market behind Schwab's protocol."""

import asyncio
import datetime
import signal
from pathlib import Path

import click

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.errors import ChainFileError, ScriptError
from gex_pipeline.feeds.chainfile import read_chain_file
from gex_pipeline.market.sessions import NEW_YORK, trading_day_on_or_before
from gex_pipeline.simulator.acts import AnyAct, read_script
from gex_pipeline.simulator.connection import SYMBOL_LIMIT, Pace
from gex_pipeline.simulator.origin import Origin, read_origin
from gex_pipeline.simulator.server import HOST, RATE, SimulatedServer
from gex_pipeline.simulator.tokens import SCHWABS, Lives
from gex_pipeline.simulator.wall import wall_ns

SIMULATED = "sim"
"""Folder of all simulated data in the data folder."""


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.")
@click.option("--seed", type=int, help="Seed of the market.")
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True), help="Market seconds in a second."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Updates of the whole market per market second (400).",
)
@click.option("--contracts", type=click.IntRange(min=8), help="Option contracts in all.")
@click.option(
    "--symbol-limit", type=click.IntRange(min=1), help="Symbols that a stream may subscribe (500)."
)
@click.option(
    "--access-life-s", type=click.IntRange(min=1), help="Seconds that access tokens live (1800)."
)
@click.option(
    "--refresh-life-s",
    type=click.IntRange(min=1),
    help="Seconds that refresh tokens live from the consent (604800).",
)
@click.option(
    "--start",
    metavar="TIME",
    help="Open here instead of at 09:31: 03:30, or 2026-11-20T03:30; New York time.",
)
@click.option(
    "--from-chain",
    "chain",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Start from a real chain's strikes, open interest and volatilities, on its date.",
)
@click.option(
    "--script",
    "acts",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What happens to the market and its vendor: a JSON list of acts (docs/commands.md).",
)
def simulate(  # noqa: PLR0913 # click passes one argument per option
    *,
    port: int | None,
    seed: int | None,
    speed: float | None,
    rate: float | None,
    contracts: int | None,
    symbol_limit: int | None,
    access_life_s: int | None,
    refresh_life_s: int | None,
    start: str | None,
    chain: Path | None,
    acts: Path | None,
) -> None:
    """Run a simulated market that speaks Schwab's OAuth, REST and streamer protocol.

    \b
    Example:
      gex simulate
      gex simulate --speed 60 --contracts 2000 --rate 100
      gex simulate --from-chain spx_quotedata.csv
      gex simulate --start 2026-11-20T09:25 --script faults.json
      gex simulate --symbol-limit 1000 --access-life-s 60
    """
    settings = service_settings(strict=False)
    server = SimulatedServer(
        settings.gex_simulator_port if port is None else port,
        root=settings.gex_data_dir / SIMULATED,
        seed=settings.gex_simulator_seed if seed is None else seed,
        speed=speed or settings.gex_simulator_speed,
        contracts=contracts or settings.gex_simulator_contracts,
        pace=Pace(
            rate or settings.gex_simulator_rate or RATE, symbol_limit=symbol_limit or SYMBOL_LIMIT
        ),
        lives=Lives(
            access=access_life_s or SCHWABS.access, refresh=refresh_life_s or SCHWABS.refresh
        ),
        start=_start_ns(start),
        origin=None if chain is None else _origin(chain),
        script=() if acts is None else _script(acts),
    )
    asyncio.run(_run(server))


async def _run(server: SimulatedServer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    announcing = asyncio.create_task(_announce(server))
    try:
        await server.run(stop)
    finally:
        announcing.cancel()


async def _announce(server: SimulatedServer) -> None:
    await server.ready.wait()
    click.echo(f"SIMULATED market on http://{HOST}:{server.port}, data in {server.root}")


def _origin(path: Path) -> Origin:
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ChainFileError(f"{reason}: {path}") from error
    return read_origin(read_chain_file(data))


def _script(path: Path) -> list[AnyAct]:
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ScriptError(f"{reason}: {path}") from error
    return read_script(data)


def _start_ns(text: str | None) -> int | None:
    """Return New York time as UTC nanoseconds; a bare time is of the newest trading day."""
    if text is None:
        return None
    try:
        moment = _moment(text)
    except ValueError as error:
        example = "03:30 or 2026-11-20T03:30"
        raise click.BadParameter(
            f"{text!r} is no time such as {example}", param_hint="--start"
        ) from error
    local = moment if moment.tzinfo else moment.replace(tzinfo=NEW_YORK)
    return round(local.timestamp() * 1000) * 1_000_000


def _moment(text: str) -> datetime.datetime:
    if "T" in text or " " in text:
        return datetime.datetime.fromisoformat(text)
    today = datetime.datetime.fromtimestamp(wall_ns() // 1_000_000_000, NEW_YORK).date()
    time = datetime.time.fromisoformat(text)
    return datetime.datetime.combine(trading_day_on_or_before(today), time)
