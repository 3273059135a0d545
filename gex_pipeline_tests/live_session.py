"""A session of a simulated market with a script of faults: the script, the processes, the tapes."""

import datetime
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.exposure.lane import SILENCE_RECORDED_S
from gex_pipeline.hot.clockstore import read_clock
from gex_pipeline.hot.lease import read_status
from gex_pipeline.hot.tape import tape_end
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.events import Event
from gex_pipeline.market.sessions import SECOND_NS, et_datetime, et_ns, next_trading_day
from gex_pipeline_tests.streamer.stage import Stage

DATE: Final = datetime.date(2026, 11, 20)
"""The third Friday of November: SPX settles at its open, SPXW at its close."""
MONDAY: Final = next_trading_day(DATE)
SPEED, SLOWEST = 60, 6
SILENCE_S: Final = 3
TAPES: Final = {"schwab.equity": "SPY", "schwab.index": "SPX"}
FUTURES: Final = "schwab.cme"
HALF_STRIKE, GONE_STRIKE = 7052.5, 7000.0
NEW_EXPIRY: Final = datetime.date(2026, 12, 9)
_ORIGIN: Final = Origin(source="simulator", mode="simulated", tape="")


class Form(NamedTuple):
    """How much of the session is played."""

    contracts: int
    rounds: int
    """Times that the faults come, one round after the other."""
    memory_mb: int
    patience_s: float
    kills: tuple[float, ...]
    """Minutes after the open at which the engine is killed."""
    ends: float
    """Minutes after the open at which it goes to the close: 388 is through all of the day."""


SHORT: Final = Form(500, 1, 256, 300.0, (12.0,), 27.0)
WHOLE: Final = Form(1000, 8, 2048, 3000.0, (100.0, 250.0), 388.0)
ROUND_MINUTES: Final = 45.0


class Fault(msgspec.Struct, frozen=True):
    """Something that goes wrong, and when: minutes after the open, seconds of the market."""

    verb: str
    minute: float
    lasts_s: float
    fields: dict[str, Any] = {}
    reason: str = ""
    """What the change of level names."""

    @property
    def from_ns(self) -> int:
        """When it begins."""
        return after_open_ns(self.minute)

    @property
    def until_ns(self) -> int:
        """When it ends."""
        return self.from_ns + round(self.lasts_s * SECOND_NS)


_FAULTS: Final = (
    Fault("freeze", 3.0, 150, {}, "feed:frozen"),
    Fault("fail", 6.0, 150, {"symbol": "SPX", "first": f"{MONDAY}"}, "feed:windows"),
    Fault("cut", 10.0, 60, {}, "feed:silent"),
    Fault("silence", 13.0, 300, {}, "feed:silent"),
    Fault("halt", 22.0, 60, {"symbols": ["/ES", "/NQ"]}),
    Fault("basis", 23.0, 90, {"symbols": ["/ES", "/MES"], "points": 12.0}),
    Fault("jump", 25.0, 60, {"percent": -20.0, "delay_s": 2.0}),
)


def after_open_ns(minute: float) -> int:
    """Return a moment by its minutes after the open."""
    return et_ns(DATE, 9, 30) + round(minute * 60 * SECOND_NS)


def faults(form: Form) -> list[Fault]:
    """Return all faults in turn."""
    return [
        msgspec.structs.replace(fault, minute=fault.minute + turn * ROUND_MINUTES)
        for turn in range(form.rounds)
        for fault in _FAULTS
    ]


LISTED_AT, GONE_AT = 1.0, 2.0


def script(form: Form) -> list[dict[str, Any]]:
    """Return what happens: births, a contract that vanishes, and the faults."""
    of: dict[str, Any] = {"symbol": "SPX", "root": "SPXW"}
    adjusted: dict[str, Any] = {"symbol": "SPY", "root": "SPY1", "deliverable": 150}
    listings = [
        (LISTED_AT, "enlist", of | {"expiry": f"{DATE}", "strikes": [HALF_STRIKE]}),
        (LISTED_AT, "enlist", of | {"expiry": f"{NEW_EXPIRY}", "strikes": [HALF_STRIKE]}),
        (LISTED_AT, "enlist", adjusted | {"expiry": f"{MONDAY}", "strikes": [700]}),
        (GONE_AT, "delist", of | {"expiry": f"{DATE}", "strikes": [GONE_STRIKE]}),
    ]
    acts = [(minute, {"verb": verb, **fields}) for minute, verb, fields in listings]
    acts += [(f.minute, {"verb": f.verb, "for_s": f.lasts_s, **f.fields}) for f in faults(form)]
    return [{"at": _clock(after_open_ns(minute)), **act} for minute, act in acts]


def _clock(ts_ns: int) -> str:
    return et_datetime(ts_ns).strftime("%Y-%m-%dT%H:%M:%S")


