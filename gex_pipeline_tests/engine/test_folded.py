"""What readers fold from the engine's chain is what the engine itself had at that position."""

from typing import Any

import msgspec
import numpy as np

from gex_pipeline.exposure.moment import PUBLISHED, RING
from gex_pipeline.gateway.folding import fold_scope
from gex_pipeline.hot.ring import decode_entry
from gex_pipeline_tests.engine.builders import S, told
from gex_pipeline_tests.engine.conftest import Market, wait_until
from gex_pipeline_tests.synthetic import ASOF_NS, synthetic_chain

CHAIN = synthetic_chain(600, 4)


def test_scopes_folded_from_the_stored_chain_are_the_engines_own(market: Market) -> None:
    """Of the chain's second: published scopes to the bit, the ring's to its float32."""
    with market.running():
        market.tell(told(CHAIN))
        market.tell(told(CHAIN, ASOF_NS + 2 * S))
        wait_until(lambda: market.store.exists(market.keys.chain("SPX")))
        wait_until(lambda: len(market.seconds()) >= 2 * len(PUBLISHED))
    chain: Any = market.store.get(market.keys.chain("SPX"))
    folded = {
        scope: msgspec.json.decode(fold_scope(chain, scope).value) for scope in (*PUBLISHED, *RING)
    }

    ts_ns = folded["all"]["ts_event_ns"]
    rows = [row for row in market.seconds() if row.ts_recv_ns == ts_ns]
    assert {row.scope for row in rows} == set(PUBLISHED)
    for row in rows:
        for name in ("net_gex", "call_gex", "dex", "zero_gamma", "call_wall"):
            assert folded[row.scope][name] == getattr(row, f"{name}_oi")

    entries: Any = market.store.xrange(market.keys.gexring("SPX"))
    entry = next(e for e in (decode_entry(f[b"v"]) for _, f in entries) if e.ts_ns == ts_ns)
    for scope in RING:
        trace, strikes = entry.trace(scope), folded[scope]["strikes"]
        for column, name in ((trace.open_interest, "net_gex"), (trace.volume, "net_gex_volume")):
            ours = np.array([each[name] for each in strikes], dtype=np.float64)
            assert np.array_equal(column, ours.astype(np.float32), equal_nan=True), (scope, name)
    assert all(each["final"] for each in folded.values())
