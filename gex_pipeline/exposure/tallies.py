"""Tallies: what each group of a chain adds up to, once for all scopes."""

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import CALL, MULTIPLIER, PUT, Chain
from gex_pipeline.exposure.greeks import ONE_PERCENT
from gex_pipeline.exposure.levels import nearest
from gex_pipeline.market.arrays import Bools, Floats


class Tallies(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """G groups; weights are open interest and volume."""

    contracts: Floats
    """(G,)"""
    weight: Floats
    """(2, G) contracts held and traded."""
    vendor: Floats | None
    """(2, G) call and put GEX by the vendor's own gamma; None where it gives none."""
    max_pain: tuple[float | None, ...]
    """(G,)"""


def tally(chain: Chain) -> Tallies:
    """Return the tallies of a chain."""
    known = bool((chain.gamma > 0).any())
    weights = [chain.open_interest.sum(axis=0), chain.volume.sum(axis=0)]
    return Tallies(
        contracts=per_group(chain, chain.listed.sum(axis=0)),
        weight=np.stack([per_group(chain, weight) for weight in weights]),
        vendor=_vendor(chain) if known else None,
        max_pain=tuple(_max_pains(chain, weights[0])),
    )


def per_group(chain: Chain, column: "Floats | Bools") -> Floats:
    """Return (G,) the sum of a line column, (L,), over each group; each has a line."""
    if not column.size:
        return np.zeros(len(chain.groups))
    return np.add.reduceat(column, chain.group_start[:-1], dtype=np.float64)


def _vendor(chain: Chain) -> Floats:
    dollars = chain.gamma * chain.open_interest
    dollars[np.isnan(dollars)] = 0.0
    unit = MULTIPLIER * chain.spot * chain.spot * ONE_PERCENT
    return np.stack(
        (unit * per_group(chain, dollars[CALL]), -unit * per_group(chain, dollars[PUT]))
    )


def _max_pains(chain: Chain, both: Floats) -> list[float | None]:
    """Return (G,) max pain of each group: one running sum, and levels.max_pain's rule per slice.

    `both` is (L,), the open interest of calls and puts.
    """
    running = np.cumsum(both)
    before = np.concatenate(([0.0], running))[chain.group_start]
    target = before[:-1] + per_group(chain, chain.open_interest[PUT])
    first = np.maximum(np.searchsorted(running, target), chain.group_start[:-1])
    last = np.searchsorted(running, target, side="right")
    last = np.minimum(last, chain.group_start[1:] - 1)
    empty = before[1:] == before[:-1]
    spans = zip(first.tolist(), last.tolist(), empty.tolist(), strict=True)
    return [
        None if nothing else nearest(chain.strike[low : high + 1].tolist(), chain.spot)
        for low, high, nothing in spans
    ]
