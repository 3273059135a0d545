"""A replay from its start to its end: turns of feeding, what it is told, and what it says."""

import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import redis

from gex_pipeline.errors import GexError, SessionError, SessionHeldError
from gex_pipeline.hot import control
from gex_pipeline.hot.clockstore import publish_clock
from gex_pipeline.hot.connect import UNREACHABLE
from gex_pipeline.hot.keys import DAY_S, Keys
from gex_pipeline.hot.lease import Lease, Status
from gex_pipeline.hot.session import SERVICE, SessionInfo, State, write_session
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline.replay.generation import Compute, Generation
from gex_pipeline.replay.namespace import begin_anew, let_expire
from gex_pipeline.replay.plan import Plan
from gex_pipeline.replay.playhead import Playhead
from gex_pipeline.replay.source import Source
from gex_pipeline.replay.words import seconds_of, sought_ns, speed_of

TURN_S: Final = 0.02
LISTEN_EVERY_S: Final = 0.05
SAY_EVERY_S: Final = 0.5
EXPIRE_EVERY_S: Final = 600.0
LEASE_MS: Final = 10_000
RETRY_S: Final = 0.5
LAG_S: Final = 2.0
LAG_REAL_S: Final = 0.1
"""At a speed the engine stays no further behind: market seconds, or so much of real time."""
AHEAD_NS: Final = 120 * SECOND_NS
"""So far ahead a seek goes by playing on; further, from the newest image before it."""

Tell = Callable[[SessionInfo], None]


