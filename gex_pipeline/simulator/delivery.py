"""What becomes of frames of data on their way to the socket: late, swapped, padded, cut."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from gex_pipeline.simulator.frames import Frame
from gex_pipeline.simulator.mishaps import Bulk, Garble, Lag, Shuffle
from gex_pipeline.simulator.noise import uniform
from gex_pipeline.simulator.script import Script

_HELD_S: Final = 1.0
"""A frame without a neighbour to swap with leaves after so long."""
_SALT: Final = 51


class Delivery:
    """The frames of one connection that are on their way; answers and heartbeats pass by."""

    def __init__(self, script: Script, seed: int, now_s: Callable[[], float]) -> None:
        """Take the script and the loop's clock, seconds."""
        self._script = script
        self._seed = seed
        self._now_s = now_s
        self._waiting: deque[tuple[float, Frame]] = deque()
        self._held: tuple[float, Frame] | None = None
        self._count = 0

    def passed(self, frame: Frame) -> Iterator[Frame]:
        """Take a frame; yield those that leave now."""
        if not frame.told:
            yield frame
            return
        if not self._script.runs(Shuffle, frame.ts_ns):
            self._let_go()
            self._send_off(frame)
        elif self._held is None:
            self._held = self._now_s(), frame
        else:
            self._send_off(frame)
            self._let_go()
        yield from self.due()

    def due(self) -> Iterator[Frame]:
        """Yield the frames whose time has come."""
        if self._held is not None and self._now_s() - self._held[0] >= _HELD_S:
            self._let_go()
        while self._waiting and self._waiting[0][0] <= self._now_s():
            yield self._marred(self._waiting.popleft()[1])

    def _let_go(self) -> None:
        if self._held is not None:
            self._send_off(self._held[1])
            self._held = None

    def _send_off(self, frame: Frame) -> None:
        late_s = max((act.by_s for act in self._script.running(Lag, frame.ts_ns)), default=0.0)
        self._waiting.append((self._now_s() + late_s, frame))

    def _marred(self, frame: Frame) -> Frame:
        for bulk in self._script.running(Bulk, frame.ts_ns):
            missing = bulk.bytes - len(frame.data)
            if missing > 0:  # spaces before the last brace: the same JSON
                data = frame.data[:-1] + b" " * missing + frame.data[-1:]
                frame = msgspec.structs.replace(frame, data=data)
        for garble in self._script.running(Garble, frame.ts_ns):
            self._count += 1
            if float(uniform(self._seed, _SALT, frame.ts_ns, self._count)[0]) < garble.share:
                text = frame.data.decode()
                half = text[: len(text) // 2].encode()
                return msgspec.structs.replace(frame, data=half, fault="garble")
        return frame
