"""Keys: made once, kept as digests in a private file, refused when revoked."""

import asyncio
import stat
import threading
from pathlib import Path

import pytest
import redis

from gex_pipeline.errors import ApiKeyError, KeyFileError
from gex_pipeline.gateway.keyring import Keyring
from gex_pipeline.gateway.keys import KeyStore, new_key, split_key
from gex_pipeline.gateway.signin import one_time_link, use_ticket
from gex_pipeline.hot.connect import async_connect
from gex_pipeline_tests.gateway.market import KEYS

NOBODY = "redis://127.0.0.1:1/0"


def holder(url: str, folder: Path, text: str) -> str | None:
    """Return the label of the key that the text proves, asked of a new keyring."""

    async def ask() -> str | None:
        async with async_connect(url) as store:
            key = await Keyring(store, KEYS, KeyStore(folder)).holder(text)
            return key.label if key else None

    return asyncio.run(ask())


def test_a_key_is_known_by_its_secret_alone(server_url: str, tmp_path: Path) -> None:
    """The right text is taken; one letter off, another id or no key at all is not."""
    key, text = KeyStore(tmp_path).create(("read",), "notebook")

    assert holder(server_url, tmp_path, text) == "notebook"
    for wrong in (text[:-1], text[:-1] + "~", f"gex_{'0' * 8}_{text[13:]}", "", "gex", "é" * 50):
        assert holder(server_url, tmp_path, wrong) is None
    assert key.scopes == ("read",)


def test_only_a_digest_is_kept(tmp_path: Path) -> None:
    """The file has no secret in it, and nobody else can read it, under any umask."""
    _, text = KeyStore(tmp_path).create(("read", "ops"))

    path = tmp_path / "keys.json"
    assert text.split("_", 2)[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_revoked_key_is_refused(server_url: str, store: redis.Redis, tmp_path: Path) -> None:
    """Even if the hot store still has it."""
    file = KeyStore(tmp_path)
    key, text = file.create(("read",))
    store.hset(KEYS.apikey(key.id), mapping=key.to_hash())  # type: ignore[arg-type] # text

    file.revoke(key.id)

    assert holder(server_url, tmp_path, text) is None


def test_keys_work_while_the_store_is_away(tmp_path: Path) -> None:
    """The file answers alone."""
    _, text = KeyStore(tmp_path).create(("read",), "alone")

    assert holder(NOBODY, tmp_path, text) == "alone"


def test_a_key_of_the_store_alone(server_url: str, store: redis.Redis, tmp_path: Path) -> None:
    """A machine without the file knows the keys that the store mirrors."""
    key, text = new_key(("read",), "far")
    store.hset(KEYS.apikey(key.id), mapping=key.to_hash())  # type: ignore[arg-type] # text

    assert holder(server_url, tmp_path, text) == "far"


def test_the_local_key_is_made_once(tmp_path: Path) -> None:
    """The same text each time; a new one when its entry is revoked."""
    text = KeyStore(tmp_path).local()
    parts = split_key(text)
    assert parts is not None

    assert KeyStore(tmp_path).local() == text
    assert stat.S_IMODE((tmp_path / "local_key").stat().st_mode) == 0o600

    KeyStore(tmp_path).revoke(parts[0])
    assert KeyStore(tmp_path).local() != text


def test_many_at_once_lose_none(tmp_path: Path) -> None:
    """Twenty keys made by twenty threads are twenty keys."""
    makers = [
        threading.Thread(target=KeyStore(tmp_path).create, args=(("read",),)) for _ in "x" * 20
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()

    assert len(KeyStore(tmp_path).keys()) == 20


def test_errors(tmp_path: Path) -> None:
    """An id that there is not, and a file that is none."""
    with pytest.raises(ApiKeyError, match="gex keys list"):
        KeyStore(tmp_path).revoke("nothere0")

    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(KeyFileError, match="Restore it"):
        KeyStore(tmp_path).keys()


async def _exchange(url: str, ticket: str, times: int) -> list[str | None]:
    async with async_connect(url) as store:
        return [await use_ticket(store, KEYS, ticket) for _ in range(times)]


def test_a_link_works_once(server_url: str, store: redis.Redis, tmp_path: Path) -> None:
    """Its ticket buys one session, which dies by itself; the store never has the ticket's text."""
    link = one_time_link(store, KEYS, "http://127.0.0.1:8877/")
    address, _, ticket = link.partition("?ticket=")

    session, again = asyncio.run(_exchange(server_url, ticket, 2))

    assert address == "http://127.0.0.1:8877/open"
    assert again is None
    assert session is not None
    assert holder(server_url, tmp_path, session) == "session"
    parts = split_key(session)
    assert parts is not None
    assert 0 < int(store.ttl(KEYS.apikey(parts[0]))) <= 7 * 86_400
    one_time_link(store, KEYS, "http://127.0.0.1:8877/")
    (waiting,) = store.keys("sim:ticket:*")
    assert 0 < int(store.ttl(waiting)) <= 300
