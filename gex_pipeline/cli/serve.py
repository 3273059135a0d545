"""`gex serve`: the API and the page."""

import signal
import socket
from types import FrameType
from typing import Any, Final

import click
import msgspec
import uvicorn
from litestar import Litestar

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.cli.logs import log_to_stderr
from gex_pipeline.errors import PortError
from gex_pipeline.gateway.connection import hot_url
from gex_pipeline.gateway.keys import KeyStore
from gex_pipeline.gateway.pulse import Pulse
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.hot.keys import Keys
from gex_pipeline.settings import Secret, Settings, origin_of
from serving.app import create_app

_GRACE_S: Final = 3
_BACKLOG: Final = 256


@click.command()
@click.option("--host", help="Address to listen on; else GEX_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on; else GEX_PORT.")
def serve(*, host: str | None, port: int | None) -> None:
    """Answer the API and the page from the hot store, until Ctrl-C or SIGTERM.

    Started by gex up; by hand it finds the hot store of GEX_REDIS_URL, else the one that gex up
    started in the data folder. A link to the page: gex open. The key of this machine lies in
    data/local_key.

    \b
    Example:
      gex serve --port 8890
    """
    settings = _settings(host, port)
    log_to_stderr(settings.gex_log_level, settings.gex_log_format)
    KeyStore(settings.gex_data_dir).local()
    app = create_app(settings)
    with _listen(settings.gex_host, settings.gex_port) as listener:
        server = _Server(_config(app), app.state.gateway)
        with _pulse(settings, server):
            server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Uvicorn that tells the open streams to end: it would wait for them."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self.gateway = gateway

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end; uvicorn's own would raise the signal again, and spoil the exit code."""
        self.gateway.closing = True
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _config(app: Litestar) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=_GRACE_S,
    )


def _settings(host: str | None, port: int | None) -> Settings:
    """Return the settings with address and hot store filled in."""
    settings = service_settings(strict=False)
    given = settings.gex_redis_url.reveal() if settings.gex_redis_url else None
    return msgspec.structs.replace(
        settings,
        gex_host=host or settings.gex_host,
        gex_port=port or settings.gex_port,
        gex_redis_url=Secret(hot_url(given, origin_of(settings).root)),
    )


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket: a taken port is told before anything starts."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise PortError(host, port, error.strerror or str(error)) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PortError(host, port, error.strerror or str(error)) from error
    return listener


def _pulse(settings: Settings, server: _Server) -> Pulse:
    url = settings.gex_redis_url.reveal() if settings.gex_redis_url else ""

    def fields() -> dict[str, Any]:
        return {
            "state": "running" if server.started else "starting",
            "host": settings.gex_host,
            "port": settings.gex_port,
            "requests": server.server_state.total_requests,
            "connections": len(server.server_state.connections),
        }

    return Pulse(url, Keys(origin_of(settings).prefix), fields)
