"""Change over time out of a real hot store: references, gaps, and the store's death."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from gex_pipeline.errors import ConventionError, UnavailableError
from gex_pipeline.gateway.changes import MaxChangeAnswer, max_change
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.gateway.ring import Ring
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.ring import FIELD, entry_id
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.gateway.market import KEYS, fill, set_clock
from gex_pipeline_tests.gateway.running import ask, until
from gex_pipeline_tests.hot.rings import HALF_HOUR, MILLION, entry_by_hand, fill_ring, put
from gex_pipeline_tests.serving.process import free_port
from gex_pipeline_tests.synthetic import ASOF_NS

S = SECOND_NS
RING = KEYS.gexring("SPX")


async def changes(gateway: Gateway, ring: Ring, scope: str = "all") -> MaxChangeAnswer:
    """Return what changed in SPX."""
    return msgspec.json.decode(await max_change(gateway, ring, "SPX", scope), type=MaxChangeAnswer)


def told(answer: MaxChangeAnswer) -> list[tuple[Any, ...]]:
    """Return strike, change and reason of each look-back, by open interest, $ millions."""
    return [
        (
            each.open_interest.strike,
            None if each.open_interest.change is None else each.open_interest.change / MILLION,
            each.open_interest.reason,
        )
        for each in answer.changes
    ]


@pytest.mark.parametrize("scope", ["all", "0dte", "front0", "front1", "full90"])
def test_half_an_hour(server_url: str, store: redis.Redis, tmp_path: Path, scope: str) -> None:
    """Each look-back finds its second among all that the ring holds, in every scope."""
    between = {age: [(5990, age, 1), (6000, 1, 1)] for age in range(2, 1900, 7) if age % 60}
    fill_ring(store, RING, {**between, **HALF_HOUR})

    answer = ask(server_url, tmp_path, lambda gateway: changes(gateway, Ring(), scope))

    assert told(answer) == [
        (6010.0, -1.0, None),
        (5990.0, 5.0, None),
        (6010.0, 5.0, None),
        (6000.0, 30.0, None),
        (5990.0, -10.0, None),
        (6010.0, 10.0, None),
    ]
    assert [each.minutes for each in answer.changes] == [0, 1, 5, 10, 15, 30]
    assert (answer.symbol, answer.scope, answer.ts_event_ns) == ("SPX", scope, ASOF_NS)
    assert (answer.mode, answer.market, answer.age_s, answer.stale) == (
        "simulated",
        "open",
        0.5,
        False,
    )
    assert (answer.net_gex, answer.net_gex_volume) == (87 * MILLION, 20 * MILLION)
    assert (answer.confidence, answer.gap_s, answer.null_reasons) == (0.75, 0.0, {})


def test_a_hole_is_a_gap(server_url: str, store: redis.Redis, tmp_path: Path) -> None:
    """No entry between four and eight minutes ago, none a minute old that can be read."""
    rows = {age: HALF_HOUR[0] for age in range(0, 1900, 10) if not 240 < age < 480}
    fill_ring(store, RING, {age: some for age, some in rows.items() if age not in (60, 70)})
    put_damaged(store, 60)

    answer = ask(server_url, tmp_path, lambda gateway: changes(gateway, Ring()))

    assert [reason for _, _, reason in told(answer)] == ["no_change", "gap", "gap"] + [
        "no_change"
    ] * 3
    assert answer.changes[2].ts_ns is None


def put_damaged(store: redis.Redis, before_s: int) -> None:
    """Put an entry that cannot be read among the others."""
    entries: Any = store.xrange(RING)
    store.delete(RING)
    at_ns = ASOF_NS - before_s * S
    all_of = [(name.decode(), fields) for name, fields in entries]
    all_of.append((entry_id(at_ns), {FIELD: b"nothing"}))
    for name, fields in sorted(all_of, key=lambda one: int(one[0].partition("-")[0])):
        store.xadd(RING, fields, id=name)


def test_another_convention_is_no_reference(
    server_url: str, store: redis.Redis, tmp_path: Path
) -> None:
    """Since the convention changed three minutes ago there is a past of three minutes."""
    fill_ring(
        store, RING, dict.fromkeys(range(1860, 180, -10), HALF_HOUR[0]), convention="gexc-1:old"
    )
    fill_ring(store, RING, dict.fromkeys(range(180, -1, -10), HALF_HOUR[0]))

    answer = ask(server_url, tmp_path, lambda gateway: changes(gateway, Ring()))

    assert [reason for _, _, reason in told(answer)] == ["no_change"] * 2 + ["gap"] * 4


def test_a_second_is_compared_once(server_url: str, store: redis.Redis, tmp_path: Path) -> None:
    """Until the ring has a newer second; then that one is."""
    fill_ring(store, RING)
    ring = Ring()

    async def asked(gateway: Gateway) -> None:
        first, _ = await ring.moments(gateway, "SPX")
        again, _ = await ring.moments(gateway, "SPX")
        assert again is first
        assert again.changes("all") is first.changes("all")

        await asyncio.to_thread(put, store, RING, entry_by_hand(-1, [(6000, 1, 1)]), ASOF_NS)
        newer, _ = await ring.moments(gateway, "SPX")
        assert newer.now.ts_ns == ASOF_NS + S
        assert newer.changes("all")[0].ts_ns == ASOF_NS

    ask(server_url, tmp_path, asked)


def test_refusals(server_url: str, store: redis.Redis, tmp_path: Path) -> None:
    """No ring, a scope that is not kept, a second that cannot be read, one that is too old."""

    async def asked(gateway: Gateway) -> None:
        with pytest.raises(UnavailableError, match="SPX"):
            await changes(gateway, Ring())
        with pytest.raises(ConventionError, match="front1"):
            await changes(gateway, Ring(), "weekly")
        await asyncio.to_thread(store.xadd, RING, {FIELD: b"\0"}, entry_id(ASOF_NS - S))
        with pytest.raises(UnavailableError, match="cannot be read"):
            await changes(gateway, Ring())
        await asyncio.to_thread(fill_ring, store, RING, {0: HALF_HOUR[0]})
        await asyncio.to_thread(set_clock, store, ASOF_NS + 301 * S)
        turn = gateway.turns
        await until(lambda: gateway.turns >= turn + 2)
        with pytest.raises(UnavailableError, match="301 s old"):
            await changes(gateway, Ring())

    ask(server_url, tmp_path, asked)


def test_the_store_dies_and_comes_back(tmp_path: Path) -> None:
    """The ring goes on where it was: old seconds are references, the time between is a gap."""
    port, ring = free_port(), Ring()
    server, second = EmbeddedServer(), EmbeddedServer()
    url = server.start(tmp_path, port, 64)
    with connect(url) as store:
        fill(store)
        fill_ring(store, RING)

    async def asked(gateway: Gateway) -> None:
        before = await changes(gateway, ring)
        os.kill(int((tmp_path / "hot" / "server.pid").read_text()), signal.SIGKILL)
        await until(lambda: not gateway.connected and not server.alive())
        with pytest.raises(UnavailableError, match="gex up"):
            await changes(gateway, ring)
        address = await asyncio.to_thread(second.start, tmp_path, port, 64)
        with connect(address) as store:
            later = entry_by_hand(-240, HALF_HOUR[300])
            await asyncio.to_thread(put, store, RING, later, ASOF_NS)
            await asyncio.to_thread(set_clock, store, ASOF_NS + 241 * S)
        await until(lambda: gateway.connected)
        after = await changes(gateway, ring)
        assert told(before)[0] == (6010.0, -1.0, None)
        assert [reason for _, _, reason in told(after)] == ["gap", "gap", None, "gap", "gap", "gap"]
        assert after.changes[2].ts_ns == ASOF_NS - 60 * S

    try:
        ask(url, tmp_path, asked)
    finally:
        second.stop()
