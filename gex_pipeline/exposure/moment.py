"""Figures of an image: the one fold, with what makes each of them live and reproducible."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from gex_pipeline.exposure.convention import GEXC_1, Convention
from gex_pipeline.exposure.coverage import Coverage
from gex_pipeline.exposure.feed import feed_of
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.level_change import Levels
from gex_pipeline.exposure.live import Image, live_chain
from gex_pipeline.exposure.snapshot import Exposure, GexSnapshot
from gex_pipeline.market.events import Event, GexSecond, GexStrikes
from gex_pipeline.market.sessions import SECOND_NS

PUBLISHED: Final = ("all", "0dte", "next", "weekly", "monthly")
RING: Final = ("all", "0dte", "front0", "front1", "full90")
"""Scopes whose change over time is kept."""
BY_STRIKE: Final = ("all", "0dte")
"""Scopes whose exposure by strike is recorded,"""
STRIKES_EVERY_S: Final = 15
"""so often."""
CHAIN_EVERY_S: Final = 60
"""So often the whole chain is recorded."""
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
    gap_s: float | None
    """Seconds of the feed that were lost and that no whole chain has made up for; 0: none."""
    gap_causes: tuple[str, ...]
    """Why: disconnect, restart, silence, lost and so on."""


def figures(
    image: Image, scopes: tuple[str, ...], *, final: bool, convention: Convention = GEXC_1
) -> dict[str, LiveSnapshot]:
    """Return the snapshot of each scope."""
    chain = live_chain(image)
    live = {
        "mode": image.mode,
        "ts_recv_ns": image.ts_recv_ns,
        "tapes": {tape: f"{epoch}-{seq}" for tape, (epoch, seq) in image.positions.items()},
        "final": final,
        "gap_s": image.gap_s,
        "gap_causes": tuple(sorted({gap.cause for gap in image.lost})),
    }
    folded = fold(chain, scopes, feed=feed_of(image, chain), convention=convention)
    return {scope: _live(snapshot, live) for scope, snapshot in folded.items()}


def _live(snapshot: GexSnapshot, live: dict[str, Any]) -> LiveSnapshot:
    fields = msgspec.structs.asdict(snapshot) | live
    if fields["gap_s"] is None:
        fields["null_reasons"] = snapshot.null_reasons | {"gap_s": "no_heartbeat"}
    return LiveSnapshot(**fields)


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
        positions=positions_text(image),
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
        gap_s=snapshot.gap_s,
        **(_stands_on(coverage) if coverage else {}),
    )


def _stands_on(coverage: Coverage) -> dict[str, Any]:
    """Return what confidence stands on, as columns of a second."""
    live = coverage.live
    return {
        "streamed_share": live.streamed_share if live else None,
        "parity_share": coverage.parity_share,
        "quote_age_s": coverage.quote_age_s,
        "windows": live.windows if live else None,
        "windows_complete": live.windows_complete if live else None,
        "reasons": ",".join(coverage.reasons),
    }


def gex_strikes(ts_ns: int, image: Image, snapshot: LiveSnapshot) -> GexStrikes:
    """Return the exposure by strike of a complete second; of a weight without an answer, none."""
    rows = [row for row in snapshot.strikes if not (row.call_gex is row.call_gex_volume is None)]
    return GexStrikes(
        symbol=snapshot.symbol,
        ts_event_ns=snapshot.ts_event_ns,
        ts_recv_ns=ts_ns,
        scope=snapshot.scope,
        convention=snapshot.convention,
        positions=positions_text(image),
        strikes=tuple(row.strike for row in rows),
        call_gex_oi=_single(row.call_gex for row in rows),
        put_gex_oi=_single(row.put_gex for row in rows),
        call_gex_volume=_single(row.call_gex_volume for row in rows),
        put_gex_volume=_single(row.put_gex_volume for row in rows),
        spot=snapshot.spot,
    )


def second_events(
    ts_ns: int, folded: Sequence[tuple[Image, Mapping[str, LiveSnapshot]]], levels: Levels
) -> list[Event]:
    """Return the figures that the tape keeps of a complete second, always in this order.

    A row a scope, with every 15th second the exposure by strike, and the changes of level, of which
    `levels` knows the seconds before.
    """
    rows = [
        gex_second(ts_ns, image, snapshots[scope])
        for image, snapshots in folded
        for scope in PUBLISHED
    ]
    events: list[Event] = [*rows]
    if ts_ns % (STRIKES_EVERY_S * SECOND_NS) == 0:
        events += [
            gex_strikes(ts_ns, image, snapshots[scope])
            for image, snapshots in folded
            for scope in BY_STRIKE
        ]
    return [*events, *levels.changes(rows)]


def positions_text(image: Image) -> str:
    """Return the image's positions as events carry them."""
    return msgspec.json.encode(image.positions).decode()


def _single(values: Iterable[float | None]) -> tuple[float, ...]:
    """Return the numbers, each exactly a float32; of a weight without an answer nothing."""
    known = [value for value in values if value is not None]
    return tuple(np.array(known, dtype=np.float32).astype(np.float64).tolist())
