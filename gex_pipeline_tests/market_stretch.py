"""A stretch of a simulated market whose vendor and machine fail at random: faults, processes.

Everything random comes of one seed, which is printed: which faults come, in which order, behind
which pauses, how long they last, and which of them come before the one ahead is over.
"""

import asyncio
import datetime
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.errors import FeedError
from gex_pipeline.feeds.schwab.signin import Application, SignIn
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.hot.alerts import read_alerts
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.clock import clock_from_mapping
from gex_pipeline.market.events import Event
from gex_pipeline.market.sessions import SECOND_NS, Calendar, et_datetime
from gex_pipeline_tests.canary import CLIENT_SECRET
from gex_pipeline_tests.streamer.sendlog import lines
from gex_pipeline_tests.streamer.stage import Stage

DATE: Final = datetime.date(2026, 11, 20)
SPEED: Final = 60
CALENDARS: Final[tuple[Calendar, ...]] = ("equity", "index", "cme")
SYMBOLS: Final = {"SPY": "equity", "SPX": "index"}
SILENCE_S: Final = 4.0
SYMBOL_LIMIT: Final = 100
"""Of the vendor; our setting says more, so that a refusal has to teach it."""
_ASKED_LIMIT: Final = 120
_PATIENCE_S: Final = 90.0
_PILED: Final = 0.3
"""Share of the faults that do not wait for the end of the one before."""
_ACCOMPANIED: Final = 0.6
"""Share of the faults that another one comes beside."""
_ORIGIN: Final = Origin(source="simulator", mode="simulated", tape="")
_REACTS_S: Final = 3.0
"""Time between two sign-ins: the streamer looks once a second, and tells once a second."""
_REDIRECT: Final = "https://127.0.0.1:8182"
_STREAMS: Final = ("LEVELONE_EQUITIES", "LEVELONE_FUTURES", "LEVELONE_OPTIONS")

Acts = tuple[tuple[str, dict[str, Any]], ...]


class Form(NamedTuple):
    """How much of it is played."""

    minutes: float
    """Of the market, at least."""
    faults: int
    """Of those that break the stream or end a process, at least."""


SHORT: Final = Form(20.0, 6)


class Kind(NamedTuple):
    """A fault that can be drawn."""

    name: str
    acts: Acts = ()
    """What the simulator does, all at once; the last one may need the others to have begun."""
    lasts_s: tuple[float, float] = (0.0, 0.0)
    """Market seconds, at least and at most."""
    said: str = ""
    """What the streamer says of it in any case, a pattern; "": it has nothing to say."""


def _refusal(code: int, service: str, *, twice: bool = False) -> Kind:
    asked: dict[str, Any] = {"code": code, "service": service, "twice": twice}
    acts: Acts = (("refuse", asked), ("tear", {}))
    return Kind(f"refuse {code} {service}", acts, (120, 180), f"code {code} ")


_TORN: Final[tuple[str, dict[str, Any]]] = ("tear", {})

BREAKS: Final = (
    Kind("cut", (("cut", {}),), (20, 150), "broke"),
    Kind("silence", (("silence", {}),), (300, 360), "silent for"),
    Kind("notice 30", (("notice", {"code": 30}),), said="code 30 "),
    Kind("tear", (_TORN,), said="broke"),
    Kind("garble", (("garble", {"share": 0.3}),), (60, 120), "no streamer JSON"),
    Kind("deny", (("deny", {}), _TORN), (90, 180), "code 3 "),
    _refusal(9, ""),
    _refusal(20, ""),
    *(_refusal(code, service) for code, service in zip((11, 21, 22), _STREAMS, strict=True)),
    _refusal(24, "LEVELONE_OPTIONS", twice=True),
    Kind("refuse 26", (("refuse", {"code": 26}), _TORN), (120, 180), "broke"),
    Kind("echo", (("echo", {}), _TORN), (120, 180), "a second answer"),
    Kind("mute", (("mute", {"service": "LEVELONE_FUTURES"}), _TORN), (200, 300), "unanswered"),
    Kind(
        "mute login",
        (("mute", {"service": "ADMIN", "command": "LOGIN"}), _TORN),
        (120, 200),
        "left the login unanswered",
    ),
    Kind("expire", (("expire", {}), _TORN), said="broke"),
    Kind(
        "token endpoint",
        (("expire", {}), ("reject", {"path": "token", "status": 503}), _TORN),
        (60, 120),
        "broke",
    ),
    Kind(
        "preferences",
        (("reject", {"path": "userPreference", "status": 500}), _TORN),
        (120, 180),
        "did not say where",
    ),
    Kind("revoke", (("revoke", {}), ("expire", {}), _TORN), said="auth_required"),
    Kind("kill -9 of the streamer"),
    Kind("kill -9 of the hot store"),
    Kind("evict", (("evict", {}),), said="stream_taken"),
)
"""Faults that end a stream, or keep it from beginning; and those of our own processes."""

