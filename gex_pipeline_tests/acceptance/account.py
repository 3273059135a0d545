"""A streamer with credentials on a hot store of its own: of the simulator, or the user's own."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import redis

from gex_pipeline.cli.environment import read_environment
from gex_pipeline.errors import GexError
from gex_pipeline.gateway.connection import hot_url
from gex_pipeline.hot.connect import UNREACHABLE, connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import read_status
from gex_pipeline.settings import Settings, origin_of, read
from gex_pipeline.streamer.presence import SERVICE
from gex_pipeline_tests.canary import CLIENT_SECRET
from gex_pipeline_tests.serving.process import free_port
from gex_pipeline_tests.streamer.stage import wait_until

SPEED = 6
ROOT = Path(__file__).parents[2]
_COMMAND = (sys.executable, "-m", "gex_pipeline.cli")
ASKED = {
    "GEX_SOURCE": "schwab",
    "GEX_SYMBOLS": "SPY",
    "GEX_LOG_FORMAT": "text",
    "SCHWAB_SYMBOLS": "/MNQ:XCME,/MES:XCME,SPY",
    "SCHWAB_LEVEL2_SYMBOLS": "/NQ:XCME",
    "SCHWAB_SYMBOL_LIMIT": "60",
}


class Account(msgspec.Struct):
    """A running streamer, and how it was told to run."""

    environment: dict[str, str]
    folder: Path
    store: redis.Redis
    process: "subprocess.Popen[bytes]"
    minute_s: float
    """Real seconds of a market minute."""

    def status(self) -> dict[str, str]:
        """What the streamer says of itself."""
        return read_status(self.store, Keys(), SERVICE)

    def gex(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """How a command with the same settings ended."""
        return subprocess.run(  # noqa: S603 # our own command
            [*_COMMAND, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def heard(self, channel: str, enough: Callable[[list[bytes]], bool], within_s: float) -> None:
        """Listen as any program does until it is enough; fail when it never is."""
        messages: list[bytes] = []
        until_s = time.monotonic() + within_s
        with self.store.pubsub() as listener:  # type: ignore[no-untyped-call] # redis-py has none
            listener.subscribe(channel)
            while not enough(messages):
                assert time.monotonic() < until_s, f"{channel}: only {messages[-3:]}"
                message = listener.get_message(ignore_subscribe_messages=True, timeout=1.0)
                if message is not None:
                    messages.append(message["data"])


@contextmanager
def simulated(folder: Path) -> Iterator[Account]:
    """Yield an account at a simulated Schwab, which listens in a root apart."""
    elsewhere = folder / "schwab"
    environment = _plain() | {"GEX_DATA_DIR": str(elsewhere)}
    market = ("--port", "0", "--speed", str(SPEED), "--contracts", "2000", "--rate", "50")
    simulator = _started(folder, environment, "simulate", *market)
    try:
        issued = elsewhere / "sim" / "tokens" / "schwab_token.json"
        port = elsewhere / "sim" / "simulator" / "port"
        wait_until(lambda: issued.exists() and port.exists(), "the simulator")
        tokens = folder / "tokens"
        tokens.mkdir(mode=0o700)
        shutil.copy(issued, tokens)
        credentials = {
            "SCHWAB_CLIENT_ID": "a-key",
            "SCHWAB_CLIENT_SECRET": CLIENT_SECRET,
            "SCHWAB_BASE_URL": f"http://127.0.0.1:{port.read_text().strip()}",
            "GEX_TOKENS_DIR": str(tokens),
        }
        with _streaming(folder, _plain() | credentials, 60 / SPEED) as account:
            yield account
    finally:
        _ended(simulator)


@contextmanager
def own(folder: Path) -> Iterator[Account]:
    """Yield the user's own account, read from the environment and `.env`; nothing is ordered.

    Only the sign-in's own files are shared with what the user runs: data lie in a folder apart.
    """
    environment = read_environment(ROOT)
    settings = read(environment.merged).settings
    if settings.schwab_client_id is None or settings.schwab_client_secret is None:
        pytest.fail("SCHWAB_CLIENT_ID and SCHWAB_CLIENT_SECRET are not set. See docs/schwab.md.")
    if _is_streaming(settings):
        pytest.fail("Your streamer runs, and Schwab gives a user one stream. Stop gex up first.")
    schwab = {name: text for name, text in environment.merged.items() if name.startswith("SCHWAB_")}
    tokens = {"GEX_TOKENS_DIR": str((ROOT / settings.gex_tokens_dir).absolute())}
    with _streaming(folder, _plain() | schwab | tokens, 60.0) as account:
        yield account


@contextmanager
def _streaming(folder: Path, environment: dict[str, str], minute_s: float) -> Iterator[Account]:
    """Run a streamer with this environment on a hot store of its own."""
    data, server = folder / "data", EmbeddedServer()
    url = server.start(data, free_port(), 128)
    environment = environment | ASKED | {"GEX_DATA_DIR": str(data), "GEX_REDIS_URL": url}
    process = _started(folder, environment, "stream")
    try:
        with connect(url) as store:
            yield Account(environment, folder, store, process, minute_s)
    finally:
        _ended(process)
        server.stop()


def _started(
    folder: Path, environment: dict[str, str], *arguments: str
) -> "subprocess.Popen[bytes]":
    with (folder / f"{arguments[0]}.log").open("wb") as out:
        return subprocess.Popen(  # noqa: S603 # our own command
            [*_COMMAND, *arguments], env=environment, cwd=folder, stdout=out, stderr=out
        )


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _plain() -> dict[str, str]:
    """An environment without any setting of the project."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


def _is_streaming(settings: Settings) -> bool:
    """Whether a streamer of the user's holds its lease."""
    given = settings.gex_redis_url.reveal() if settings.gex_redis_url else None
    try:
        with connect(hot_url(given, origin_of(settings).root)) as store:
            return bool(store.exists(Keys().lease(SERVICE)))
    except (GexError, *UNREACHABLE):
        return False
