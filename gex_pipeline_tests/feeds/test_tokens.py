"""The token store: whole, private and never lost."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from gex_pipeline.errors import SignInError
from gex_pipeline.feeds.tokens import FILE, TokenStore
from gex_pipeline.feeds.tokensnapshots import (
    ACCESS_FILE,
    REFRESH_FILE,
    read_access,
    read_refresh,
)

WRAPPED: dict[str, Any] = {
    "creation_timestamp": 1_700_000_000,
    "token": {
        "refresh_token": "r",
        "access_token": "a",
        "token_type": "Bearer",
        "expires_at": 1_700_001_800,
    },
}


def test_what_is_written_is_read_and_private(tmp_path: Path) -> None:
    """The file is 0600 in a 0700 folder, in schwab-py's form; beside it are its two halves."""
    store = TokenStore(tmp_path / "tokens")

    store.write(WRAPPED, refresh_token=WRAPPED["token"])

    assert TokenStore(store.folder).read() == WRAPPED
    assert json.loads(store.path.read_bytes()) == WRAPPED
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.folder.stat().st_mode & 0o777 == 0o700
    names = {path.name for path in store.folder.iterdir()}
    assert names == {FILE, ACCESS_FILE, REFRESH_FILE}


def test_a_disk_that_refuses_loses_no_token(tmp_path: Path) -> None:
    """The writer does not raise: the token is kept, the problem told, the file written later."""
    store = TokenStore(tmp_path / "tokens")
    store.folder.write_text("a file where the folder should be")

    store.write(WRAPPED)
    problem, kept, saved = store.problem, store.read(), store.save()
    store.prepare()

    async def renews() -> None:
        async with store.locked():
            store.write(WRAPPED)

    asyncio.run(renews())
    store.folder.unlink()

    assert (kept, saved) == (WRAPPED, False)
    assert str(problem).startswith("the token could not be saved")
    assert store.save()
    assert store.problem is None
    assert TokenStore(store.folder).read() == WRAPPED


@pytest.mark.parametrize(
    "text", ["", "{}", "null", "[]", '{"token": {}}', '{"access_token": "a"}', '{"token": {"refre']
)
def test_no_token_needs_a_person(tmp_path: Path, text: str) -> None:
    """What is no wrapped token is told as such, and nothing of it is in the message."""
    (tmp_path / FILE).write_text(text)

    with pytest.raises(SignInError, match="cannot be read as a token") as caught:
        TokenStore(tmp_path).read()

    assert caught.value.exit_code == 3


def test_a_seed_fills_an_empty_store_once(tmp_path: Path) -> None:
    """A refresh token of the settings never replaces a stored one."""
    store = TokenStore(tmp_path / "tokens")

    assert store.seed("first")
    assert not store.seed("second")
    assert "first" in store.read()["token"].values()


def test_each_half_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Who sends a request needs one small file, and its repr shows no token."""
    store = TokenStore(tmp_path / "tokens", now_s=lambda: 1_700_000_500.0)
    store.write(WRAPPED)

    access, refresh = read_access(store.folder), read_refresh(store.folder)

    assert (access.access_token, access.expires_at) == ("a", 1_700_001_800)
    assert access.written_at == 1_700_000_500
    assert (refresh.refresh_token, refresh.creation_timestamp) == ("r", 1_700_000_000)
    assert "'a'" not in repr(access)
    assert "'r'" not in repr(refresh)
    for name in (ACCESS_FILE, REFRESH_FILE):
        assert (store.folder / name).stat().st_mode & 0o777 == 0o600
    (store.folder / ACCESS_FILE).write_text("{")
    with pytest.raises(SignInError, match=ACCESS_FILE):
        read_access(store.folder)


def test_what_others_could_read_is_made_private_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file and a folder that another tool left open are closed at the first look."""
    store = TokenStore(tmp_path / "tokens")
    store.folder.mkdir(mode=0o755)
    store.path.write_text(json.dumps(WRAPPED))
    store.path.chmod(0o644)

    assert store.read() == WRAPPED

    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.folder.stat().st_mode & 0o777 == 0o700
    told = [record.getMessage() for record in caplog.records]
    assert sum("was open to other users" in each for each in told) == 2


def test_new_refresh_tokens_go_beside_the_env_file_and_never_into_it(tmp_path: Path) -> None:
    """Each once, a line of its own behind whatever stood there; 0600; .env is not touched."""
    env, back = tmp_path / ".env", tmp_path / ".env.back"
    env.write_text("SCHWAB_REFRESH_TOKEN=mine\n")
    back.write_text("# torn line")
    back.chmod(0o644)
    store = TokenStore(tmp_path / "tokens", env_back=back)

    for refresh in ("r", "r", "r2"):
        store.write(WRAPPED | {"token": WRAPPED["token"] | {"refresh_token": refresh}})

    assert back.read_text().splitlines() == [
        "# torn line",
        "SCHWAB_REFRESH_TOKEN=r",
        "SCHWAB_REFRESH_TOKEN=r2",
    ]
    assert back.stat().st_mode & 0o777 == 0o600
    assert env.read_text() == "SCHWAB_REFRESH_TOKEN=mine\n"


def test_a_link_to_the_env_file_is_not_followed(tmp_path: Path) -> None:
    """Where .env.back is a link, the line is refused and the token saved all the same."""
    env, back = tmp_path / ".env", tmp_path / ".env.back"
    env.write_text("A=1\n")
    back.symlink_to(env)
    store = TokenStore(tmp_path / "tokens", env_back=back)

    store.write(WRAPPED)

    assert env.read_text() == "A=1\n"
    assert TokenStore(store.folder).read() == WRAPPED


def test_a_refusal_is_of_one_sign_in(tmp_path: Path) -> None:
    """Others see it; a new sign-in, or a token that was given after all, ends it."""
    store = TokenStore(tmp_path / "tokens")
    store.write(WRAPPED)

    store.refuse(WRAPPED, "dead")
    other = TokenStore(store.folder)

    assert other.refused() == "dead"
    assert "refresh" not in (store.folder / "refused.json").read_text()
    store.write(WRAPPED | {"creation_timestamp": 1_800_000_000})
    assert other.refused() is None
    assert not (store.folder / "refused.json").exists()


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


def test_what_a_killed_process_left_half_written_goes(tmp_path: Path) -> None:
    """It is a secret that nobody reads; one of a moment ago may be somebody's work."""
    store = TokenStore(tmp_path / "tokens")
    store.write(WRAPPED)
    left = store.folder / f".{FILE}.7-0.tmp"
    left.write_text("{")

    store.prepare()
    early = left.exists()
    os.utime(left, (1, 1))
    store.prepare()

    assert early
    assert not left.exists()
