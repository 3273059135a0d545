"""The hot store dies, forgets, refuses or falls silent: each event is on the tape once."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from gex_pipeline.hot import connect as connect_module
from gex_pipeline.hot import sender as sender_module
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline_tests.faults.history import exactly_once, on_tape
from gex_pipeline_tests.faults.proxy import Fault, fault_proxy
from gex_pipeline_tests.hot.builders import MONDAY, TAPE, eventually, kill, option, running, trades


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses and timeouts: what is tested is what happens, not when."""
    monkeypatch.setattr(sender_module, "RETRY_S", (0.01, 0.1))
    monkeypatch.setattr(connect_module, "REPLY_TIMEOUT_S", 0.5)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A new spool with a hundred events."""
    with Spool.open(tmp_path / "spool", TAPE) as spool:
        for _ in range(20):
            spool.append(trades(5), MONDAY)
        yield spool


@contextmanager
def producing(spool: Spool, pause_s: float = 0.001) -> Iterator[None]:
    """Events come the whole time."""
    stop = threading.Event()

    def produce() -> None:
        while not stop.wait(pause_s):
            spool.append(trades(7), MONDAY)

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def whole(client: redis.Redis, keys: Keys, spool: Spool) -> bool:
    """Whether the tape has every event, each once and in order."""
    try:
        return exactly_once(on_tape(client, keys, TAPE), spool.last_seq) == ""
    except redis.RedisError:
        return False


def come_so_far(sender: Sender, events: int) -> None:
    """Wait until so many more events are sent."""
    wanted = sender.state().sent_events + events
    assert eventually(lambda: sender.state().sent_events >= wanted), sender.state()


@pytest.mark.parametrize("policy", ["everysec", "always"])
def test_the_server_is_killed_time_and_again(
    own_server: EmbeddedServer, keys: Keys, spool: Spool, tmp_path: Path, policy: str
) -> None:
    """Twelve times kill -9 while events come."""
    with connect(own_server.url) as client:
        client.config_set("appendfsync", policy)
        sender = Sender(client, keys, spool)
        with running(sender) as errors, producing(spool):
            for _ in range(12 if policy == "everysec" else 4):
                come_so_far(sender, 100)
                kill(own_server, tmp_path)
                own_server.start(tmp_path, own_server.port)
        assert not errors
        sender.pump()
        assert whole(client, keys, spool), sender.state()


def test_a_server_that_is_away_lets_the_spool_grow(
    own_server: EmbeddedServer, keys: Keys, spool: Spool, tmp_path: Path
) -> None:
    """Memory stays as it is, the state says what is wrong, and all comes when it is back."""
    with connect(own_server.url) as client:
        sender = Sender(client, keys, spool)
        with running(sender) as errors:
            come_so_far(sender, 100)
            kill(own_server, tmp_path)
            for number in range(100):
                spool.append([option(number * 250 + n) for n in range(250)], MONDAY)
            assert eventually(lambda: not sender.state().connected)
            state = sender.state()
            assert (state.unsent >= 25_000, state.problem is None) == (True, False)
            assert spool.state().reserve_frames == 0
            own_server.start(tmp_path, own_server.port)
            assert eventually(lambda: whole(client, keys, spool)), sender.state()
        assert not errors
        assert sender.state().problem is None


@pytest.mark.parametrize("how", ["flushall", "aof"])
def test_a_server_that_forgets_everything(
    own_server: EmbeddedServer, keys: Keys, spool: Spool, tmp_path: Path, how: str
) -> None:
    """FLUSHALL on a living connection; kill -9 and no file: the tape starts behind the archive."""
    with connect(own_server.url) as client:
        sender = Sender(client, keys, spool, cursor=lambda: 40)
        with running(sender) as errors, producing(spool):
            come_so_far(sender, 100)
            if how == "flushall":
                client.flushall()
            else:
                kill(own_server, tmp_path)
                shutil.rmtree(tmp_path / "hot" / "appendonlydir")
                own_server.start(tmp_path, own_server.port)
            come_so_far(sender, 100)
        assert not errors
        sender.pump()
        assert exactly_once(on_tape(client, keys, TAPE), spool.last_seq, 41) == ""
        ticks = client.xrange(keys.ticks("SPX"))
        assert int(ticks[-1][0].partition(b"-")[2]) == spool.last_seq


def test_a_server_that_comes_back_with_less_than_it_had(
    own_server: EmbeddedServer, keys: Keys, spool: Spool, tmp_path: Path
) -> None:
    """As after a power cut: the next frame must not go behind the hole.

    The sender is idle when it happens, and a client would connect again without a word.
    """
    with connect(own_server.url) as client:
        sender = Sender(client, keys, spool)
        sender.pump()
        kill(own_server, tmp_path)
        shutil.copytree(tmp_path / "hot" / "appendonlydir", tmp_path / "before")
        own_server.start(tmp_path, own_server.port)
        client.ping()
        sender = Sender(client, keys, spool)
        spool.append(trades(9), MONDAY)
        sender.pump()
        kill(own_server, tmp_path)
        shutil.rmtree(tmp_path / "hot" / "appendonlydir")
        shutil.copytree(tmp_path / "before", tmp_path / "hot" / "appendonlydir")
        own_server.start(tmp_path, own_server.port)
        assert exactly_once(on_tape(client, keys, TAPE), 100) == ""

        spool.append(trades(9), MONDAY)
        with pytest.raises(redis.ConnectionError):
            sender.pump()
        sender.pump()

        assert whole(client, keys, spool)


@pytest.mark.parametrize("fault", ["cut_reply", "cut_half", "silence"])
def test_a_wire_that_fails(
    server: EmbeddedServer, client: redis.Redis, keys: Keys, spool: Spool, fault: Fault
) -> None:
    """The reply lost, half a request, silence without an end: once, in order, all the same."""
    with fault_proxy(server.port) as proxy, connect(proxy.url_of(server.url)) as behind:
        sender = Sender(behind, keys, spool)
        with running(sender) as errors, producing(spool, 0.005):
            for number in range(1 if fault == "silence" else 12):
                come_so_far(sender, 30)
                proxy.fault = fault
                assert eventually(lambda n=number: proxy.faults > n)  # type: ignore[misc]
                if fault == "silence":
                    assert eventually(lambda: not sender.state().connected)
                    proxy.fault = ""
            come_so_far(sender, 30)
        assert not errors
        sender.pump()
        assert whole(client, keys, spool)
        assert sender.state().resyncs > (1 if fault == "silence" else 12)


def test_a_full_server_is_back_pressure(
    own_server: EmbeddedServer, keys: Keys, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OOM replies hold the tape in the spool: whole transactions, and nothing crashes."""
    monkeypatch.setattr("gex_pipeline.hot.pressure.HOLD_ABOVE", 99.0)  # it must hear it by itself
    with connect(own_server.url) as client:
        sender = Sender(client, keys, spool)
        sender.pump()
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", used - 100_000)
        spool.append(trades(9), MONDAY)
        with running(sender) as errors:
            assert eventually(lambda: sender.state().held)
            assert "maxmemory" in str(sender.state().problem)
            assert sender.state().connected
            assert exactly_once(on_tape(client, keys, TAPE), 100) == ""
            client.config_set("maxmemory", 0)
            assert eventually(lambda: whole(client, keys, spool))
            assert eventually(lambda: not sender.state().held)
        assert not errors


