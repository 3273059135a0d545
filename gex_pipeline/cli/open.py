"""`gex open`: a link that opens the page once."""

import webbrowser
from typing import Final

import click

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.errors import UnavailableError
from gex_pipeline.gateway.connection import hot_url
from gex_pipeline.gateway.pulse import SERVICE
from gex_pipeline.gateway.signin import one_time_link
from gex_pipeline.hot.clockstore import live_clock
from gex_pipeline.hot.connect import UNREACHABLE, connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import read_status
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline.settings import origin_of

_SILENT_S: Final = 15
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 # compared, not bound


@click.command("open")
@click.option("--browser", is_flag=True, help="Open it in this machine's browser too.")
def open_page(*, browser: bool) -> None:
    """Print a link that opens the page: once, within five minutes.

    The browser that opens it is remembered for a week.

    \b
    Example:
      gex open
      gex open --browser
    """
    settings = service_settings(strict=False)
    origin = origin_of(settings)
    given = settings.gex_redis_url.reveal() if settings.gex_redis_url else None
    keys = Keys(origin.prefix)
    try:
        with connect(hot_url(given, origin.root)) as store:
            link = one_time_link(store, keys, _base_url(read_status(store, keys, SERVICE)))
    except UNREACHABLE as error:
        raise UnavailableError(
            "hot_store", "The hot store does not answer.", "Start everything: gex up"
        ) from error
    click.echo(link)
    if browser:
        webbrowser.open(link)


def _base_url(status: dict[str, str]) -> str:
    """Return where the API answers, by its own heartbeat."""
    beat_ns = int(status.get("ts_ns", "0"))
    if live_clock().anchor_event_ns - beat_ns > _SILENT_S * SECOND_NS:
        raise UnavailableError("serving", "No API runs.", "Start everything: gex up, or gex serve")
    host = status.get("host", "127.0.0.1")
    return f"http://{_ANY.get(host, f'[{host}]' if ':' in host else host)}:{status['port']}"
