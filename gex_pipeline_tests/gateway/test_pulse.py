"""The API's sign of life under its lease."""

import redis

from gex_pipeline.gateway.pulse import SERVICE, Pulse
from gex_pipeline.hot.lease import read_status
from gex_pipeline_tests.gateway.market import KEYS
from gex_pipeline_tests.serving.waiting import until


def test_one_beats_and_the_next_takes_over(server_url: str, store: redis.Redis) -> None:
    """The second leaves the status to the first, and beats when that one has gone."""

    def port() -> str | None:
        return read_status(store, KEYS, SERVICE).get("port")

    with Pulse(server_url, KEYS, lambda: {"port": 2}) as second:
        until(lambda: port() == "2")
        with Pulse(server_url, KEYS, lambda: {"port": 3}):
            second.__exit__()
            until(lambda: port() == "3")
    assert store.get(KEYS.lease(SERVICE)) is None


def test_a_store_that_is_away_stops_nothing() -> None:
    """It tries again and ends when told."""
    with Pulse("redis://127.0.0.1:1/0", KEYS, dict):
        pass