_REFUSED: Final = {"retry_after_s": 1}
COMPANIONS: Final = (
    Kind("bulk", (("bulk", {"bytes": 1_200_000}),), (10, 20)),
    Kind("lag", (("lag", {"by_s": 0.5}),), (60, 180)),
    Kind("shuffle", (("shuffle", {}),), (60, 180)),
    Kind("blank", (("blank", {}),), (60, 180)),
    Kind("void", (("void", {"symbol": "SPX"}),), (60, 180)),
    Kind("halt", (("halt", {"symbols": ["SPX", "/ES"]}),), (60, 180)),
    Kind("fail", (("fail", {"symbol": "SPY", "status": 500}),), (180, 240), "chain of SPY"),
    Kind("shorten", (("shorten", {"symbol": "SPX"}),), (180, 240)),
    Kind("reject 429", (("reject", {"status": 429} | _REFUSED),), (180, 240), "429"),
    Kind(
        "reject 403",
        (("reject", {"status": 403, "html": True} | _REFUSED),),
        (180, 240),
        "403",
    ),
    Kind("reject 500", (("reject", {"path": "chains", "status": 500}),), (180, 240), "chain of"),
    Kind("stall", (("stall", {"path": "chains"}),), (240, 300), "chain of"),
)
"""Faults of REST, and of what frames look like: they go on beside the others."""
WHOLE: Final = Form(120.0, len(BREAKS))


class Played(NamedTuple):
    """A fault that was played."""

    kind: Kind
    from_ns: int
    until_ns: int
    heard: int
    """How much the streamer had said before."""
    is_sure: bool = True
    """Whether data flowed when it began."""


