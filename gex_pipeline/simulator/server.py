"""The simulator as a server on this machine: one port for OAuth, REST and the streamer."""

import asyncio
import contextlib
import datetime
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import uvicorn

from gex_pipeline.errors import PortError
from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.simulator import timeline
from gex_pipeline.simulator.acts import AnyAct
from gex_pipeline.simulator.app import App
from gex_pipeline.simulator.connection import Floor, Pace
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.market import Market
from gex_pipeline.simulator.origin import Origin
from gex_pipeline.simulator.recall import Recall
from gex_pipeline.simulator.sendlog import SendLog
from gex_pipeline.simulator.storage import held, replace_file
from gex_pipeline.simulator.tokens import SCHWABS, Lives, open_mint, simulator_token
from gex_pipeline.simulator.wall import wall_ns
from gex_pipeline.simulator.wire import Wire

HOST: Final = "127.0.0.1"
RATE: Final = 400.0
REQUEST_LIMIT: Final = 65_535
"""Bytes of a streamer request; above it Schwab closes the socket."""
_SAVE_S: Final = 2.0
_TOKEN_S: Final = 3600.0
_GRACE_S: Final = 3


class SimulatedServer:
    """Owns the simulator's folder `root/simulator` while it runs."""

    def __init__(  # noqa: PLR0913 # what a market is made of
        self,
        port: int,
        *,
        root: Path,
        seed: int = 1,
        speed: float = 1.0,
        contracts: int | None = None,
        rate: float | None = None,
        start: int | None = None,
        origin: Origin | None = None,
        script: Sequence[AnyAct] = (),
        pace: Pace | None = None,
        lives: Lives = SCHWABS,
        wall: Callable[[], int] = wall_ns,
    ) -> None:
        """Take a port (0: any free one) and the market's settings; `start` is UTC nanoseconds.

        A time of the script without a date is of the date that the simulator opens on.
        """
        self.root = root
        self.port = port
        self.folder = root / "simulator"
        self.ready = asyncio.Event()
        self._speed = speed
        self._start = origin.ts_ns if start is None and origin is not None else start
        self._market = Market(seed, contracts, origin)
        self._acts = script
        self._pace = pace or Pace(rate or RATE)
        self._lives = lives
        self._wall = wall

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; leaves neither port nor lock behind.

        Raises:
            PortError: the port is taken.
            SimulatorHeldError: another simulator runs on this root.
        """
        with held(self.folder), _listening(self.port) as listener:
            self.port = listener.getsockname()[1]
            log = SendLog(self.folder)
            try:
                await self._serve(listener, log, stop)
            finally:
                log.close()
                (self.folder / "port").unlink(missing_ok=True)

    async def _serve(self, listener: socket.socket, log: SendLog, stop: asyncio.Event) -> None:
        mint = open_mint(self.folder, self._wall, self._lives)
        desk = Desk(self._market, self._timeline(), log, time.monotonic_ns)
        self._market.script.add(self._acts, desk.now_ns())
        mint.recalled_ns = Recall(desk, self._wall).before_ns
        desk.published(desk.now_ns())
        floor = Floor(desk, mint, self._pace)
        server = _Server(_config(App(desk, mint, floor)))
        simulator_token(self.root, self._wall, self._lives)
        replace_file(self.folder / "port", str(self.port).encode())
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        keeping = asyncio.create_task(self._keep(desk))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((serving, keeping, stopping), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        for task in (keeping, stopping):
            task.cancel()
        results = await asyncio.gather(serving, keeping, stopping, return_exceptions=True)
        self._save(desk)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _keep(self, desk: Desk) -> None:
        """Save the clock and renew the token file while the server runs."""
        self.ready.set()
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + _TOKEN_S
        while True:
            self._save(desk)
            if loop.time() >= renew_at:
                renew_at += _TOKEN_S
                simulator_token(self.root, self._wall, self._lives)
            await asyncio.sleep(_SAVE_S)

    def _save(self, desk: Desk) -> None:
        timeline.save(self.folder, desk.clock(), desk.mono_ns(), self._start)

    def _timeline(self) -> timeline.Timeline:
        return timeline.resumed(
            self.folder,
            speed=self._speed,
            start_ns=self._start,
            today=self._today(),
            mono_ns=time.monotonic_ns(),
        )

    def _today(self) -> datetime.date:
        return et_datetime(self._wall()).date()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process's owner."""
        yield


def _config(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws=Wire,
        ws_max_size=REQUEST_LIMIT,
        ws_per_message_deflate=False,
        lifespan="off",
        proxy_headers=False,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((HOST, port), reuse_port=False)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise PortError(HOST, port, reason) from error
    with listener:
        yield listener
