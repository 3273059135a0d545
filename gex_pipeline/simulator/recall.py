"""Which tokens a script has made dead: all of a kind that were issued before a moment."""

from collections.abc import Callable
from typing import Final

from gex_pipeline.simulator.act import Act
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.mishaps import Expire, Revoke
from gex_pipeline.simulator.tokens import Kind

_ACTS: Final[dict[Kind, type[Act]]] = {"access": Expire, "refresh": Revoke}


class Recall:
    """Turns market time, in which acts begin, into wall time, in which tokens live."""

    def __init__(self, desk: Desk, wall_ns: Callable[[], int]) -> None:
        self._desk = desk
        self._wall_ns = wall_ns
        self._recalled: dict[tuple[Kind, int], int] = {}
        """Wall times by kind and beginning; kept, because the market's clock jumps at a close."""

    def before_ns(self, kind: Kind) -> int:
        """Return the wall time up to which tokens of a kind are dead; 0: none is."""
        act = _ACTS.get(kind)
        if act is None:
            return 0
        now_ns = self._desk.now_ns()
        for span in self._desk.market.script.spans:
            if isinstance(span.act, act) and span.from_ns <= now_ns:
                self._recalled.setdefault((kind, span.from_ns), self._wall_of(span.from_ns))
        return max((at for (of, _), at in self._recalled.items() if of == kind), default=0)

    def _wall_of(self, ts_ns: int) -> int:
        began = self._desk.clock().mono_ns(ts_ns)
        now_ns = self._wall_ns()
        return now_ns if began is None else now_ns - (self._desk.mono_ns() - began)
