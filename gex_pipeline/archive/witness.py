"""The raw capture as a witness: its frames counted again, and the time that it covers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from gex_pipeline.archive.recount import Recount
from gex_pipeline.feeds.capture import WireFrame, capture_files, read_capture
from gex_pipeline.quality.closing import Break, Cell
from gex_pipeline.quality.ledger import MINUTE_NS
from gex_pipeline.quality.spans import Span

_LEAD_NS = 10 * MINUTE_NS
"""Read before and behind the time in question, so that a run is seen to go on, or to end."""


class _Run(msgspec.Struct):
    """One process's frames."""

    first: WireFrame
    last: WireFrame

    @property
    def covers(self) -> Span:
        """Time in which nothing came that is not captured."""
        start = self.first.run if self.first.number == 1 else self.first.ts_recv_ns
        return start, self.last.ts_recv_ns + 1


class Witness:
    """What the capture says of some tapes and a stretch of time."""

    def __init__(self, tapes: Mapping[str, Iterable[Span]]) -> None:
        """Count for these tapes; the spans are the times that are not settled on each."""
        self.counts: dict[str, Counter[Cell]] = {tape: Counter() for tape in tapes}
        self.frames = 0
        self.breaks: list[Break] = []
        self._unsettled = {tape: list(spans) for tape, spans in tapes.items()}
        self._runs: dict[int, _Run] = {}
        self._recount = Recount()

    @property
    def covered(self) -> list[Span]:
        """The time that the capture covers."""
        return [run.covers for run in self._runs.values()]

    def hear(self, folder: Path, source: str, span: Span) -> bool:
        """Read the frames of a stretch of time; False: there is no capture of it."""
        if not capture_files(folder):
            return False
        for frame in read_capture(folder, from_ns=span[0] - _LEAD_NS, to_ns=span[1] + _LEAD_NS):
            self._follow(frame)
            if frame.ts_recv_ns >= span[0]:
                self._count(frame, source)
        return self.frames > 0

    def _follow(self, frame: WireFrame) -> None:
        run = self._runs.get(frame.run)
        if run is None:
            self._runs[frame.run] = _Run(frame, frame)
            return
        if frame.number != run.last.number + 1:
            lost = (run.last.number + 1, frame.number - 1)
            self.breaks.append(
                Break(
                    stage="capture",
                    tape="",
                    minute_ns=frame.ts_recv_ns - frame.ts_recv_ns % MINUTE_NS,
                    by=lost[0] - lost[1] - 1,
                    words=f"frames {lost[0]} to {lost[1]} of run {frame.run} are not there",
                )
            )
        run.last = frame

    def _count(self, frame: WireFrame, source: str) -> None:
        self.frames += 1
        minute_ns = frame.ts_recv_ns - frame.ts_recv_ns % MINUTE_NS
        for (calendar, table), count in self._recount.updates(frame).items():
            tape = f"{source}.{calendar}"
            if tape in self.counts and self._is_settled(tape, frame.ts_recv_ns):
                self.counts[tape][minute_ns, table] += count

    def _is_settled(self, tape: str, ts_ns: int) -> bool:
        return not any(start < ts_ns < stop for start, stop in self._unsettled[tape])
