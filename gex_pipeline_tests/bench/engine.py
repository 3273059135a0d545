"""`gex bench engine`: the exposure engine against the exp-bound floor and two common forms."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import norm

from gex_pipeline.errors import BenchInvalidError
from gex_pipeline.exposure import profile
from gex_pipeline.exposure.book import make_book
from gex_pipeline.exposure.chain import CALL, PUT, Chain
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.exposure.crossings import Crossings
from gex_pipeline.exposure.figures import scope_crossings
from gex_pipeline.exposure.fold import fold, snapshots
from gex_pipeline.exposure.greeks import bell, line_greeks
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.smile import Smile, solve_smile
from gex_pipeline.market.arrays import Floats
from gex_pipeline_tests.bench.frame import Bench, Op, best_half, held, interleaved_ms, machine
from gex_pipeline_tests.synthetic import synthetic_chain

CONTRACTS: Final = 20_000
EXPIRIES: Final = 30
SCOPES: Final = ("all", "0dte", "next", "weekly", "monthly")
SCAN_NODES: Final = GEXC_1.scan_nodes
_EXP_ELEMENTS: Final = 4096
_EXP_REPEATS: Final = 20
_ROWWISE_NODES: Final = (30, 60, 90)
_ROWWISE_ROUNDS: Final = 3
_SAME: Final = 1e-9
_EXP_NS: Final = (0.3, 1.5)

LIMITS: Final[dict[str, tuple[Op, float]]] = {
    "core_to_floor": ("<=", 3),
    "snapshot_to_floor": ("<=", 5),
    "snapshot_cpu_p99_ms": ("<=", 12),
    "snapshot_201_ms": ("<=", 15),
    "own_iv_snapshot_ms": ("<=", 18),
    "vs_textbook": (">=", 7),
    "vs_rowwise": (">=", 100),
}
PEERS: Final = {
    "floor": f"{SCAN_NODES} nodes x contracts x one numpy float64 exp"
    f" ({_EXP_ELEMENTS:,} elements, out=, best of all rounds)",
    "textbook": "the profile as commonly vectorised: Black-Scholes gamma of every contract anew at"
    f" every one of the {SCAN_NODES} nodes, numpy",
    "rowwise": "the profile as most public scripts have it: pandas apply over the rows, scipy.stats"
    f" density; {len(_ROWWISE_NODES)} nodes measured, scaled to {SCAN_NODES}",
    "core": "one scope from given volatilities: greeks, sums by OI and volume, profile and"
    " crossings of both (vanna, charm and the evidence for confidence are in it too)",
    "snapshot": f"whole snapshots of {len(SCOPES)} scopes: {', '.join(SCOPES)}; 201: on 401 nodes",
    "own_iv_snapshot": "the same with rate, forwards and every volatility solved from the quotes",
}


def run(rounds: int) -> Bench:
    """Return the figures of the engine on a synthetic chain of 20,000 contracts, 30 expiries."""
    chain = clean_chain(synthetic_chain(CONTRACTS, EXPIRIES))
    smile = solve_smile(chain, GEXC_1)
    x = profile.nodes(GEXC_1.scan_span, SCAN_NODES)
    columns = _contract_columns(chain, smile)
    frame = pd.DataFrame(columns)
    parts: dict[str, Callable[[], object]] = {
        "exp": _exp_workload(),
        "core": lambda: core(chain, smile),
        "snapshot": lambda: snapshots(make_book(chain, smile, GEXC_1), SCOPES),
        "snapshot_201": lambda: snapshots(make_book(chain, smile, GEXC_1, 401), SCOPES),
        "own_iv_snapshot": lambda: fold(chain, SCOPES),
        "profile": lambda: own_profile(chain, smile, x),
        "textbook": lambda: textbook_profile(columns, chain.spot, x),
    }
    times = interleaved_ms(rounds, parts)
    ms = {name: best_half(taken) for name, taken in times.items()}
    few = x[list(_ROWWISE_NODES)]
    slow = interleaved_ms(
        _ROWWISE_ROUNDS, {"rowwise": lambda: rowwise_profile(frame, chain.spot, few)}
    )
    rowwise_ms = best_half(slow["rowwise"]) * SCAN_NODES / len(few)
    ours = own_profile(chain, smile, x)
    each_ns = _each_ns(times["exp"])
    floor_ms = SCAN_NODES * chain.contracts * each_ns / 1e6
    figures = {
        "contracts": float(chain.contracts),
        "exp_ns": each_ns,
        "floor_ms": floor_ms,
        "core_ms": ms["core"],
        "core_to_floor": ms["core"] / floor_ms,
        "snapshot_ms": ms["snapshot"],
        "snapshot_to_floor": ms["snapshot"] / floor_ms,
        "snapshot_cpu_p99_ms": float(np.percentile(times["snapshot"], 99)),
        "snapshot_201_ms": ms["snapshot_201"],
        "own_iv_snapshot_ms": ms["own_iv_snapshot"],
        "profile_ms": ms["profile"],
        "textbook_ms": ms["textbook"],
        "vs_textbook": ms["textbook"] / ms["profile"],
        "textbook_difference": _difference(ours, textbook_profile(columns, chain.spot, x)),
        "rowwise_ms": rowwise_ms,
        "vs_rowwise": rowwise_ms / ms["profile"],
        "rowwise_difference": _difference(
            ours[list(_ROWWISE_NODES)], rowwise_profile(frame, chain.spot, few), np.abs(ours).max()
        ),
    }
    _check(figures)
    return Bench(
        bench="engine",
        machine=machine(),
        figures=figures,
        peers=PEERS,
        targets=held(figures, LIMITS),
    )


def _check(figures: dict[str, float]) -> None:
    """Refuse a run whose comparison means nothing: an odd floor, or peers that answer otherwise."""
    low, high = _EXP_NS
    if not low <= figures["exp_ns"] <= high:
        raise BenchInvalidError(
            f"one exp took {figures['exp_ns']:.2f} ns, outside {low} to {high}: numpy has no SIMD"
            " here, or the machine was too busy"
        )
    for peer in ("textbook", "rowwise"):
        if figures[f"{peer}_difference"] > _SAME:
            raise BenchInvalidError(f"the {peer} peer's answer differs by more than {_SAME:g}")


def core(chain: Chain, smile: Smile) -> list[Crossings]:
    """Return the crossings of the scope `all`; the sums and the profile are in the book."""
    book = make_book(chain, smile, GEXC_1)
    every = slice(0, book.greeks.line.size)
    return scope_crossings(book, every, (book.x, book.scan.sum(axis=1)))


def own_profile(chain: Chain, smile: Smile, x: Floats) -> Floats:
    """Return net GEX by open interest at each node, greeks included, as the engine computes it."""
    greeks = line_greeks(chain, smile)
    net = chain.open_interest[CALL, greeks.line] - chain.open_interest[PUT, greeks.line]
    start = np.searchsorted(greeks.group, np.arange(len(chain.groups) + 1))
    bells = bell(greeks, net)[np.newaxis]
    total = profile.scan(greeks.slope, greeks.d1, bells, start, x)
    return profile.dollars(total[0].sum(axis=0), chain.spot, x)


def textbook_profile(columns: dict[str, Floats], spot: float, x: Floats) -> Floats:
    """Return the same by pricing every contract's gamma anew at every node."""
    strike, t, sigma = columns["strike"], columns["t"], columns["sigma"]
    weight = columns["right"] * columns["open_interest"] * 100 * 0.01
    answer = np.empty(x.size)
    for node, level in enumerate(spot * np.exp(x)):
        stdev = sigma * np.sqrt(t)
        d1 = (np.log(level / strike) + (columns["drift"] + sigma**2 / 2) * t) / stdev
        density = np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
        gamma = np.exp(-columns["dividend"] * t) * density / (level * stdev)
        answer[node] = (weight * gamma).sum() * level**2
    return answer


