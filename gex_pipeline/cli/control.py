"""`gex control VERB SESSION [ARG]`: what a running replay, or the streamer, is told to do."""

from typing import Final

import click
import redis

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.errors import HotStoreError, NoSessionError, SessionError, SessionOverError
from gex_pipeline.gateway.connection import hot_url
from gex_pipeline.hot import control as requests
from gex_pipeline.hot.clockstore import live_clock
from gex_pipeline.hot.connect import UNREACHABLE, connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.session import SERVICE, VERBS, read_session, session_keys
from gex_pipeline.settings import origin_of

ANSWER_S: Final = 30.0
"""A seek reads images from the lake before it is answered."""
STREAMER: Final = "streamer"
RECONNECT: Final = "reconnect"
_NEED: Final = {"seek": "a time: 10:30, 10:30:05, +60, -60", "speed": "a speed: 1, 10, max"}


@click.command("control")
@click.argument("verb", type=click.Choice((*VERBS, RECONNECT)))
@click.argument("session")
@click.argument("arg", default="")
@click.option("--reason", default="", help="Why; it stands on the control stream.")
def control(*, verb: str, session: str, arg: str, reason: str) -> None:
    """Tell a running replay to pause, resume, seek, step, change its speed or stop.

    reconnect is for the streamer: it takes back Schwab's stream from another program.

    seek takes a New York time of the session or seconds to go (+60, -60); step the market seconds
    (1); speed a number or max.

    \b
    Example:
      gex control pause monday
      gex control seek monday 10:30
      gex control seek monday -- -60
      gex control speed monday max
      gex control reconnect streamer
    """
    settings = service_settings(strict=False)
    if verb in _NEED and not arg:
        raise click.UsageError(f"{verb} needs {_NEED[verb]}.")
    if (verb == RECONNECT) != (session == STREAMER):
        raise click.UsageError(f"{RECONNECT} is for the {STREAMER}, and the other verbs are not.")
    given = settings.gex_redis_url.reveal() if settings.gex_redis_url else None
    origin = origin_of(settings)
    live = session == STREAMER
    keys = Keys(origin.prefix) if live else session_keys(session)
    service = STREAMER if live else SERVICE
    request = requests.new_request(verb, arg, by="gex control", reason=reason)
    try:
        with connect(hot_url(given, origin.root)) as store:
            if not live:
                _see_that_it_runs(store, keys, session)
            after = requests.ask(store, keys, service, request)
            answer = requests.await_reply(store, keys, service, after, request, ANSWER_S)
    except UNREACHABLE as error:
        fact = f"the server does not answer ({type(error).__name__})"
        raise HotStoreError(fact, "Start it: gex up; or correct GEX_REDIS_URL.") from error
    if answer is None:
        what = f"The {STREAMER}" if live else f"The replay {session}"
        raise SessionError(f"{what} does not answer.", "See that its process lives.")
    if not answer.ok:
        raise SessionError(answer.detail, "")
    click.echo(f"{session}: {verb}{f' {arg}' if arg else ''} done")


def _see_that_it_runs(store: redis.Redis, keys: Keys, session: str) -> None:
    """Refuse what nobody would answer."""
    info = read_session(store, keys)
    if info is None:
        raise NoSessionError(session, ())
    if info.state in ("ended", "failed") or info.lost(live_clock().anchor_event_ns):
        raise SessionOverError(session, info.date)
