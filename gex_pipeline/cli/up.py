"""`gex up`: everything at once, on one screen, until Ctrl-C."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.errors import GexError, PortError, StartError
from gex_pipeline.feeds.consent import utc_text
from gex_pipeline.gateway.keys import KeyStore
from gex_pipeline.gateway.signin import one_time_link
from gex_pipeline.hot.embedded import EmbeddedServer, connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.settings import Origin, Settings, origin_of
from gex_pipeline.supervision.claim import claim, holder_of
from gex_pipeline.supervision.plan import Place, Ports, dagster_services, service
from gex_pipeline.supervision.ports import Reserved, free_port, is_free, read_ports, write_ports
from gex_pipeline.supervision.service import find
from gex_pipeline.supervision.stack import Stack, reachable

LOOK_S: Final = 0.5
WORKSPACE: Final = "workspace.yaml"


@click.command()
@click.option("--host", help="Address of the page and the API; else GEX_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Their port; else GEX_PORT, if free.")
def up(*, host: str | None, port: int | None) -> None:
    """Start all services and Dagster, and keep them running until Ctrl-C.

    Without Schwab credentials the market is a simulated one. Ports that are taken are replaced by
    the next free ones; one given by --port is not.

    \b
    Example:
      gex up
      gex up --port 8080
    """
    settings = service_settings(strict=False)
    origin = origin_of(settings)
    data = settings.gex_data_dir.absolute()
    owner = data / "run" / "up"
    with _stopped() as stopping, claim(owner, str(os.getpid())) as mine:
        if not mine:
            raise StartError(
                f"another gex up serves {data}, process {holder_of(owner) or 'unknown'}",
                "Stop it there by Ctrl-C, or set GEX_DATA_DIR to another folder",
            )
        _run(settings, origin, (host or settings.gex_host, port), stopping)


def _run(
    settings: Settings, origin: Origin, address: tuple[str, int | None], stopping: threading.Event
) -> None:
    workspace = _workspace()
    hot = _hot_store(settings, origin)
    place = _place(settings, origin, hot)
    stack: Stack | None = None
    reserved = Reserved()
    try:
        stack = Stack(place, _ports(settings, place, address, reserved), hot, _tell)
        _refuse_other_mode(stack, origin)
        stack.start()
        click.echo("\n".join(_screen(settings, stack)))
        stack.start_dagster(workspace)
        while not stopping.wait(LOOK_S):
            _look(stack)
    finally:
        click.echo("\nStopping.")
        if stack:
            stack.stop()
        elif hot:
            hot.stop()
        reserved.close()
    click.echo("Everything is stopped.")


def _look(stack: Stack) -> None:
    try:
        stack.look()
    except GexError as error:  # told, and tried again: what runs goes on
        _tell(str(error))
        time.sleep(5 * LOOK_S)


def _hot_store(settings: Settings, origin: Origin) -> EmbeddedServer | None:
    if settings.gex_redis_url:
        return None
    server = EmbeddedServer()
    server.start(origin.root, settings.gex_redis_port, settings.gex_redis_maxmemory_mb)
    return server


def _place(settings: Settings, origin: Origin, hot: EmbeddedServer | None) -> Place:
    given = settings.gex_redis_url
    return Place(
        data=settings.gex_data_dir.absolute(),
        root=origin.root,
        source=origin.source,
        mode=origin.mode,
        prefix=origin.prefix,
        redis_url=hot.url if hot else (given.reveal() if given else ""),
    )


def _ports(
    settings: Settings, place: Place, address: tuple[str, int | None], reserved: Reserved
) -> Ports:
    """Return the ports: of what still runs, else those of last time, else the first free ones."""
    host, port = address
    path = place.run / "ports.json"
    place.run.mkdir(parents=True, exist_ok=True, mode=0o700)
    last = read_ports(path)
    wanted = {
        "simulator": ("127.0.0.1", settings.gex_simulator_port),
        "serving": (host, port or settings.gex_port),
        "dagster": (settings.gex_dagster_host, settings.gex_dagster_port),
    }
    running = _running(place, last)
    chosen: dict[str, int] = {}
    for name, (listens, first) in wanted.items():
        if name in running and (name != "serving" or port in (None, last[name])):
            chosen[name] = last[name]
            reserved.take(last[name])
        elif name == "serving" and port:
            if not (is_free(host, port) and reserved.take(port)):
                raise PortError(host, port, "something listens there")
            chosen[name] = port
        else:
            chosen[name] = free_port(listens, first, reserved)
    write_ports(path, chosen)
    return Ports(
        simulator=chosen["simulator"],
        serving=chosen["serving"],
        dagster=chosen["dagster"],
        host=host,
        dagster_host=settings.gex_dagster_host,
    )


def _running(place: Place, last: dict[str, int]) -> set[str]:
    """Return which of the ports of last time are held by services that still run."""
    if set(last) != {"simulator", "serving", "dagster"}:
        return set()
    ports = Ports(last["simulator"], last["serving"], last["dagster"])
    page = dagster_services(place, ports, Path.cwd() / WORKSPACE)[1]
    held = {"simulator": service(place, "simulator", ports), "dagster": page}
    held["serving"] = service(place, "serving", ports)
    return {name for name, each in held.items() if find(each)}


def _refuse_other_mode(stack: Stack, origin: Origin) -> None:
    mode = stack.board.mark(origin.mode)
    if mode != origin.mode:
        raise StartError(
            f"the hot store holds {mode} data, and this start is {origin.mode}",
            "Unset GEX_REDIS_URL, or name another server there",
        )


def _screen(settings: Settings, stack: Stack) -> Iterator[str]:
    place, ports = stack.place, stack.ports
    base = f"http://{reachable(ports.host)}:{ports.serving}"
    KeyStore(place.data).local()
    with connect(place.redis_url) as store:
        link = one_time_link(store, Keys(place.prefix), base)
    simulated = place.mode == "simulated"
    yield ""
    what = "a SIMULATED market, no real data" if simulated else f"source {place.source}"
    yield f"GEX is up: {what}."
    yield ""
    yield f"  page        {link}"
    yield "              opens once, within 5 minutes; another link: gex open"
    yield f"  API         {base}/api/v1   key: {_shown(place.data / 'local_key')}"
    dagster = f"http://{reachable(ports.dagster_host)}:{ports.dagster}"
    yield f"  Dagster     {dagster}   in a few seconds"
    if simulated:
        yield f"  simulator   http://127.0.0.1:{ports.simulator}"
    else:
        yield f"  sign-in     {_sign_in_words(settings)}"
    yield f"  hot store   {_hot_words(place.redis_url, embedded=not settings.gex_redis_url)}"
    yield f"  symbols     {', '.join(settings.gex_symbols)}"
    yield f"  data        {_shown(place.root)}   logs: {_shown(place.root / 'log')}"
    yield ""
    yield "Ctrl-C stops all of it."
    yield ""


def _sign_in_words(settings: Settings) -> str:
    from gex_pipeline.cli.account import token_store  # loads schwab-py
    from gex_pipeline.cli.signinstatus import status_of

    origin = origin_of(settings)
    found = status_of(settings, origin, token_store(settings, origin))
    if found.problem:
        return found.problem
    if found.consent_ends_ts is None:
        return found.note
    return f"until {utc_text(found.consent_ends_ts)}; another one: gex auth login"


def _hot_words(url: str, *, embedded: bool) -> str:
    return f"{url.rpartition('@')[2].partition('/')[0]}{' (embedded)' if embedded else ''}"


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _workspace() -> Path:
    path = Path.cwd() / WORKSPACE
    if not path.is_file():
        raise StartError(
            f"there is no {WORKSPACE} in {Path.cwd()}", "Start gex up in the project's folder"
        )
    return path


def _tell(words: str) -> None:
    click.echo(f"  {words}")


@contextmanager
def _stopped() -> Iterator[threading.Event]:
    """Give the event that Ctrl-C, a polite kill and a closed terminal set.

    Our own handler also means that no child inherits signals that a shell made us ignore.
    """
    event = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: event.set()) for number in numbers}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
