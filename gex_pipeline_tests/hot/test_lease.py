"""One owner at a time, each with a higher number; heartbeats that say when."""

import redis

from gex_pipeline.hot.clockstore import live_clock, publish_clock, read_clock
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import Lease, Status, read_status
from gex_pipeline.market.clock import MarketClock
from gex_pipeline_tests.hot.builders import eventually


def lease(client: redis.Redis, keys: Keys, owner: str, ttl_ms: int = 60_000) -> Lease:
    """A lease of the streamer."""
    return Lease(client, keys, "streamer", owner, ttl_ms)


def test_one_owner_at_a_time(client: redis.Redis, keys: Keys) -> None:
    """The second waits until the first gives back, and gets a higher number."""
    first, second = lease(client, keys, "a"), lease(client, keys, "b")

    assert first.acquire() == 1
    assert second.acquire() is None
    assert not second.renew()
    assert first.renew()
    first.release()
    assert second.acquire() == 2
    assert first.acquire() is None


def test_the_same_owner_keeps_its_number(client: redis.Redis, keys: Keys) -> None:
    """Asking twice is asking once."""
    assert [lease(client, keys, "a").acquire() for _ in range(2)] == [1, 1]


def test_a_lapsed_lease_that_somebody_had_is_lost(client: redis.Redis, keys: Keys) -> None:
    """Even after that one gave it back: its writes came in between."""
    first, second = lease(client, keys, "a", ttl_ms=20), lease(client, keys, "b")
    first.acquire()
    assert eventually(lambda: second.acquire() is not None)
    assert not first.renew()
    assert first.fence is None

    second.release()
    assert not first.renew()
    assert first.acquire() == 3


def test_a_lease_that_the_server_lost_goes_on(client: redis.Redis, keys: Keys) -> None:
    """FLUSHALL stops no service; the next owner's number is higher all the same."""
    first, second = lease(client, keys, "a"), lease(client, keys, "b")
    assert first.acquire() == 1
    client.flushall()

    assert first.renew()
    assert second.acquire() is None
    first.release()
    assert second.acquire() == 2


def test_release_leaves_another_owners_lease(client: redis.Redis, keys: Keys) -> None:
    """A late release of a lapsed lease."""
    first, second = lease(client, keys, "a", ttl_ms=20), lease(client, keys, "b")
    first.acquire()
    assert eventually(lambda: second.acquire() is not None)
    first.release()

    assert second.renew()


def test_a_heartbeat_replaces_the_one_before(client: redis.Redis, keys: Keys) -> None:
    """With wall time and process; what is None is not there; it does not live for ever."""
    status = Status(client, keys, "streamer")
    before_ns = live_clock().anchor_event_ns
    status.beat({"events": 5, "problem": "none to speak of", "simulated": True})
    status.beat({"events": 7, "problem": None, "simulated": False})

    fields = read_status(client, keys, "streamer")

    assert (fields["events"], fields["simulated"], "problem" in fields) == ("7", "0", False)
    assert int(fields["ts_ns"]) >= before_ns
    assert int(fields["pid"]) > 0
    assert client.ttl(keys.status("streamer")) > 0
    assert read_status(client, keys, "engine") == {}


def test_the_clock_of_the_namespace(client: redis.Redis, keys: Keys) -> None:
    """Published to one namespace it is read there; elsewhere time is real."""
    clock = MarketClock(1_767_625_260_000_000_123, live_clock().anchor_mono_ns, 2.5)
    publish_clock(client, keys, clock)

    assert read_clock(client, keys) == clock
    live = read_clock(client, Keys(""))
    assert (live.speed, live.anchor_event_ns > clock.anchor_event_ns) == (1.0, True)


def test_a_clock_of_another_boot_is_none(client: redis.Redis, keys: Keys) -> None:
    """Monotonic time has started again: its anchor means nothing."""
    publish_clock(client, keys, MarketClock(5, 5))
    client.hset(keys.clock(), "boot", "another")

    assert read_clock(client, keys).anchor_event_ns > 5