class Session:
    """One replay; `run` is its loop."""

    def __init__(
        self,
        plan: Plan,
        store: redis.Redis,
        keys: Keys,
        source: Source,
        compute: Compute,
        tell: Tell,
    ) -> None:
        """Prepare a replay; `keys` are those of its namespace, `tell` hears what it says.

        Raises:
            ReplayError: the lake holds nothing of it.
        """
        self._plan, self._store, self._keys, self._source = plan, store, keys, source
        self._compute, self._tell = compute, tell
        self._tracks = source.tracks(plan)
        self._first_ns = first_ns = min(track.first_ns for track in self._tracks)
        last_ns = max(track.last_ns for track in self._tracks)
        self._span = (
            min(max(plan.start_ns or first_ns, first_ns), last_ns),
            min(plan.end_ns or last_ns, last_ns),
        )
        if self._span[0] > self._span[1]:
            raise SessionError("The replay would end before it starts.", "Correct --from and --to.")
        self._head = Playhead(*self._span, plan.speed)
        self._head.until_ns = plan.until_ns
        self._lease = Lease(store, keys, SERVICE, secrets.token_hex(8), LEASE_MS)
        self._status = Status(store, keys, "engine")
        self._generation: Generation | None = None
        self._generations = 0
        self._heard = control.START
        self._due_s = dict.fromkeys(("listen", "say", "expire"), 0.0)
        self._rate = (time.monotonic(), 0, 0.0)
        self._events = 0
        self._told = False

    def run(self, stop: threading.Event) -> None:
        """Play until the end, until told to stop, or until something fails.

        Raises:
            SessionHeldError: another process runs the replay of this id.
            GexError: what ended it.
        """
        if self._lease.acquire() is None:
            raise SessionHeldError(self._plan.session)
        begin_anew(self._store, self._keys)
        try:
            self._begin(self._head.market_ns)
            self._play(stop)
            self._finish("ended", None)
        except BaseException as error:
            self._finish("failed", error)
            raise

    def _play(self, stop: threading.Event) -> None:
        while not stop.is_set() and not self._told:
            try:
                moved = self._turn(stop)
            except UNREACHABLE:
                stop.wait(RETRY_S)
                continue
            if moved is None:
                return
            if not moved:
                stop.wait(TURN_S)

    def _turn(self, stop: threading.Event) -> bool | None:
        """Listen, feed what is due and say how it goes; None: all is played."""
        head, generation = self._head, self._playing
        if self._is_due("listen", LISTEN_EVERY_S):
            self._listen()
            generation = self._playing
        seeking = head.state == "seeking"
        at_speed = head.state == "running" and head.speed is not None
        mono_ns = time.monotonic_ns()
        moved = generation.feed(
            head.horizon_ns(mono_ns),
            quietly=seeking,
            lag_ns=round(max(LAG_S, LAG_REAL_S * (head.speed or 0)) * SECOND_NS)
            if at_speed
            else None,
        )
        head.came_to(self._fed_ns(), mono_ns)
        if seeking and generation.fed_ns >= head.market_ns and generation.caught_up:
            head.arrive(time.monotonic_ns())
            self._say()
        if head.reached_limit(time.monotonic_ns()):
            self._say()
        self._say_if_due()
        if generation.over and head.state == "running" and not head.until_ns:
            return None if self._complete(stop) else False
        return moved

    def _fed_ns(self) -> int:
        """Return how far the clock may be: as fast as it goes, that is how far the figures are."""
        paced = self._head.speed is not None
        return self._playing.fed_ns if paced else self._playing.engine_ns()

    def _complete(self, stop: threading.Event) -> bool:
        """Have the engine finish the last seconds; False: told something else meanwhile."""
        self._playing.release()
        while not self._playing.caught_up and not stop.is_set():
            self._head.came_to(self._fed_ns(), time.monotonic_ns())
            self._say_if_due()
            stop.wait(TURN_S)
        return True

    # --- lives of the namespace -----------------------------------------------------------------

    @property
    def _playing(self) -> Generation:
        assert self._generation is not None  # noqa: S101 # begun before anything is played
        return self._generation

    def _begin(self, at_ns: int) -> None:
        """Fill the namespace anew, from the newest images at or before a moment."""
        if self._generation is not None:
            self._generation.close()
            self._events += self._generation.writer.events
        start = self._source.start(self._tracks, at_ns)
        self._generations += 1
        self._generation = Generation(
            self._store, self._keys, self._source, self._plan, self._tracks, start, self._compute
        )
        self._say()

    def _finish(self, state: State, error: BaseException | None) -> None:
        """Leave the namespace to its readers, for a day."""
        if self._generation is not None:
            self._generation.close()
        self._head.end(state, time.monotonic_ns())
        with suppress(*UNREACHABLE):  # the namespace goes by itself: every key has its time to live
            self._say(_told(error))
            self._lease.release()
            let_expire(self._store, self._keys)

    # --- what it is told --------------------------------------------------------------------------

    def _listen(self) -> None:
        found, self._heard = control.requests(self._store, self._keys, SERVICE, self._heard)
        for request in found:
            try:
                self._do(request.verb, request.arg)
                answer = control.Reply(request.id, ok=True)
            except GexError as error:
                answer = control.Reply(request.id, ok=False, detail=str(error))
            self._say()
            control.reply(self._store, self._keys, SERVICE, answer)

    def _do(self, verb: str, arg: str) -> None:
        head, mono_ns = self._head, time.monotonic_ns()
        match verb:
            case "pause":
                head.pause(mono_ns)
            case "resume":
                head.resume(mono_ns)
            case "step":
                head.step(seconds_of(arg or "1"), mono_ns)
            case "speed":
                head.set_speed(speed_of(arg), mono_ns)
            case "seek":
                span = (self._first_ns, self._span[1])  # before --from lies what is recorded too
                self._seek(sought_ns(arg, self._plan.date, span, head.now_ns(mono_ns)))
            case "stop":
                self._told = True
            case _:
                raise SessionError(f"{verb!r} is nothing that a replay does.", "See gex control.")

    def _seek(self, to_ns: int) -> None:
        self._head.seek(to_ns, time.monotonic_ns())
        if not 0 <= to_ns - self._playing.fed_ns <= AHEAD_NS:
            self._begin(to_ns)

    # --- what it says -----------------------------------------------------------------------------

    def _say_if_due(self) -> None:
        if self._is_due("say", SAY_EVERY_S):
            self._say()
            if not self._lease.renew():
                raise SessionHeldError(self._plan.session)
        if self._is_due("expire", EXPIRE_EVERY_S):
            let_expire(self._store, self._keys)

    def _say(self, problem: str | None = None) -> None:
        """Publish clock, state and counters."""
        info = self._info(problem)
        publish_clock(self._store, self._keys, self._head.clock)
        self._store.set(self._keys.mode(), info.mode, ex=DAY_S)
        write_session(self._store, self._keys, info)
        if self._generation is not None:
            self._status.beat(self._generation.status())
        self._tell(info)

    def _info(self, problem: str | None) -> SessionInfo:
        head, plan, generation = self._head, self._plan, self._generation
        market_ns = head.now_ns(time.monotonic_ns())
        behind_ns = market_ns - generation.engine_ns() if generation else 0
        return SessionInfo(
            id=plan.session,
            date=str(plan.date),
            mode=plan.mode,
            source=plan.source,
            symbols=plan.symbols,
            tapes=tuple(track.tape for track in self._tracks),
            state=head.state,
            speed=head.speed,
            market_ns=market_ns,
            clock=head.clock,
            boot="",
            start_ns=self._span[0],
            end_ns=self._span[1],
            lag_s=round(max(behind_ns, 0) / SECOND_NS, 3),
            events=self._all_events(),
            events_per_s=self._measured(),
            positions=generation.positions if generation else {},
            generation=self._generations,
            problem=problem or (_SHORT if generation and generation.held else None),
            pid=os.getpid(),
        )

    def _all_events(self) -> int:
        return self._events + (self._generation.writer.events if self._generation else 0)

    def _measured(self) -> float:
        before_s, before, rate = self._rate
        now_s, events = time.monotonic(), self._all_events()
        if now_s - before_s >= SAY_EVERY_S:
            rate = round((events - before) / (now_s - before_s), 1)
            self._rate = (now_s, events, rate)
        return rate

    def _is_due(self, what: str, every_s: float) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s[what]:
            return False
        self._due_s[what] = now_s + every_s
        return True


def _told(error: BaseException | None) -> str | None:
    return str(error) if isinstance(error, GexError) else type(error).__name__ if error else None


_SHORT: Final = "The hot store's memory is short: the replay waits until it is below 80%."
