"""Sign-in against the simulator's token endpoint: renewed ahead, once, and told when it is dead."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gex_pipeline.errors import FeedError, SignInError
from gex_pipeline.feeds.oldtokens import EXPIRED_AT
from gex_pipeline.feeds.schwab.client import open_client, renew
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline_tests.simulator.serving import running

Use = Callable[[TokenStore, str], Awaitable[None]]


def with_simulator(root: Path, use: Use) -> None:
    """Run with the store and the address of a simulator."""

    async def run() -> None:
        async with running(root, contracts=400) as server:
            await use(TokenStore(root / "tokens"), f"http://127.0.0.1:{server.port}")

    asyncio.run(run())


def opened(store: TokenStore, url: str) -> Any:
    """A client of that simulator."""
    return open_client(store, "key", "secret", base_url=url)


def expire(store: TokenStore, **changes: Any) -> None:
    """Make the stored access token an old one."""
    wrapped = store.read()
    store.write(wrapped | {"token": wrapped["token"] | {"expires_at": EXPIRED_AT} | changes})


def test_an_expired_token_is_renewed_once_for_many_callers(tmp_path: Path) -> None:
    """Eight calls at once: one renewal, saved, its consent's age unchanged."""

    async def use(store: TokenStore, url: str) -> None:
        expire(store)
        born = store.read()["creation_timestamp"]
        client = opened(store, url)
        answers = await asyncio.gather(*(client.get_user_preferences() for _ in range(8)))
        token = client.session.token["access_token"]
        assert [answer.status_code for answer in answers] == [200] * 8
        assert store.read()["token"]["access_token"] == token
        assert store.read()["creation_timestamp"] == born
        assert client.token_metadata.token["access_token"] == token
        await client.close_async_session()

    with_simulator(tmp_path, use)


def test_what_another_process_renewed_is_taken_over(tmp_path: Path) -> None:
    """Two clients of one store never renew the same token twice."""

    async def use(store: TokenStore, url: str) -> None:
        expire(store)
        first, second = opened(store, url), opened(TokenStore(store.folder), url)
        await renew(first)
        await renew(second)
        assert first.session.token["access_token"] == second.session.token["access_token"]
        await renew(second, force=True)
        for client in (first, second):
            await client.close_async_session()

    with_simulator(tmp_path, use)


@pytest.mark.parametrize("broken", ["{", None])
def test_pain_3_a_file_that_breaks_while_we_run_costs_nothing(
    tmp_path: Path, broken: str | None
) -> None:
    """The token in memory renews itself and is written again; what stood there is kept."""

    async def use(store: TokenStore, url: str) -> None:
        client = opened(store, url)
        first = client.session.token["access_token"]
        store.path.unlink()
        if broken is not None:
            store.path.write_text(broken)
        await renew(client, force=True)
        assert store.read()["token"]["access_token"] == client.session.token["access_token"]
        assert store.read()["token"]["access_token"] != first
        kept = [path.read_text() for path in store.folder.glob("*.bak-*")]
        assert kept == ([] if broken is None else [broken])
        await client.close_async_session()

    with_simulator(tmp_path, use)


def test_a_dead_refresh_token_needs_a_person(tmp_path: Path) -> None:
    """The endpoint's 400 becomes one error; its text does not get into the message."""

    async def use(store: TokenStore, url: str) -> None:
        expire(store, refresh_token="dead")  # noqa: S106 # no password
        client = opened(store, url)
        with pytest.raises(SignInError, match="refresh token") as caught:
            await renew(client)
        assert "dead" not in str(caught.value)
        await client.close_async_session()

    with_simulator(tmp_path, use)


def test_no_server_is_tried_again(tmp_path: Path) -> None:
    """A refused connection needs nobody."""

    async def use() -> None:
        store = TokenStore(tmp_path)
        store.seed("r")
        client = opened(store, "http://127.0.0.1:9")
        with pytest.raises(FeedError) as caught:
            await renew(client)
        assert not isinstance(caught.value, SignInError)
        await client.close_async_session()

    asyncio.run(use())