@pytest.mark.parametrize("broken", ["type", "permission"])
def test_a_key_beside_the_tape_cannot_stop_it(
    own_server: EmbeddedServer, keys: Keys, spool: Spool, broken: str
) -> None:
    """A key of another type, a command that is not allowed: counted, and the tape goes on."""
    with connect(own_server.url) as admin:
        if broken == "type":
            admin.set(keys.last("SPX"), "somebody's")
            admin.set(keys.ticks("SPX"), "somebody's")
            url = own_server.url
        else:
            rules = ("on", ">secret", "~*", "+@all", "-publish")
            admin.execute_command("ACL", "SETUSER", "streamer", *rules)
            url = f"redis://streamer:secret@127.0.0.1:{own_server.port}/0"
        with connect(url) as client:
            sender = Sender(client, keys, spool)
            sender.pump()
            spool.append(trades(9), MONDAY)
            sender.pump()

        assert whole(admin, keys, spool)
        assert sender.state().projection_errors > 0
        if broken == "permission":
            assert admin.xlen(keys.ticks("SPX")) == 2


def test_a_burst(server: EmbeddedServer, client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    """A hundred thousand option quotes as fast as they come: all of them, memory as before."""
    with Spool.open(tmp_path, TAPE) as spool:
        batch = [option(number) for number in range(250)]
        sender = Sender(client, keys, spool)
        with running(sender) as errors:
            for _ in range(400):
                spool.append(batch, MONDAY)
            assert eventually(lambda: sender.state().unsent == 0)
        assert not errors
        assert spool.state().reserve_frames == 0
        assert exactly_once(on_tape(client, keys, TAPE), 100_000) == ""


@pytest.mark.parametrize("jump_s", [3 * 86_400, -3_600])
def test_a_clock_that_jumps(client: redis.Redis, keys: Keys, tmp_path: Path, jump_s: int) -> None:
    """Three days on, an hour back: ids count on, streams beside the tape stay in order."""
    with Spool.open(tmp_path, TAPE) as spool:
        sender = Sender(client, keys, spool)
        spool.append([option(1), *trades(3)], MONDAY)
        sender.pump()
        later = [option(2, ts_ns=option(2).ts_recv_ns + jump_s * 1_000_000_000)]
        spool.append(later * 5, MONDAY)
        spool.append(trades(4), MONDAY)
        sender.pump()

        assert exactly_once(on_tape(client, keys, TAPE), 13) == ""
        assert sender.state().projection_errors == 0
        assert client.xlen(keys.ticks("SPX")) == 2
