"""The ring: what goes in comes out, and what is too old goes, on a real server."""

import zlib
from typing import Any

import msgspec
import numpy as np
import pytest
import redis

from gex_pipeline.errors import CodecError
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.moment import EVERY, RING, LiveSnapshot
from gex_pipeline.exposure.trace import WEIGHTS
from gex_pipeline.hot.ring import (
    SECONDS_KEPT,
    SINGLES,
    append,
    decode_entry,
    encode_entry,
    entry_ns,
    entry_of,
    pack_rows,
)
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.hot.rings import MILLION, entry_by_hand
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

KEY = "gexring:{SPX}"
S = SECOND_NS


def live_snapshots() -> dict[str, LiveSnapshot]:
    """Return a chain's snapshots as the engine has them."""
    live = {"mode": "simulated", "ts_recv_ns": ASOF_NS, "tapes": {}}
    live |= {"gap_s": 2.5, "gap_causes": ("lost",)}
    folded = fold(clean_chain(synthetic_chain(600, 4), asof_ns=ASOF_NS), EVERY)
    return {
        scope: LiveSnapshot(**(msgspec.structs.asdict(snapshot) | live))
        for scope, snapshot in folded.items()
    }


def test_an_entry_is_what_the_snapshots_say() -> None:
    """Of each scope both weights within float32, strikes and totals exactly."""
    snapshots = live_snapshots()

    entry = decode_entry(encode_entry(entry_of(ASOF_NS, snapshots)))

    assert (entry.ts_ns, entry.spot, entry.gap_s) == (ASOF_NS, 6000.0, 2.5)
    assert (entry.gap_causes, entry.dates[0]) == (("lost",), DAY)
    assert len(set(entry.dates)) == 3
    for scope in RING:
        snapshot, trace = snapshots[scope], entry.trace(scope)
        assert snapshot.volume is not None
        assert trace.strikes.tolist() == [row.strike for row in snapshot.strikes]
        for weight in WEIGHTS:
            name = "net_gex" if weight == "open_interest" else "net_gex_volume"
            filed = np.array([getattr(row, name) for row in snapshot.strikes], dtype=np.float64)
            np.testing.assert_allclose(trace.net(weight), filed, rtol=2.0**-24)
        for weight, exposure in zip(WEIGHTS, (snapshot, snapshot.volume), strict=True):
            totals = trace.totals(weight)
            assert (totals.net_gex, totals.zero_gamma, totals.reason) == (
                exposure.net_gex,
                exposure.zero_gamma,
                None,
            )
            assert totals.max_net_strike == exposure.max_net_strike
            assert totals.min_net_strike == exposure.min_net_strike
        assert trace.figures.confidence == snapshot.confidence


def test_scopes_of_the_same_expiries_are_kept_once() -> None:
    """On the first day of a chain front0 is 0dte, and within 90 days full90 may be all."""
    entry = entry_of(ASOF_NS, live_snapshots())

    assert entry.same["front0"] == "0dte"
    assert entry.trace("front0").strikes.tolist() == entry.trace("0dte").strikes.tolist()
    assert {*entry.scopes, *entry.same} == set(RING)


def test_strikes_are_exact_and_absent_is_not_0() -> None:
    """62.33 comes back as 62.33, a strike without exposure as NaN."""
    entry = entry_by_hand(0, [(47.125, 1, None), (62.33, None, 2), (100.5, 0, 0)])

    trace = decode_entry(encode_entry(entry)).trace("full90")

    assert trace.strikes.tolist() == [47.125, 62.33, 100.5]
    assert np.isnan(trace.open_interest).tolist() == [False, True, False]
    assert np.isnan(trace.volume).tolist() == [True, False, False]
    assert trace.volume[1] == 2 * MILLION


def test_an_older_entry_is_read() -> None:
    """One with float32 strikes and no totals: its strikes compare, its totals say not_recorded."""
    singles = tuple(np.array(column, "<f4").tobytes() for column in ([5990, 6000], [1, 2], [3, 4]))
    older = {"ts_ns": ASOF_NS, "spot": 6000.0, "convention": "c", "scopes": {"all": singles}}

    entry = decode_entry(zlib.compress(msgspec.msgpack.encode(older), 1))

    assert entry.form == SINGLES
    assert entry.trace("all").strikes.tolist() == [5990.0, 6000.0]
    assert entry.trace("all").volume.tolist() == [3.0, 4.0]
    assert entry.trace("all").totals("volume").net_gex is None
    assert entry.trace("all").totals("volume").reason == "not_recorded"


@pytest.mark.parametrize("data", [b"", b"nothing", zlib.compress(b"\xc1"), zlib.compress(b"\x80")])
def test_bytes_that_are_no_entry(data: bytes) -> None:
    """A clear error, whatever they are."""
    with pytest.raises(CodecError):
        decode_entry(data)


def test_no_rows() -> None:
    """A scope without contracts is empty, and comes back so."""
    assert entry_by_hand(0, []).trace("all").strikes.size == 0
    assert pack_rows([], [], []) == (b"", b"", b"")


# --- what stays -----------------------------------------------------------------------------------


def kept(client: redis.Redis) -> list[int]:
    """Return the seconds that the ring holds, before ASOF_NS."""
    entries: Any = client.xrange(KEY)
    return [(ASOF_NS - entry_ns(name)) // S for name, _ in entries]


def fill(client: redis.Redis, before_s: list[int], newest_ns: int = 0) -> int:
    """Append entries of these seconds before ASOF_NS; return the newest."""
    commands = client.pipeline(transaction=False)
    for age in before_s:
        entry = entry_by_hand(age, [])
        append(commands, KEY, entry, 1000, newest_ns)
        newest_ns = entry.ts_ns
    commands.execute()
    return newest_ns


def test_seconds_for_35_minutes_then_one_a_minute(client: redis.Redis) -> None:
    """ASOF_NS is a whole minute: behind 35 minutes every 60th second stays."""
    fill(client, list(range(SECONDS_KEPT + 200, -1, -1)))

    assert kept(client) == [2280, 2220, 2160, *range(2100, -1, -1)]
    assert 0 < client.ttl(KEY) <= 1000


def test_a_pause_leaves_nothing_behind(client: redis.Redis) -> None:
    """Seconds that grew too old while nobody wrote go with the next entry."""
    newest_ns = fill(client, list(range(1300, 1000, -1)))

    fill(client, [-1000], newest_ns)

    assert kept(client) == [1260, 1200, 1140, *range(1099, 1000, -1), -1000]


def test_of_the_day_before_nothing_counts(client: redis.Redis) -> None:
    """A day later the server has let go of it, but for a node of its own."""
    newest_ns = fill(client, list(range(500, -1, -1)))

    fill(client, [-86_400 - 600], newest_ns)

    assert kept(client)[-1] == -87_000
    assert len(kept(client)) <= 101


def test_what_a_later_release_adds_is_ignored() -> None:
    """An older reader takes what it knows."""
    newer = msgspec.structs.asdict(entry_by_hand(0, [(6000, 1, 2)])) | {"later": 1}

    entry = decode_entry(zlib.compress(msgspec.msgpack.encode(newer), 1))

    assert entry.trace("all").volume.tolist() == [2 * MILLION]
