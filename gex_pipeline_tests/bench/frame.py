"""The frame of a bench: figures, peers, and the limits that they are held to."""

import operator
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np

Op = Literal["<=", ">="]
_HOLDS: Final = {"<=": operator.le, ">=": operator.ge}


class Target(msgspec.Struct, frozen=True):
    """A figure held to its limit."""

    figure: str
    op: Op
    limit: float
    value: float
    ok: bool


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """What a bench measured."""

    bench: str
    machine: dict[str, str]
    figures: dict[str, float]
    peers: dict[str, str]
    """What each peer or floor is."""
    targets: tuple[Target, ...]

    @property
    def ok(self) -> bool:
        """Whether every target holds."""
        return all(target.ok for target in self.targets)

    def to_json(self) -> str:
        """Return the whole as one JSON object."""
        return msgspec.json.encode(self).decode()

    def to_text(self) -> str:
        """Return the whole for a person."""
        lines = [f"{self.bench} on {self.machine['cpu']}, Python {self.machine['python']}"]
        lines += [f"  {name:24}{value:>12,.4g}" for name, value in self.figures.items()]
        lines += [f"  {name}: {meaning}" for name, meaning in self.peers.items()]
        for target in self.targets:
            word = "ok  " if target.ok else "MISS"
            lines.append(
                f"{word}  {target.figure} {target.value:,.4g} (limit {target.op} {target.limit:g})"
            )
        return "\n".join(lines)


def held(
    figures: Mapping[str, float], limits: Mapping[str, tuple[Op, float]]
) -> tuple[Target, ...]:
    """Return the targets: each figure against its limit."""
    return tuple(
        Target(name, op, limit, figures[name], bool(_HOLDS[op](figures[name], limit)))
        for name, (op, limit) in limits.items()
    )


def interleaved_ms(rounds: int, parts: Mapping[str, Callable[[], object]]) -> dict[str, np.ndarray]:
    """Return each part's thread CPU times in ms, ascending: every round runs every part once."""
    times: dict[str, list[int]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            start = time.thread_time_ns()
            part()
            times[name].append(time.thread_time_ns() - start)
    return {name: np.sort(taken) / 1e6 for name, taken in times.items()}


def best_half(sorted_ms: np.ndarray) -> float:
    """Return the mean of the faster half."""
    return float(sorted_ms[: max(sorted_ms.size // 2, 1)].mean())


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": platform.system(),
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