def rowwise_profile(frame: pd.DataFrame, spot: float, x: Floats) -> Floats:
    """Return the same, a row and a node at a time."""

    def gex(row: "pd.Series[float]", level: float) -> float:
        stdev = row["sigma"] * math.sqrt(row["t"])
        d1 = (
            math.log(level / row["strike"]) + (row["drift"] + row["sigma"] ** 2 / 2) * row["t"]
        ) / stdev
        gamma = math.exp(-row["dividend"] * row["t"]) * norm.pdf(d1) / (level * stdev)
        return float(row["right"] * row["open_interest"] * 100 * level**2 * 0.01 * gamma)

    levels = (spot * np.exp(x)).tolist()
    return np.array([frame.apply(gex, axis=1, args=(level,)).sum() for level in levels])


def _contract_columns(chain: Chain, smile: Smile) -> dict[str, Floats]:
    """Return a row per contract: the inputs of a textbook formula that gives the same gamma."""
    listed = [np.flatnonzero(chain.listed[side]) for side in (CALL, PUT)]
    line = np.concatenate(listed)
    group = chain.group[line]
    t = smile.years[group]
    drift = np.log(smile.carry.forward[group] / chain.spot) / t
    return {
        "strike": chain.strike[line],
        "t": t,
        "sigma": smile.iv[line],
        "drift": drift,
        "dividend": smile.carry.rate.value - drift,
        "right": np.repeat([1.0, -1.0], [side.size for side in listed]),
        "open_interest": np.concatenate(
            [
                chain.open_interest[side, lines]
                for side, lines in zip((CALL, PUT), listed, strict=True)
            ]
        ),
    }


def _exp_workload() -> Callable[[], object]:
    values = np.linspace(-36, 0, _EXP_ELEMENTS)
    out = np.empty_like(values)

    def work() -> None:
        for _ in range(_EXP_REPEATS):
            np.exp(values, out=out)

    return work


def exp_ns(rounds: int) -> float:
    """Return the CPU time of one numpy exp in a long column, the best of all rounds."""
    return _each_ns(interleaved_ms(rounds, {"exp": _exp_workload()})["exp"])


def _each_ns(sorted_ms: Floats) -> float:
    return float(sorted_ms[0]) * 1e6 / _EXP_REPEATS / _EXP_ELEMENTS


def _difference(ours: Floats, theirs: Floats, scale: float | None = None) -> float:
    return float(np.abs(ours - theirs).max() / (scale or np.abs(theirs).max()))
