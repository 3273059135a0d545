"""`gex engine`: the tape in, exposure snapshots, chains and recorded seconds out."""

import signal
import threading
from functools import partial

import click
from redis import Redis

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.engine.aside import Aside
from gex_pipeline.engine.pulse import Market, Pulse
from gex_pipeline.engine.run import Engine, Plan
from gex_pipeline.errors import HotStoreError
from gex_pipeline.hot.connect import UNREACHABLE, connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.settings import Origin, Settings, origin_of


@click.command()
def engine() -> None:
    """Compute exposure from the live tape, publish it and record each second.

    Started by gex up; by hand it needs GEX_REDIS_URL, the hot store that a streamer fills. It goes
    on where the last engine stopped, and ends cleanly on Ctrl-C or SIGTERM.

    \b
    Example:
      GEX_REDIS_URL=redis://127.0.0.1:6379 gex engine
    """
    settings = service_settings(strict=False)
    origin = origin_of(settings)
    if settings.gex_redis_url is None:
        raise HotStoreError("GEX_REDIS_URL is not set", "Run gex up, or name the server there.")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with connect(settings.gex_redis_url.reveal()) as store:
        try:
            pulse, one = _begin(store, _plan(settings, origin), Keys(origin.prefix), stop)
        except UNREACHABLE as error:
            fact = f"the server of GEX_REDIS_URL does not answer ({type(error).__name__})"
            raise HotStoreError(fact, "Start it, then start the engine again.") from error
        if one is not None:
            _run(one, pulse, stop)


def _begin(
    store: Redis, plan: Plan, keys: Keys, stop: threading.Event
) -> tuple[Pulse, Engine | None]:
    """Return the lease's pulse and the engine; none if told to stop before it was our turn."""
    market = Market(store, keys)
    pulse = Pulse(store, keys, market)
    return pulse, Engine(plan, store, keys, market.now_ns) if pulse.begin(stop) else None


def _run(one: Engine, pulse: Pulse, stop: threading.Event) -> None:
    with Aside(partial(pulse.run, one), stop, "pulse"):
        one.run(stop)
    if pulse.lost:
        raise HotStoreError("another engine took the lease", "Leave it to it, or stop it first.")


def _plan(settings: Settings, origin: Origin) -> Plan:
    return Plan(
        symbols=settings.gex_symbols,
        source=origin.source,
        mode=origin.mode,
        root=origin.root,
        duty=settings.gex_engine_duty,
        publish_per_s=settings.gex_publish_per_s,
    )