class Stretch:
    """The processes of one stretch, the faults that they had, and what they said."""

    def __init__(self, stage: Stage, form: Form, seed: int) -> None:
        self.stage = stage
        self.form = form
        self.seed = seed
        self.played: list[Played] = []
        self.ends_ns: list[int] = []
        """When something ended that had kept data away: an act, the start of a process, a sign-in.
        """
        self.sign_ins = 0
        self.crowd = 1.0
        """How many processes wanted one core at the busiest time; 1: each has its own."""
        self.tapes: dict[Calendar, list[Event]] = {}
        """As the hot store had them at the end."""
        self._dice = random.Random(seed)  # noqa: S311 # it is to be repeated
        self._store_is_up = True
        self._signed_in_s = 0.0
        self._sent = -1
        self._counted: tuple[str, int] | None = None
        self._streamer = self._start("stream")

    # --- the play -----------------------------------------------------------------------------

    def play(self) -> None:
        """Play it to its end: calm before and behind, and all tapes archived."""
        self._until(lambda: self._status().get("state") == "waiting", "a streamer that waits")
        limit = ("--symbol-limit", str(SYMBOL_LIMIT))
        simulator = self._start("simulate", "--start", f"{DATE}T10:00", *limit)
        self._until(lambda: self._flows(500), "data")
        ends_ns = self.now_ns() + round(self.form.minutes * 60 * SECOND_NS)
        turn = self._deck(BREAKS)
        beside = self._deck(COMPANIONS)
        while self.now_ns() < ends_ns or self._breaks < self.form.faults:
            self._pause(0.2, 1.5)
            if self._dice.random() < _ACCOMPANIED:
                self._begin(next(beside))
                self._pause(0.0, 0.5)
            self._fault(next(turn), is_piled=self._dice.random() < _PILED)
        for played in self.played:
            self._until_over(played)
        for kind in self._unsure():
            self._fault(kind, is_piled=False)
        if self.form is WHOLE:
            self._each_alone()
        self._calm()
        self.stage.control("hold")
        self._until(self._is_quiet, "quiet", each_s=1.0)
        self._end(simulator)  # first: then nothing is under way when the streamer ends
        self._until(lambda: self._status().get("stream") == "reconnecting", "the end of the stream")
        self._end(self._streamer)
        self.tapes = {each: self.stage.tape(each) for each in CALENDARS}
        source = HotSource(self.stage.client, self.stage.keys, self.stage.root / "spool")
        archive(source, LakePaths(self.stage.root), source.tapes(), origin=_ORIGIN, now_s=0.0)

    def now_ns(self) -> int:
        """The market time."""
        clock = clock_from_mapping(self._simulator("clock"))
        return clock.now_ns(time.monotonic_ns())

    def said(self, since: int = 0) -> str:
        """What the streamers have said, from a place on."""
        logs = sorted(self.stage.folder.glob("stream-*.log"), key=_number)
        return "".join(path.read_text(errors="replace") for path in logs)[since:]

    def alerts(self) -> list[str]:
        """The names of all alerts that were rung."""
        entries: Any = self.stage.client.xrange(self.stage.keys.alerts())
        return [alert.name for alert in read_alerts(entries) if alert.active]

    # --- faults -------------------------------------------------------------------------------

    def _deck(self, kinds: tuple[Kind, ...]) -> Iterator[Kind]:
        """Yield kinds for ever: all of them, shuffled, again and again."""
        while True:
            deck = list(kinds)
            self._dice.shuffle(deck)
            yield from deck

    @property
    def _breaks(self) -> int:
        return sum(played.kind in BREAKS for played in self.played)

    def _unsure(self) -> list[Kind]:
        """Return what came only on top of another fault, and so may have met nothing."""
        sure = {played.kind.name for played in self.played if played.is_sure}
        come = {played.kind.name for played in self.played}
        return [kind for kind in BREAKS if kind.name in come - sure]

    def _fault(self, kind: Kind, *, is_piled: bool) -> None:
        """Play a fault; unless the next one shall meet it, wait for its end and for data."""
        if "hot store" in kind.name:
            self._lose_store(kind)
            return
        if "streamer" in kind.name:
            self._lose_streamer(kind)
            return
        if not is_piled:
            self._until(lambda: self._flows(50), f"data before {kind.name}")
        played = self._begin(kind, is_sure=not is_piled)
        if kind.name == "evict":
            self._until(lambda: self._status().get("state") == "taken", "a stream that is taken")
            self._end(self._streamer)
            self._streamer = self._start("stream")
            self.ends_ns.append(self.now_ns())
        if is_piled:
            return
        self._until_heard(played)
        self._until_over(played)
        self._until(lambda: self._flows(100), f"data again behind {kind.name}")

    def _each_alone(self) -> None:
        """Play each companion once where nothing hides it: data flow and REST answers."""
        for kind in COMPANIONS:
            self._until(self._all_is_well, f"calm before {kind.name}")
            played = self._begin(kind)
            self._until_heard(played)
            self._until_over(played)

    def _all_is_well(self) -> bool:
        status = self._status()
        return (status.get("state"), status.get("breaker")) == ("streaming", "closed")

    def _begin(self, kind: Kind, *, is_sure: bool = True) -> Played:
        lasts_s = self._dice.uniform(*kind.lasts_s)
        heard, from_ns = len(self.said()), self.now_ns()
        for verb, fields in kind.acts:
            once = verb in ("notice", "tear", "evict", "expire", "revoke")
            self.stage.play(verb, **({} if once else {"for_s": lasts_s}), **fields)
        until_ns = self.now_ns() + round(lasts_s * SECOND_NS)
        played = Played(kind, from_ns, until_ns, heard, is_sure)
        self.played.append(played)
        self._tell(f"{kind.name} for {lasts_s:.0f} s")
        if kind in BREAKS:
            self.ends_ns.append(played.until_ns)
        return played

    def _lose_streamer(self, kind: Kind) -> None:
        from_ns, heard = self.now_ns(), len(self.said())
        self._streamer.kill()
        self._streamer.wait()
        self._pause(0.0, 1.0)
        self._streamer = self._start("stream")
        self.played.append(Played(kind, from_ns, self.now_ns(), heard))
        self.ends_ns.append(self.now_ns())
        pid = str(self._streamer.pid)
        self._until(lambda: self._status().get("pid") == pid, "another streamer")
        self._until(lambda: self._flows(100), "its data")

    def _lose_store(self, kind: Kind) -> None:
        from_ns, heard = self.now_ns(), len(self.said())
        self._store_is_up = False
        self.stage.kill_store()
        self._pause(0.5, 3.0)
        self.stage.revive_store()
        self._store_is_up = True
        self.played.append(Played(kind, from_ns, self.now_ns(), heard))
        self._until(self._has_resynced, "senders that found the store again")

    def _has_resynced(self) -> bool:
        """Whether each sender of this process has asked for the end of its tape once more."""
        senders = json.loads(self._status().get("senders", "[]"))
        return bool(senders) and all(
            each["connected"] and each["problem"] is None and each["resyncs"] > 1
            for each in senders
        )

    def _until_heard(self, played: Played) -> None:
        kind = played.kind
        pattern = re.compile(kind.said)
        self._until(lambda: pattern.search(self.said(played.heard)), f"a word of {kind.name}")

    def _until_over(self, played: Played) -> None:
        self._until(lambda: self.now_ns() > played.until_ns, f"the end of {played.kind.name}")

    def _calm(self) -> None:
        """A new connection without faults, with all that is wanted: as many as the vendor lets."""
        logins = self._simulator("state")["logins"]
        self.stage.play("tear")
        self._until(lambda: self._simulator("state")["logins"] > logins, "a new connection")
        self._until(self._is_full, f"{SYMBOL_LIMIT} symbols")
        self._until(lambda: self._flows(500), "data at the end")

    # --- looking ------------------------------------------------------------------------------

    def _until(self, holds: Callable[[], object], what: str, each_s: float = 0.1) -> None:
        """Wait until it holds; sign in where the streamer asks for a person."""
        until_s = time.monotonic() + _PATIENCE_S
        while not holds():
            assert self._streamer.poll() is None, f"the streamer ended before: {what}"
            assert time.monotonic() < until_s, f"never: {what}; seed {self.seed}"
            self._attend()
            self.crowd = max(self.crowd, os.getloadavg()[0] / (os.cpu_count() or 1))
            time.sleep(each_s)

    def _pause(self, least_s: float, most_s: float) -> None:
        until_s = time.monotonic() + self._dice.uniform(least_s, most_s)
        while time.monotonic() < until_s:
            self._attend()
            time.sleep(0.05)

    def _attend(self) -> None:
        """Sign in as a person does when asked."""
        asks = self._status().get("state") == "auth_required"
        if not asks or time.monotonic() < self._signed_in_s + _REACTS_S:
            return
        self._signed_in_s = time.monotonic()
        url = f"http://127.0.0.1:{self.stage.port}"
        app = Application(key="a-key", secret=CLIENT_SECRET, redirect_uri=_REDIRECT, base_url=url)
        try:
            asyncio.run(_sign_in(SignIn(app, TokenStore(self.stage.root / "tokens"))))
        except FeedError:
            return
        self.sign_ins += 1
        self.ends_ns.append(self.now_ns())

    def _status(self) -> dict[str, str]:
        if not self._store_is_up:
            return {}
        try:
            return self.stage.status()
        except UNREACHABLE:
            return {}

    def _flows(self, items: int) -> bool:
        """Whether so many items more have come to the streamer since this was asked first."""
        status = self._status()
        now = (status.get("pid", ""), int(status.get("received", 0)))
        if status.get("state") != "streaming":
            self._counted = None
            return False
        if self._counted is None or self._counted[0] != now[0]:
            self._counted = now
        done = now[1] - self._counted[1] >= items
        if done:
            self._counted = None
        return done

    def _is_full(self) -> bool:
        subscribed = self._simulator("state")["subscribed"]
        return sum(map(len, subscribed.values())) > SYMBOL_LIMIT * 0.9

    def _is_quiet(self) -> bool:
        """Whether no stream has been told anything since this was asked the last time."""
        before = self._sent
        self._sent = sum(1 for line in lines(self.stage.root) if line["stream"])
        return before == self._sent

    def _simulator(self, what: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.stage.port}/control/{what}"
        answer: dict[str, Any] = httpx.get(url, trust_env=False, timeout=30.0).json()
        return answer

    # --- processes ----------------------------------------------------------------------------

    def _tell(self, what: str) -> None:
        """Print what happens, for whoever runs it by hand."""
        print(f"{et_datetime(self.now_ns()):%H:%M:%S} {what}")  # noqa: T201 # so is it read

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self.stage.start(
            *arguments,
            GEX_SIMULATOR_SPEED=f"{SPEED}",
            GEX_SIMULATOR_CONTRACTS="200",
            GEX_SIMULATOR_RATE="20",
            GEX_SYMBOLS=",".join(SYMBOLS),
            SCHWAB_SYMBOL_LIMIT=f"{_ASKED_LIMIT}",
            SCHWAB_CHAIN_INTERVAL_S="1",
            SCHWAB_REQUESTS_PER_MINUTE="500",
            SCHWAB_REQUEST_TIMEOUT_S="2",
            SCHWAB_SILENCE_S=f"{SILENCE_S}",
        )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def _number(log: Path) -> int:
    return int(log.stem.rpartition("-")[2])


async def _sign_in(sign_in: SignIn) -> None:
    url = sign_in.begin().url
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(f"{url}&approve=1")
    await sign_in.finish(str(answer.headers["location"]))


def seed_of(environment: str | None, usual: int) -> int:
    """The seed that is asked for; `new` draws one."""
    if environment == "new":
        return int.from_bytes(os.urandom(4))
    return int(environment or usual)
