"""`gex serve` as it runs: a process, sockets, live push, signals, and its commands beside it."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from gex_pipeline.gateway.signin import one_time_link
from gex_pipeline.hot.lease import read_status
from gex_pipeline_tests.gateway.market import KEYS, publish, set_clock
from gex_pipeline_tests.serving.process import Api, api
from gex_pipeline_tests.serving.waiting import until
from gex_pipeline_tests.synthetic import ASOF_NS

Event = tuple[str, dict[str, object]]


@pytest.fixture(scope="module")
def running(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One API for the module."""
    with api(server_url, tmp_path_factory.mktemp("serve")) as one:
        yield one


def events(response: httpx.Response) -> Iterator[Event]:
    """Yield the events of a stream."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def first(stream: Iterator[Event], wanted: str) -> dict[str, object]:
    """Return the data of the next event of a name."""
    return next(data for name, data in stream if name == wanted)


def test_live_push(running: Api, store: redis.Redis) -> None:
    """The figures at once, an age between changes, each change as it is published."""
    with (
        httpx.Client() as client,
        client.stream(
            "GET", f"{running.base}/api/v1/gex/SPX/stream", headers=running.headers, timeout=20
        ) as found,
    ):
        stream = events(found)
        whole = first(stream, "gex")
        age = first(stream, "age")
        publish(store, spot=6020.0)
        changed = first(stream, "gex")

    assert found.headers["content-type"].startswith("text/event-stream")
    assert (whole["spot"], whole["mode"]) == (6000.0, "simulated")
    assert age.keys() == {"mode", "market", "age_s", "stale"}
    assert changed["spot"] == 6020.0


def test_a_stream_tells_why_there_is_nothing(running: Api, store: redis.Redis) -> None:
    """A problem event with the cure, and the figures as soon as there are some."""
    store.delete(KEYS.gex("SPX", "weekly"))
    with (
        httpx.Client() as client,
        client.stream(
            "GET",
            f"{running.base}/api/v1/gex/SPX/stream?scope=weekly",
            headers=running.headers,
            timeout=20,
        ) as found,
    ):
        stream = events(found)
        name, problem = next(stream)
        publish(store)
        figures = first(stream, "gex")

    assert (name, problem["status"], problem["reason"]) == ("problem", 503, "no_snapshot")
    assert figures["scope"] == "weekly"


def test_a_revoked_key_ends_its_stream(running: Api, store: redis.Redis) -> None:
    """The last event says so."""
    made = json.loads(running.gex("keys", "create", "--label", "short", "--json").stdout)
    headers = {"x-api-key": made["key"]}
    url = f"{running.base}/api/v1/gex/SPX/stream"
    with httpx.Client() as client, client.stream("GET", url, headers=headers, timeout=20) as found:
        stream = events(found)
        assert next(stream)[0] == "gex"
        assert running.gex("keys", "revoke", made["id"]).returncode == 0
        *_, (name, last) = stream

    assert (name, last["status"]) == ("problem", 401)
    assert made["id"] not in running.gex("keys", "list").stdout


def test_the_status_of_the_service(running: Api, store: redis.Redis) -> None:
    """A heartbeat with its address, under its lease: what supervision and `gex open` look at."""
    until(lambda: read_status(store, KEYS, "serving").get("state") == "running")

    assert read_status(store, KEYS, "serving")["port"] == running.base.rpartition(":")[2]
    assert store.get(KEYS.lease("serving"))


def test_open_prints_a_link(running: Api, store: redis.Redis) -> None:
    """`gex open` finds the API by its heartbeat; the link opens the page."""
    until(lambda: bool(read_status(store, KEYS, "serving")))

    link = running.gex("open").stdout.strip()

    with httpx.Client() as browser:
        assert browser.get(link).status_code == 200
        assert "GEX by strike" in browser.get(f"{running.base}/").text


def test_a_taken_port(running: Api) -> None:
    """One line with the cure, exit code 2."""
    done = running.gex("serve")

    assert (done.returncode, "--port" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


def test_nothing_runs(tmp_path: Path, running: Api) -> None:
    """`gex open` says what to start."""
    elsewhere = {name: text for name, text in running.environment.items() if "REDIS" not in name}
    lonely = Api(running.process, "", "", elsewhere | {"GEX_DATA_DIR": str(tmp_path)}, tmp_path)

    done = lonely.gex("open")

    assert (done.returncode, "gex up" in done.stderr) == (1, True)


def test_it_stops_with_streams_open(server_url: str, store: redis.Redis, tmp_path: Path) -> None:
    """SIGTERM: streams end, exit code 0, the port free, and no secret in the log."""
    set_clock(store, ASOF_NS)
    with (
        api(server_url, tmp_path, GEX_LOG_LEVEL="debug") as one,
        httpx.Client(timeout=20) as client,
    ):
        link = one_time_link(store, KEYS, one.base)
        client.get(link)
        client.get(f"{one.base}/api/v1/gex/NOPE", headers=one.headers)
        url = f"{one.base}/api/v1/gex/SPX/stream"
        with client.stream("GET", url, headers=one.headers) as found:
            stream = events(found)
            next(stream)
            code = one.stop()
            list(stream)

    assert code == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(one.base.rpartition(":")[2]))) != 0
    log = (tmp_path / "serve.log").read_text()
    assert "Traceback" not in log
    password = server_url.partition("//:")[2].partition("@")[0]
    for secret in (one.key, link.partition("=")[2], password, *client.cookies.values()):
        assert secret not in log