class Session:
    """The processes of one session, and what was seen of them on the way."""

    def __init__(self, stage: Stage, form: Form) -> None:
        self.stage = stage
        self.form = form
        self.speed = _speed()
        self.memory_mb: list[list[float]] = [[]]
        """The engine's, every quarter of a second; a list a process."""
        self.first_published_ns = 0
        """Market time at which figures were seen first."""
        self.resumed_s: list[str] = []
        """What each engine but the first says of its start."""
        self.engine_lags_s = 0.0
        self._engine = self._start("engine")
        self._streamer = self._start("stream")

    def play(self) -> None:
        """Play it: the morning with its faults, the close, the next date's beginning."""
        path = self.stage.folder / "script.json"
        path.write_text(json.dumps(script(self.form)))
        self._until(lambda: self.stage.status().get("state") == "waiting", "a streamer that waits")
        simulator = self._start("simulate", "--start", f"{DATE}T09:27", "--script", str(path))
        for minute in self.form.kills:
            self._until_market(after_open_ns(minute))
            self._kill_engine()
        self._until_market(after_open_ns(self.form.ends))
        if self.form is SHORT:  # over the dead hours
            simulator.send_signal(signal.SIGTERM)
            assert simulator.wait(30) == 0
            self._start("simulate", "--start", f"{DATE}T15:58", "--script", str(path))
        self._until_market(et_ns(MONDAY, 9, 31))
        enough = self._rounds() + 4  # whole ones, of which two say what is listed no more
        self._until(lambda: self._rounds() >= enough, "four rounds of the new date")
        self.stage.control("hold")
        self._end(self._streamer)
        began_s = time.monotonic()
        self._until(self._caught_up, "an engine at the end of the tapes")
        self.engine_lags_s = time.monotonic() - began_s
        self._note_resumed()
        self._end(self._engine)
        self._archive()

    def events(self, tape: str) -> Iterator[Event]:
        """Yield a tape's events out of the lake."""
        paths = LakePaths(self.stage.root)
        for stretch in recorded(paths, read_chain(paths, tape)):
            yield from stretch.events

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self.stage.start(
            *arguments,
            GEX_SIMULATOR_SPEED=f"{self.speed}",
            GEX_SIMULATOR_CONTRACTS=f"{self.form.contracts}",
            GEX_SIMULATOR_RATE="100",
            GEX_SYMBOLS=",".join(TAPES.values()),
            SCHWAB_SYMBOL_LIMIT="500",
            SCHWAB_CHAIN_INTERVAL_S="1",
            SCHWAB_REQUESTS_PER_MINUTE="500",
            SCHWAB_REQUEST_TIMEOUT_S=f"{SILENCE_S}",
            SCHWAB_SILENCE_S=f"{SILENCE_S}",
        )

    def _now_ns(self) -> int:
        stage = self.stage
        if not stage.client.exists(stage.keys.clock()):
            return 0
        return read_clock(stage.client, stage.keys).now_ns(time.monotonic_ns())

    def _until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until it holds, with an eye on the engine; archive on the way, as Dagster does."""
        until_s = time.monotonic() + self.form.patience_s
        archive_s = time.monotonic() + 10.0
        while not holds():
            assert time.monotonic() < until_s, f"never: {what}"
            if self._engine_works():
                self.memory_mb[-1].append(_resident_mb(self._engine.pid))
                self.first_published_ns = self.first_published_ns or self._now_ns()
            if self.form is WHOLE and time.monotonic() > archive_s:
                archive_s = time.monotonic() + 10.0
                self._archive()
            time.sleep(0.25)

    def _until_market(self, ts_ns: int) -> None:
        self._until(lambda: self._now_ns() > ts_ns, _clock(ts_ns))

    def _rounds(self) -> int:
        return int(self.stage.status().get("chain_rounds", 0))

    def _engine_works(self) -> bool:
        """Whether figures of this very engine have gone out."""
        status = self._engine_status()
        return status.get("pid") == f"{self._engine.pid}" and bool(status.get("resumed_s"))

    def _kill_engine(self) -> None:
        """Kill the engine as a crash does, and start another."""
        self._note_resumed()
        self._engine.send_signal(signal.SIGKILL)
        self._engine.wait()
        self.memory_mb.append([])
        self._engine = self._start("engine")

    def _note_resumed(self) -> None:
        if len(self.memory_mb) > 1:
            self.resumed_s.append(self._engine_status().get("resumed_s", ""))

    def _engine_status(self) -> dict[str, str]:
        return read_status(self.stage.client, self.stage.keys, "engine")

    def _caught_up(self) -> bool:
        """Whether the engine has recorded all that is complete on tapes that have ended."""
        stage, status = self.stage, self._engine_status()
        read = all(
            status.get(f"position:{tape}") == str(tape_end(stage.client, stage.keys.tape(tape)))
            for tape in TAPES
        )
        folded = all(
            int(status.get(f"recorded_ns:{tape}", 0)) >= _complete_ns(status, tape)
            for tape in TAPES
        )
        # the last second of the indexes may wait for a tape of futures that has no more to say
        return read and folded and int(status.get("basis_waiting", 0)) <= 1

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0

    def _archive(self) -> None:
        stage = self.stage
        source = HotSource(stage.client, stage.keys, stage.root / "spool")
        archive(source, LakePaths(stage.root), source.tapes(), origin=_ORIGIN, now_s=0.0)


def _complete_ns(status: dict[str, str], tape: str) -> int:
    """Return the last second that a tape's events complete: none behind a minute of silence."""
    seen_ns, heard_ns = (int(status.get(f"{name}:{tape}", 0)) for name in ("seen_ns", "heard_ns"))
    until_ns = min(seen_ns - 1, heard_ns + SILENCE_RECORDED_S * SECOND_NS)
    return until_ns // SECOND_NS * SECOND_NS


def _speed() -> int:
    """Return how fast the market may go: slower where others want the same cores.

    At a minute a second a process that waits 0.1 s for its core is a feed that is dead for 6.
    """
    crowd = os.getloadavg()[0] / (os.cpu_count() or 1)
    usual = max(SLOWEST, round(SPEED / max(crowd, 1.0)))
    return int(os.environ.get("GEX_LIVE_SPEED", usual))


def _resident_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
    except FileNotFoundError:
        return 0.0
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
