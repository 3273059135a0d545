"""`gex stream`: Schwab's stream and chains, or the simulator's, onto the tape."""

import asyncio
import signal
from collections.abc import Iterator

import click
import msgspec

from gex_pipeline.cli.account import SIMULATED, access, base_url, token_store
from gex_pipeline.cli.environment import read_environment, service_settings
from gex_pipeline.cli.logs import log_to_stderr
from gex_pipeline.cli.needed import missing
from gex_pipeline.errors import HotStoreError, SettingsError, SignInError
from gex_pipeline.feeds.schwab.fields import OPTIONS
from gex_pipeline.feeds.schwab.subscriptions import MOST_BYTES, chunks
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.hot.connect import connect
from gex_pipeline.settings import Origin, Settings, origin_of, read, unknown_names
from gex_pipeline.streamer.plan import Plan, make_plan
from gex_pipeline.streamer.run import stream as run_stream
from gex_pipeline.streamer.wiring import Wiring

SOURCES = ("schwab", SIMULATED)
REAL_GB, SIMULATED_GB = 20.0, 2.0
_OCC_SIZE = 21


class Preview(msgspec.Struct, frozen=True):
    """What `gex stream` would do, and what is wrong."""

    source: str
    mode: str
    root: str
    tokens: str
    base_url: str
    signed_in: bool
    chains: tuple[str, ...]
    chain_interval_s: float
    services: dict[str, tuple[str, ...]]
    """What is streamed in any case, by service, in Schwab's spelling."""
    symbol_limit: int
    fixed: int
    """Symbols of it: one counts in each service that has it."""
    option_room: int
    stream_requests: int
    problems: tuple[str, ...]


@click.command()
@click.option("--dry-run", is_flag=True, help="Print the plan and all problems; open no socket.")
@click.option(
    "--ensure-env",
    is_flag=True,
    help="Refuse to start unless all that Schwab needs is set; name each missing variable.",
)
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print one JSON object.")
@click.option(
    "--record/--no-record",
    default=None,
    help="Keep the wire frames as they came; default: GEX_RECORD, else when simulated.",
)
@click.pass_context
def stream(
    ctx: click.Context, *, dry_run: bool, ensure_env: bool, as_json: bool, record: bool | None
) -> None:
    """Stream market data onto the tape: Schwab's, or the simulator's.

    Started by gex up; by hand it needs GEX_REDIS_URL. Whole chains come by REST, then the stream
    holds the underlyings, the futures and the contracts with most gamma. It reconnects by itself
    and ends cleanly on Ctrl-C or SIGTERM.

    \b
    Example:
      gex stream --dry-run --ensure-env
      GEX_REDIS_URL=redis://127.0.0.1:6379 gex stream --record
    """
    if dry_run:
        preview = make_preview(ensure_env=ensure_env)
        click.echo(msgspec.json.encode(preview) if as_json else "\n".join(_lines(preview)))
        ctx.exit(2 if preview.problems else 0)
    settings = service_settings(strict=False)
    origin, (plan, problems) = origin_of(settings), _plan(settings)
    problems += _source_problems(settings, origin)
    if ensure_env:
        problems += _missing(settings, origin, store=True)
    if problems:
        raise SettingsError(tuple(dict.fromkeys(problems)))
    if settings.gex_redis_url is None:
        raise HotStoreError("GEX_REDIS_URL is not set", "Run gex up, or name the server there.")
    log_to_stderr(settings.gex_log_level, settings.gex_log_format)
    wired = wiring(settings, origin, plan, record=record)
    asyncio.run(_serve(settings, origin, wired, settings.gex_redis_url.reveal()))


