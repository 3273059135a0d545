"""The token store: whole, private and never lost."""

import asyncio
import json
from pathlib import Path

import pytest

from gex_pipeline.errors import SignInError
from gex_pipeline.feeds.tokens import EXPIRED_AT, FILE, TokenStore

WRAPPED = {
    "creation_timestamp": 1_700_000_000,
    "token": {"refresh_token": "r", "access_token": "a", "expires_at": 1_700_001_800},
}


def test_what_is_written_is_read_and_private(tmp_path: Path) -> None:
    """The file is 0600 in a 0700 folder, in schwab-py's form, with nothing left beside it."""
    store = TokenStore(tmp_path / "tokens")

    store.write(WRAPPED, refresh_token=WRAPPED["token"])

    assert TokenStore(store.folder).read() == WRAPPED
    assert json.loads(store.path.read_bytes()) == WRAPPED
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in store.folder.iterdir()] == [FILE]


def test_a_disk_that_refuses_loses_no_token(tmp_path: Path) -> None:
    """The writer does not raise: the token is kept, the problem told, the file written later."""
    store = TokenStore(tmp_path / "tokens")
    store.folder.write_text("a file where the folder should be")

    store.write(WRAPPED)
    problem, kept, saved = store.problem, store.read(), store.save()
    store.folder.unlink()

    assert (kept, saved) == (WRAPPED, False)
    assert str(problem).startswith("the token could not be saved")
    assert store.save()
    assert store.problem is None
    assert TokenStore(store.folder).read() == WRAPPED


@pytest.mark.parametrize("text", ["", "{}", "null", "[]", '{"token": {}}', '{"access_token": "a"}'])
def test_no_token_needs_a_person(tmp_path: Path, text: str) -> None:
    """What is no wrapped token is told as such, and nothing of it is in the message."""
    (tmp_path / FILE).write_text(text)

    with pytest.raises(SignInError, match="cannot be read as a token") as caught:
        TokenStore(tmp_path).read()

    assert caught.value.exit_code == 3


def test_a_token_without_expiry_counts_as_expired(tmp_path: Path) -> None:
    """A stale token must not look fresh: authlib would give it thirty minutes."""
    token = {"refresh_token": "r", "access_token": "a", "expires_in": 1800}
    (tmp_path / FILE).write_text(json.dumps({"creation_timestamp": None, "token": token}))

    read = TokenStore(tmp_path).read()

    assert (read["creation_timestamp"], read["token"]["expires_at"]) == (0, EXPIRED_AT)


def test_a_seed_fills_an_empty_store_once(tmp_path: Path) -> None:
    """A refresh token of the settings never replaces a stored one."""
    store = TokenStore(tmp_path / "tokens")

    assert store.seed("first")
    assert not store.seed("second")
    assert "first" in store.read()["token"].values()


def test_two_owners_of_the_lock_take_turns(tmp_path: Path) -> None:
    """Whoever renews the token has the folder alone, across stores of one folder."""
    told: list[str] = []

    async def renew(name: str) -> None:
        async with TokenStore(tmp_path / "tokens").locked():
            told.append(f"{name} in")
            await asyncio.sleep(0.01)
            told.append(f"{name} out")

    async def both() -> None:
        await asyncio.gather(renew("a"), renew("b"))

    asyncio.run(both())

    assert told in (["a in", "a out", "b in", "b out"], ["b in", "b out", "a in", "a out"])
