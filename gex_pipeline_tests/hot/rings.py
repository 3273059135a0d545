"""Entries of the ring by hand: three strikes over half an hour, millions of dollars."""

import datetime
from collections.abc import Mapping, Sequence

import redis

from gex_pipeline.exposure.moment import RING
from gex_pipeline.exposure.trace import Figures, Totals
from gex_pipeline.hot.ring import STEPS, Entry, append, pack_rows
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.synthetic import ASOF_NS, DAY

CONVENTION = "gexc-1:00000000"
MILLION = 1e6
SPOT = 6000.0
Row = tuple[float, float | None, float | None]
"""Strike, net GEX by open interest and by volume, $ millions."""

HALF_HOUR: dict[int, list[Row]] = {
    30 * 60: [(5990, 100, 8), (6000, -50, 4), (6010, 20, 2)],
    15 * 60: [(5990, 110, 8), (6000, -50, 4)],
    10 * 60: [(5990, 90, 8), (6000, -80, 4), (6010, 20, 2)],
    5 * 60: [(5990, 100, 8), (6000, -50, 6), (6010, 25, 2)],
    60: [(5990, 95, 9), (6000, -50, 6), (6010, 30, None)],
    1: [(5990, 100, 9), (6000, -50, 6), (6010, 31, 3)],
    0: [(5990, 100, 9), (6000, -50, 7), (6010, 30, 3), (6020, 7, 1)],
}
"""By seconds before ASOF_NS. 6010 is missing a quarter of an hour before, 6020 is born now."""


def millions(value: float | None) -> float | None:
    """Return dollars."""
    return None if value is None else value * MILLION


def figures_by_hand(rows: Sequence[Row]) -> Figures:
    """Return totals that are the sums of the rows, and levels of their own."""
    by_oi, by_volume = ([row[at] for row in rows if row[at] is not None] for at in (1, 2))
    return Figures(
        contracts=2 * len(rows),
        confidence=0.75,
        confidence_level="high",
        open_interest=_totals(by_oi, 5995.5),
        volume=_totals(by_volume, 5985.25),
    )


def _totals(values: Sequence[float | None], zero_gamma: float) -> Totals:
    net = sum(value for value in values if value is not None)
    if not values:
        return Totals(reason="no_volume")
    return Totals(
        net_gex=net * MILLION,
        zero_gamma=zero_gamma,
        max_net_strike=5990.0,
        min_net_strike=6000.0,
        reason=None,
    )


def entry_by_hand(
    before_s: int,
    rows: Sequence[Row],
    *,
    convention: str = CONVENTION,
    spot: float | None = SPOT,
    scopes: Sequence[str] = RING,
    ts_ns: int = ASOF_NS,
) -> Entry:
    """Return the entry of a second before ASOF_NS; all of its scopes have the same rows."""
    strikes = [strike for strike, _, _ in rows]
    by_oi, by_volume = ([millions(row[at]) for row in rows] for at in (1, 2))
    return Entry(
        ts_ns=ts_ns - before_s * SECOND_NS,
        spot=spot,
        convention=convention,
        scopes={scopes[0]: pack_rows(strikes, by_oi, by_volume)},
        form=STEPS,
        same=dict.fromkeys(scopes[1:], scopes[0]),
        figures={scope: figures_by_hand(rows) for scope in scopes},
        source="simulator",
        dates=(DAY, DAY + datetime.timedelta(days=1), DAY + datetime.timedelta(days=3)),
        gap_s=0.0,
    )


def fill_ring(
    store: redis.Redis, key: str, rows: Mapping[int, Sequence[Row]] = HALF_HOUR, **fields: str
) -> None:
    """Put entries into a ring, the oldest first."""
    newest_ns = 0
    for before_s, some in sorted(rows.items(), reverse=True):
        entry = entry_by_hand(before_s, some, **fields)  # type: ignore[arg-type] # texts alone
        put(store, key, entry, newest_ns)
        newest_ns = entry.ts_ns


def put(store: redis.Redis, key: str, entry: Entry, newest_ns: int = 0) -> None:
    """Put one entry into a ring as the engine does."""
    commands = store.pipeline(transaction=False)
    append(commands, key, entry, 1000, newest_ns)
    commands.execute()
