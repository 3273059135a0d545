"""Figures of an image: the one fold, with what makes each of them live and reproducible."""

from typing import Final

import msgspec

from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.live import Image, feed_factor, live_chain
from gex_pipeline.exposure.snapshot import Exposure, GexSnapshot
from gex_pipeline.market.events import GexSecond

PUBLISHED: Final = ("all", "0dte", "next", "weekly", "monthly")
RING: Final = ("all", "0dte", "front0", "front1", "full90")
"""Scopes whose change over time is kept."""
EVERY: Final = tuple(dict.fromkeys(PUBLISHED + RING))


class LiveSnapshot(GexSnapshot, frozen=True, kw_only=True):
    """A snapshot of a feed; `final` is false while its market second is not complete."""

    mode: str
    """real or simulated."""
    ts_recv_ns: int
    """Receipt of the newest event that is in."""
    tapes: dict[str, str]
    """Tape to `<epoch>-<seq>` of the last event that is in: whoever folds the tape up to there gets
    the same figures."""


def figures(image: Image, scopes: tuple[str, ...], *, final: bool) -> dict[str, LiveSnapshot]:
    """Return the snapshot of each scope."""
    chain = live_chain(image)
    live = {
        "mode": image.mode,
        "ts_recv_ns": image.ts_recv_ns,
        "tapes": {tape: f"{epoch}-{seq}" for tape, (epoch, seq) in image.positions.items()},
        "final": final,
    }
    folded = fold(chain, scopes, feed=feed_factor(image, chain))
    return {
        scope: LiveSnapshot(**(msgspec.structs.asdict(snapshot) | live))
        for scope, snapshot in folded.items()
    }


_WEIGHTED: Final = (
    "net_gex",
    "call_gex",
    "put_gex",
    "gross_gex",
    "dex",
    "vex",
    "cex",
    "zero_gamma",
    "call_wall",
    "put_wall",
    "abs_gamma_strike",
    "max_net_strike",
    "min_net_strike",
)


def gex_second(ts_ns: int, image: Image, snapshot: LiveSnapshot) -> GexSecond:
    """Return what the tape and the table `gex` keep of a snapshot of a complete second."""
    by_volume = snapshot.volume or Exposure(weight="volume")
    weighted = {f"{name}_oi": getattr(snapshot, name) for name in _WEIGHTED}
    weighted |= {f"{name}_volume": getattr(by_volume, name) for name in _WEIGHTED}
    move, coverage, rows = snapshot.expected_move, snapshot.coverage, snapshot.strikes
    return GexSecond(
        symbol=snapshot.symbol,
        ts_event_ns=snapshot.ts_event_ns,
        ts_recv_ns=ts_ns,
        scope=snapshot.scope,
        convention=snapshot.convention,
        positions=msgspec.json.encode(image.positions).decode(),
        contracts=snapshot.contracts,
        null_reasons=msgspec.json.encode(snapshot.null_reasons).decode(),
        spot=snapshot.spot,
        **weighted,
        max_pain=snapshot.max_pain,
        expected_move=move.points if move else None,
        open_interest=sum(row.call_oi + row.put_oi for row in rows),
        volume=sum(row.call_volume + row.put_volume for row in rows),
        own_share=coverage.oi_own if coverage else None,
        vendor_share=coverage.oi_vendor if coverage else None,
        confidence=snapshot.confidence,
        confidence_level=snapshot.confidence_level,
    )
