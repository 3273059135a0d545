"""`gex replay DATE`: a recorded session again, from the lake into a namespace of its own."""

import datetime
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import click
from redis import Redis

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.engine.direct import DirectRecorder
from gex_pipeline.engine.run import Engine
from gex_pipeline.engine.run import Plan as EnginePlan
from gex_pipeline.errors import HotStoreError
from gex_pipeline.gateway.connection import hot_url
from gex_pipeline.hot.connect import UNREACHABLE, connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import read_status
from gex_pipeline.hot.session import SessionInfo, session_keys
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.sessions import NEW_YORK, SECOND_NS
from gex_pipeline.market.symbology import to_canonical
from gex_pipeline.replay.captured import CaptureSource
from gex_pipeline.replay.namespace import remove
from gex_pipeline.replay.plan import Plan
from gex_pipeline.replay.session import Session
from gex_pipeline.replay.source import LakeSource, Source
from gex_pipeline.replay.words import moment_ns, speed_of
from gex_pipeline.settings import Origin, Settings, origin_of

LINE_EVERY_S: Final = 10.0
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")


@click.command()
@click.argument("date", type=click.DateTime(["%Y-%m-%d"]))
@click.option("--from", "start", metavar="HH:MM", help="First moment, New York time.")
@click.option("--to", "end", metavar="HH:MM", help="Last moment.")
@click.option("--until", metavar="HH:MM", help="Pause here; gex control resume goes on.")
@click.option("--speed", default="1", show_default=True, help="Market seconds in a second, or max.")
@click.option("--symbols", metavar="A,B", help="Whose figures are computed (GEX_SYMBOLS).")
@click.option("--session", metavar="ID", help="Name of the replay; letters, digits, - and _.")
@click.option("--capture", is_flag=True, help="From the raw capture instead of the lake.")
@click.option("--clean", is_flag=True, help="Remove its keys at the end; else they live a day.")
def replay(  # noqa: PLR0913 # click passes one argument per option
    *,
    date: datetime.datetime,
    start: str | None,
    end: str | None,
    until: str | None,
    speed: str,
    symbols: str | None,
    session: str | None,
    capture: bool,
    clean: bool,
) -> None:
    """Replay a recorded session date: tape, engine, API and page as they were, at any speed.

    Everything goes under the namespace replay:ID: of the hot store, with a clock of its own; lake,
    spool and live data are not touched. Figures after --from equal the recorded ones. Ctrl-C ends
    it; what it left can be read for a day. --capture plays the wire frames that gex stream --record
    kept, through the production decoder. An id that runs already is refused; one that ended or
    was killed begins anew.

    \b
    Example:
      gex replay 2026-11-20 --from 09:30 --speed 10
      gex replay 2026-11-20 --from 10:00 --to 11:00 --speed max --symbols SPX
      gex replay 2026-11-20 --capture --speed max
    """
    settings = service_settings(strict=False)
    origin = origin_of(settings)
    plan = Plan(
        session=_id(session or f"{date:%Y-%m-%d}-{secrets.token_hex(2)}"),
        date=date.date(),
        symbols=_symbols(symbols.split(",") if symbols else settings.gex_symbols),
        source=origin.source,
        mode=origin.mode,
        speed=speed_of(speed),
        start_ns=moment_ns(start, date.date()) if start else None,
        end_ns=moment_ns(end, date.date()) if end else None,
        until_ns=moment_ns(until, date.date()) if until else None,
        option_ticks=settings.gex_publish_option_ticks,
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with connect(_hot_url(settings, origin)) as store:
            _run(plan, store, settings, stop, capture=capture)
            if clean:
                remove(store, session_keys(plan.session))
    except UNREACHABLE as error:
        fact = f"the server does not answer ({type(error).__name__})"
        raise HotStoreError(fact, "Start it: gex up; or correct GEX_REDIS_URL.") from error


def _run(
    plan: Plan, store: Redis, settings: Settings, stop: threading.Event, *, capture: bool
) -> None:
    origin = origin_of(settings)
    channels = settings.schwab_tick_channel, settings.schwab_level2_channel
    keys = session_keys(plan.session, *channels)
    wanted = EnginePlan(
        symbols=plan.symbols,
        source=plan.source,
        mode=plan.mode,
        root=origin.root,
        duty=1.0,
        publish_per_s=settings.gex_publish_per_s,
    )
    source: Source = LakeSource(LakePaths(origin.root))
    if capture:
        source = CaptureSource(origin.root / "capture", wanted.feed)
    recorder = partial(DirectRecorder, store, keys)

    def compute(market_ns: Callable[[], int]) -> Engine:
        return Engine(wanted, store, keys, market_ns, recorder)

    one = Session(plan, store, keys, source, compute, Teller())
    served = read_status(store, Keys(origin.prefix), "serving")
    port = served.get("port", settings.gex_port)
    made_up = "SIMULATED " if plan.mode == "simulated" else ""
    click.echo(f"{made_up}REPLAY {plan.session} of {plan.date}: {', '.join(plan.symbols)}")
    click.echo(f"Page: http://127.0.0.1:{port}/?session={plan.session} (signed in by: gex open)")
    one.run(stop)


class Teller:
    """Shows how a replay goes: a line that changes on a terminal, now and then one elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._due_s = 0.0
        self._state = ""

    def __call__(self, info: SessionInfo) -> None:
        """Show what a replay says of itself."""
        changed = info.state != self._state
        if not (self._terminal or changed or time.monotonic() >= self._due_s):
            return
        self._due_s, self._state = time.monotonic() + LINE_EVERY_S, info.state
        over = info.state in ("ended", "failed")
        end = "\n" if over or not self._terminal else ""
        click.echo(("\r\x1b[K" if self._terminal else "") + _line(info) + end, nl=False)


def _line(info: SessionInfo) -> str:
    moment = datetime.datetime.fromtimestamp(info.market_ns / SECOND_NS, NEW_YORK)
    speed = "max" if info.speed is None else f"{info.speed:g}x"
    share = (info.market_ns - info.start_ns) / max(info.end_ns - info.start_ns, 1)
    problem = f"  {info.problem}" if info.problem else ""
    return (
        f"{info.state:8} {moment:%Y-%m-%d %H:%M:%S} New York  {share:4.0%}  {speed}"
        f"  {info.events:,} events  {info.events_per_s:,.0f}/s  lag {info.lag_s:.1f} s{problem}"
    )


def _hot_url(settings: Settings, origin: Origin) -> str:
    given = settings.gex_redis_url.reveal() if settings.gex_redis_url else None
    return hot_url(given, origin.root)


def _id(session: str) -> str:
    if _ID.fullmatch(session):
        return session
    raise click.BadParameter(
        f"{session!r}: use letters, digits, - and _, at most 40", param_hint="--session"
    )


def _symbols(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(to_canonical(name) for name in names if name.strip()))
