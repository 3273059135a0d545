"""An estimate of the open interest of now: that of the open, and what the day's trades add to it.

As naive as it sounds. What the quote rule takes for bought is taken to open a position, what it
takes for sold to close one, contract by contract, whoever trades; of the rest nothing is assumed.
Customers' buying and selling is nearly balanced, and the rule errs on many trades, so the estimate
may well be further from the truth than the open's figure. It is never recorded.
"""

from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure.live import Image, live_chain
from gex_pipeline.exposure.scopes import lines_of, scope_groups
from gex_pipeline.market.arrays import Floats

WEIGHT: Final = "open_interest_estimate"
METHOD: Final = (
    "estimate: open interest at the open + contracts bought - contracts sold since, at least 0;"
    " bought: at or above the ask that stood before, sold: at or below the bid. Naive: customer"
    " flow is nearly balanced, and who opens or closes is not known."
)


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a scope's day volume the quote rule could tell a side of, in contracts."""

    volume: float
    bought: float
    sold: float
    share: float | None
    """(bought + sold) / volume; null without volume."""
    open_interest: float
    """At the open;"""
    open_interest_estimate: float
    """now, by the estimate."""


def estimated(image: Image) -> Image:
    """Return the image with the estimate as its open interest."""
    rows = msgspec.structs.replace(image.rows, open_interest=_estimate(image))
    return msgspec.structs.replace(image, rows=rows)


def signed(image: Image, scope: str) -> Signed:
    """Return what the estimate of a scope stands on."""
    chain = live_chain(image)
    groups = scope_groups(chain, chain.settle_ns > chain.asof_ns, scope)
    at = image.layout.row[:, lines_of(chain.group_start, groups)]
    rows = image.rows
    volume, bought, sold, held, now = (
        float(column[at].sum())
        for column in (rows.volume, rows.bought, rows.sold, rows.open_interest, _estimate(image))
    )
    return Signed(
        volume=volume,
        bought=bought,
        sold=sold,
        share=min((bought + sold) / volume, 1.0) if volume else None,
        open_interest=held,
        open_interest_estimate=now,
    )


def _estimate(image: Image) -> Floats:
    rows = image.rows
    return np.maximum(rows.open_interest + rows.bought - rows.sold, 0.0)
