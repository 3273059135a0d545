"""A service as a process: started once however many try, found again by anyone, stopped whole.

The lock on `run/<name>.lock` is the claim: the child inherits it, so it is held exactly while the
child lives and falls with it, by whatever death; no process id can be mistaken for another's.
`run/<name>.json` says which process that is. Each service is the leader of its own session: nothing
that ends its starter ends it, and what it started itself is stopped with it.
"""

import fcntl
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from gex_pipeline.errors import ServiceError

LOG_LIMIT_BYTES: Final = 20_000_000
"""Above it a start puts the log aside as `.old`."""
MARK: Final = "SERVICE_OF_GEX"
"""Variable that marks a service and what it starts: the folder of its record."""
_PAUSE_S: Final = 0.02
_LOOKS: Final = 50


class Service(msgspec.Struct, frozen=True):
    """What to run, and where its record, claim and log lie."""

    name: str
    command: tuple[str, ...]
    folder: Path
    """Of records and locks; logs lie in `log/` beside it."""
    environment: Mapping[str, str] = {}
    """What the child gets besides our own environment."""
    working: Path | None = None
    """Working folder of the child."""
    stop_s: float = 10.0
    """Patience between the polite signal and the last one."""

    @property
    def digest(self) -> str:
        """Of what is run and with which variables: one that runs with others is not this one."""
        told = msgspec.json.encode((self.command, sorted(self.environment.items())))
        return hashlib.sha256(told).hexdigest()

    @property
    def lock(self) -> Path:
        """Held by the process while it lives."""
        return self.folder / f"{self.name}.lock"

    @property
    def record(self) -> Path:
        """Which process it is."""
        return self.folder / f"{self.name}.json"

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.folder.parent / "log" / f"{self.name}.log"


class Running(msgspec.Struct, frozen=True):
    """The record of a running service."""

    pid: int
    """Also of its session."""
    digest: str
    """Of the service as it was started."""
    started_by: str


class NotOursError(Exception):
    """Another one holds the claim at this moment."""


def start(service: Service, *, by: str) -> Running | None:
    """Start the service; None: it runs already, whoever started it."""
    service.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    service.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with _claim(service) as lock:
            return _spawn(service, lock, by)
    except NotOursError:
        return None


def find(service: Service) -> Running | None:
    """Return the process that runs as this service, if one does."""
    for _ in range(_LOOKS):
        if not _held(service):
            return None
        running = _recorded(service)
        if running and _alive(running.pid):
            return running
        time.sleep(_PAUSE_S)  # between claim and record another starter is at work
    _end_rest(service)  # the leader is gone; a child of its own still has the claim
    return None


def stop(service: Service, *, tick: Callable[[], None] = lambda: None) -> bool:
    """End the service and all of its session; False: it did not run.

    `tick` is called while waiting. What a dead leader left behind is ended too.
    """
    running = find(service)
    if running:
        _signal(running.pid, signal.SIGTERM)
        deadline = time.monotonic() + service.stop_s
        while _held(service) and time.monotonic() < deadline:
            tick()
            time.sleep(_PAUSE_S)
        if _held(service):
            _signal(running.pid, signal.SIGKILL)
    _end_rest(service)
    service.record.unlink(missing_ok=True)
    return running is not None


def members(session: int, folder: Path) -> tuple[int, ...]:
    """Return the processes of a session that a service of this folder began, by /proc.

    The mark in their environment tells them from strangers who were given the number later.
    """
    mark, found = f"{MARK}={folder.absolute()}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            ours = mark in (process / "environ").read_bytes().split(b"\0")
            if int(fields[3]) == session and fields[0] != "Z" and ours:
                found.append(int(process.name))
    return tuple(found)


def last_words(service: Service, lines: int = 5) -> str:
    """Return the end of the service's log."""
    try:
        text = service.log.read_bytes()[-4000:].decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def wait_for(service: Service, ready: Callable[[], bool], within_s: float) -> None:
    """Return once the service is ready.

    Raises:
        ServiceError: it ended, or is not ready in time.
    """
    deadline = time.monotonic() + within_s
    while not ready():
        if find(service) is None:
            raise ServiceError(service.name, "ended at once", str(service.log))
        if time.monotonic() > deadline:
            raise ServiceError(service.name, f"is not ready after {within_s:g} s", str(service.log))
        time.sleep(5 * _PAUSE_S)


@contextmanager
def _claim(service: Service) -> Iterator[int]:
    number = os.open(service.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        raise NotOursError(service.name) from None
    try:
        yield number
    finally:
        os.close(number)


def _spawn(service: Service, lock: int, by: str) -> Running:
    _end_rest(service)
    if service.log.exists() and service.log.stat().st_size > LOG_LIMIT_BYTES:
        service.log.replace(service.log.with_suffix(".log.old"))
    output = os.open(service.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        child = subprocess.Popen(  # noqa: S603 # our own command lines
            service.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=service.working,
            env=os.environ | dict(service.environment) | {MARK: str(service.folder.absolute())},
            start_new_session=True,
            pass_fds=(lock,),
        )
    except OSError as error:
        raise ServiceError(
            service.name, f"cannot be started ({error})", str(service.log)
        ) from error
    finally:
        os.close(output)
    _children[child.pid] = child
    running = Running(child.pid, service.digest, by)
    draft = service.record.with_suffix(f".{os.getpid()}.tmp")
    draft.write_bytes(msgspec.json.encode(running))
    draft.replace(service.record)
    return running


_children: dict[int, "subprocess.Popen[bytes]"] = {}
"""What this process started and has to collect when it ends."""


def reap() -> None:
    """Collect those of our own children that ended."""
    for pid, child in tuple(_children.items()):
        if child.poll() is not None:
            del _children[pid]


def _held(service: Service) -> bool:
    reap()
    try:
        number = os.open(service.lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(number)


def _recorded(service: Service) -> Running | None:
    try:
        return msgspec.json.decode(service.record.read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _end_rest(service: Service) -> None:
    """End what is left of the recorded session: a leader's death leaves its children behind."""
    running = _recorded(service)
    for pid in members(running.pid, service.folder) if running else ():
        _signal(pid, signal.SIGKILL)
    reap()


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
