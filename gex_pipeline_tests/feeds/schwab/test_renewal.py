"""Row 27 and 28 of the fault matrix: a token endpoint that fails, and one that says dead."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from gex_pipeline.errors import FeedError, SignInError
from gex_pipeline.feeds.oldtokens import EXPIRED_AT
from gex_pipeline.feeds.schwab.client import open_client, renew
from gex_pipeline.feeds.schwab.tokenanswer import Pause
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.feeds.wall import wall_s
from gex_pipeline_tests.feeds.schwab.tokenserver import DEAD, Endpoint, Said, Script, endpoint, ok

HTML = "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD></HTML>"
BORN = 1_700_000_000
NEAR_S = 120
"""Life that a token has left when its renewal is due."""

FAILURES = {
    "429": Said(429, '{"message": "Too many"}'),
    "429 asks for a minute": Said(429, "", {"Retry-After": "60"}),
    "500": Said(500, '{"fault": {}}'),
    "502 html": Said(502, HTML),
    "403 html": Said(403, HTML),
    "200 html": Said(200, HTML),
    "200 without a token": Said(200, '{"message": "hello"}'),
    "400 without a name": Said(400, "{}"),
}


def stored(folder: Path, left_s: float) -> TokenStore:
    """A store whose access token lives so long."""
    store = TokenStore(folder / "tokens")
    expires_at = int(wall_s() + left_s) if left_s else EXPIRED_AT
    token = {"refresh_token": "r", "access_token": "old", "token_type": "Bearer"}
    store.write({"creation_timestamp": BORN, "token": token | {"expires_at": expires_at}})
    return store


def tokens(store: TokenStore) -> tuple[str, str]:
    """The stored access and refresh token."""
    token = store.read()["token"]
    return token["access_token"], token["refresh_token"]


def use(
    store: TokenStore, script: Script, act: Callable[[Any, Endpoint], Awaitable[None]], **more: Any
) -> None:
    """Run with a client of the store whose token endpoint is scripted."""

    async def run() -> None:
        async with endpoint(script) as server:
            client = open_client(store, "key", "secret", base_url=server.url, **more)
            try:
                await act(client, server)
            finally:
                await client.close_async_session()

    asyncio.run(run())


@pytest.mark.parametrize("said", FAILURES.values(), ids=FAILURES.keys())
def test_row_27_the_old_token_is_used_while_the_endpoint_fails(tmp_path: Path, said: Said) -> None:
    """A hundred requests, eight at once: one call; nothing of the answer gets into the store."""
    store = stored(tmp_path, NEAR_S)

    async def act(client: Any, server: Endpoint) -> None:
        session = client.session
        for _ in range(12):
            await asyncio.gather(*(session.ensure_active_token(session.token) for _ in range(8)))
        assert "old" in session.token.values()
        assert server.calls == 1

    use(store, lambda _: said, act)

    assert tokens(store) == ("old", "r")
    assert store.refused() is None


def test_row_27_a_silent_endpoint_holds_up_nobody_else(tmp_path: Path) -> None:
    """One request waits for the time-out, the others go on with the token in hand meanwhile."""
    store = stored(tmp_path, NEAR_S)

    async def act(client: Any, server: Endpoint) -> None:
        session = client.session
        first = asyncio.create_task(session.ensure_active_token(session.token))
        while not server.calls:  # noqa: ASYNC110 # another task's count
            await asyncio.sleep(0.01)
        for _ in range(50):
            await session.ensure_active_token(session.token)
        assert not first.done()
        await first
        await session.ensure_active_token(session.token)
        assert server.calls == 1

    use(store, lambda _: None, act, timeout_s=2.0)


def test_many_refused_requests_are_one_renewal(tmp_path: Path) -> None:
    """Eight answers of 401 at once: the first renews, the others find that it is done."""
    store = stored(tmp_path, 1000)

    async def act(client: Any, server: Endpoint) -> None:
        await asyncio.gather(*(renew(client, force=True) for _ in range(8)))
        assert server.calls == 1

    use(store, lambda _: ok(), act)


def test_four_processes_renew_one_token_once(tmp_path: Path) -> None:
    """Started together on one folder: one call; all go on with what it gave."""
    store = stored(tmp_path, 0)

    async def start(url: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gex_pipeline_tests.feeds.schwab.renewer"),
            *(str(store.folder), url),
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    async def run() -> list[str]:
        async with endpoint(lambda call: ok(access_token=f"new-{call}")) as server:
            processes = await asyncio.gather(*(start(server.url) for _ in range(4)))
            for process in processes:
                assert process.stdout is not None
                assert await process.stdout.readline() == b"ready\n"
            said = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
            assert server.calls == 1
            return [out.decode().strip() for out, _ in said]

    assert asyncio.run(run()) == ["new-0"] * 4


def test_row_27_retry_after_may_be_a_date(tmp_path: Path) -> None:
    """As the gateway may say it; it is kept to like seconds."""
    store = stored(tmp_path, 0)
    said = Said(429, "", {"Retry-After": formatdate(wall_s() + 90, usegmt=True)})

    async def act(client: Any, _: Endpoint) -> None:
        with pytest.raises(FeedError, match="429"):
            await renew(client)
        assert 30 < client.session.pause.left_s <= 90

    use(store, lambda _: said, act)


def test_row_27_no_storm_once_the_token_is_over(tmp_path: Path) -> None:
    """Each request is refused at once without a call; the pause is told, and ends in a renewal."""
    store = stored(tmp_path, 0)
    answers = [Said(503, "", {"Retry-After": "2"}), ok()]

    async def act(client: Any, server: Endpoint) -> None:
        with pytest.raises(FeedError, match="503"):
            await renew(client)
        refused: list[str] = []
        while server.calls == 1:
            try:
                await renew(client)
            except FeedError as error:
                refused.append(str(error))
            await asyncio.sleep(0.01)
        assert len(refused) > 1
        assert all("asked again in" in each for each in refused)
        assert server.calls == 2
        assert server.at_s[1] - server.at_s[0] >= 1.9

    use(store, lambda call: answers[call], act)

    assert tokens(store) == ("new", "r")


def test_row_27_calls_in_ten_minutes_of_failure() -> None:
    """By the pauses alone: four calls in the first minute, eight in all."""
    now_s = 0.0
    pause, calls = Pause(lambda: now_s), []
    while now_s < 600:
        calls.append(now_s)
        pause.failed(FeedError("no"))
        now_s += pause.left_s

    assert sum(at < 60 for at in calls) == 4
    assert len(calls) <= 8
    pause.worked()
    assert pause.left_s == 0


def test_a_short_life_is_renewed_at_the_same_share_of_it(tmp_path: Path) -> None:
    """Of a minute, ten seconds before its end: a life below the margin is no renewal a request."""

    def calls_with(left_s: float) -> int:
        store = stored(tmp_path, left_s)
        wrapped = store.read()
        store.write(wrapped | {"token": wrapped["token"] | {"expires_in": 60}})
        seen: list[int] = []

        async def act(client: Any, server: Endpoint) -> None:
            await renew(client)
            seen.append(server.calls)

        use(store, lambda _: ok(), act)
        return seen[0]

    assert calls_with(45) == 0
    assert calls_with(5) == 1


def test_row_28_a_dead_token_is_offered_once(tmp_path: Path) -> None:
    """Twenty callers: one call, one error; the store notes it for other processes."""
    store = stored(tmp_path, NEAR_S)

    async def act(client: Any, server: Endpoint) -> None:
        for _ in range(20):
            with pytest.raises(SignInError, match="gex auth login"):
                await renew(client, force=True)
        assert server.calls == 1

    use(store, lambda _: Said(400, json.dumps(DEAD)), act)

    assert "refresh token" in str(store.refused())


def test_row_28_wrong_credentials_are_told_as_such(tmp_path: Path) -> None:
    """invalid_client without a word of the refresh token: the app key or secret is wrong."""
    store = stored(tmp_path, 0)

    async def act(client: Any, _: Endpoint) -> None:
        with pytest.raises(SignInError, match="SCHWAB_CLIENT_ID"):
            await renew(client)

    use(store, lambda _: Said(401, '{"error": "invalid_client"}'), act)


def test_a_changed_refresh_token_is_accepted(tmp_path: Path) -> None:
    """It is stored, the consent's birth stays; an answer without one keeps the old."""
    store = stored(tmp_path, 0)
    bare = {"access_token": "third", "token_type": "Bearer"}
    answers = [ok(refresh_token="r2"), Said(200, json.dumps(bare))]  # noqa: S106 # no password

    async def act(client: Any, server: Endpoint) -> None:
        await renew(client)
        assert tokens(store) == ("new", "r2")
        await renew(client, force=True)
        assert "refresh_token=r2" in server.forms[1]

    use(store, lambda call: answers[call], act)

    wrapped = store.read()
    assert wrapped["creation_timestamp"] == BORN
    assert tokens(store) == ("third", "r2")
    assert wrapped["token"]["expires_at"] > wall_s() + 1000