async def _serve(settings: Settings, origin: Origin, wired: Wiring, redis_url: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with connect(redis_url) as client:
        await run_stream(wired, client, access(settings, origin), stop)


def make_preview(*, ensure_env: bool = False) -> Preview:
    """Return the preview of this environment; it reads files and opens no socket.

    With `ensure_env`, whatever Schwab needs and is not there is among the problems.
    """
    environment = read_environment()
    reading = read(environment.merged)
    settings, origin = reading.settings, origin_of(reading.settings)
    plan, plan_problems = _plan(settings)
    store = token_store(settings, origin)
    signed_in, sign_in_problems = _signed_in(settings, origin, store)
    unknown = tuple(name.message() for name in unknown_names(environment.merged))
    fixed = plan.keys(plan.options)
    keys = plan.keys([*plan.options, *["-" * _OCC_SIZE] * plan.option_room])
    return Preview(
        source=origin.source,
        mode=origin.mode,
        root=str(origin.root),
        tokens=str(store.folder),
        base_url=base_url(settings, origin),
        signed_in=signed_in,
        chains=plan.chains,
        chain_interval_s=settings.schwab_chain_interval_s,
        services={service: tuple(each) for service, each in fixed.items() if each},
        symbol_limit=plan.limit,
        fixed=plan.fixed,
        option_room=plan.option_room,
        stream_requests=sum(len(list(chunks(each))) for each in keys.values()),
        problems=(
            *environment.problems,
            *reading.problems,
            *unknown,
            *plan_problems,
            *_source_problems(settings, origin),
            *(_missing(settings, origin, store=False) if ensure_env else sign_in_problems),
        ),
    )


def wiring(settings: Settings, origin: Origin, plan: Plan, *, record: bool | None = None) -> Wiring:
    """Return what the streamer is told; no secret is in it. `record` overrides the settings."""
    simulated = origin.source == SIMULATED
    chosen = [each for each in (record, settings.gex_record, simulated) if each is not None]
    keep_gb = settings.gex_capture_keep_gb
    return Wiring(
        source=origin.source,
        mode=origin.mode,
        root=origin.root,
        prefix=origin.prefix,
        channels=(settings.schwab_tick_channel, settings.schwab_level2_channel),
        plan=plan,
        base_url=base_url(settings, origin),
        requests_per_minute=settings.schwab_requests_per_minute,
        chain_interval_s=settings.schwab_chain_interval_s,
        timeout_s=settings.schwab_request_timeout_s,
        silence_s=settings.schwab_silence_s,
        reconnect_max_s=settings.schwab_reconnect_max_s,
        fsync_ms=settings.gex_spool_fsync_ms,
        option_ticks=settings.gex_publish_option_ticks,
        ticks_mb=settings.gex_hot_ticks_mb,
        record=chosen[0],
        capture_keep_gb=keep_gb or (SIMULATED_GB if simulated else REAL_GB),
        disk_alert_percent=settings.gex_disk_alert_percent,
        disk_stop_percent=settings.gex_disk_stop_percent,
        spool_retention_days=settings.gex_spool_retention_days,
    )


def _plan(settings: Settings) -> tuple[Plan, tuple[str, ...]]:
    return make_plan(
        settings.gex_symbols,
        settings.schwab_symbols,
        settings.schwab_symbol_limit,
        settings.schwab_level2_symbols,
    )


def _source_problems(settings: Settings, origin: Origin) -> tuple[str, ...]:
    if origin.source not in SOURCES:
        return (
            f"GEX_SOURCE is {origin.source}, which gex stream does not stream."
            f" Set it to one of {', '.join(SOURCES)}.",
        )
    if origin.source == "schwab" and settings.schwab_client_id is None:
        return (
            "GEX_SOURCE is schwab and SCHWAB_CLIENT_ID is not set."
            " Set it and SCHWAB_CLIENT_SECRET, or set GEX_SOURCE to simulator.",
        )
    return ()


def _missing(settings: Settings, origin: Origin, *, store: bool) -> tuple[str, ...]:
    """Return a line for each variable that Schwab needs and that is missing."""
    tokens = TokenStore(settings.gex_tokens_dir.absolute())
    refused = tokens.refused()
    signed_in = refused is not None or _signed_in(settings, origin, tokens)[0]
    lines = missing(settings, signed_in=signed_in, store=store)
    return (*lines, *(() if refused is None else (refused,)))


def _signed_in(
    settings: Settings, origin: Origin, store: TokenStore
) -> tuple[bool, tuple[str, ...]]:
    """Return whether there is a token, and what is wrong; the simulator makes its own."""
    try:
        store.read()
    except SignInError as error:
        seeded = settings.schwab_refresh_token is not None and store.empty
        simulated = origin.source == SIMULATED and store.empty
        return False, () if seeded or simulated else (str(error),)
    refused = store.refused()
    return refused is None, () if refused is None else (refused,)


def _lines(preview: Preview) -> Iterator[str]:
    mark = " (SIMULATED)" if preview.mode == "simulated" else ""
    yield f"source    {preview.source}{mark} at {preview.base_url}"
    yield f"root      {preview.root}"
    yield f"tokens    {preview.tokens}: {'signed in' if preview.signed_in else 'no token'}"
    yield f"chains    {', '.join(preview.chains)} every {preview.chain_interval_s:g} s by REST"
    for service, symbols in preview.services.items():
        yield f"{service:<24}  {', '.join(symbols)}"
    yield f"{OPTIONS:<24}  the {preview.option_room:,} contracts with most gamma"
    yield (
        f"symbols   {preview.symbol_limit:,} at most: {preview.fixed:,} above, candles and books"
        f" counted, and {preview.option_room:,} contracts"
    )
    yield f"requests  {preview.stream_requests} of at most {MOST_BYTES:,} bytes to subscribe"
    yield from (f"problem: {problem}" for problem in preview.problems)
    if not preview.problems:
        yield "no problem found"
