"""A new sign-in asked of the streamer: link, callback or pasted address, and the end of a pause."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from gex_pipeline.errors import ConsentError, FeedError, SignInError
from gex_pipeline.feeds.oldtokens import EXPIRED_AT
from gex_pipeline.feeds.schwab.client import open_client
from gex_pipeline.feeds.schwab.signin import SignIn
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.feeds.wall import wall_s
from gex_pipeline.hot.keys import Keys
from gex_pipeline.streamer.account import Access, Account
from gex_pipeline.streamer.bell import Bell
from gex_pipeline.streamer.signin import SignInDesk
from gex_pipeline_tests.feeds.schwab.test_signin import SECRET, application, redirect, visit
from gex_pipeline_tests.hot.conftest import client, keys, server
from gex_pipeline_tests.simulator.serving import running

__all__ = ["client", "keys", "server"]

WITHIN_S = 30


@asynccontextmanager
async def vendor(root: Path) -> AsyncIterator[tuple[str, SignIn]]:
    """A simulator; its address, and a sign-in at it with a store of its own."""
    async with running(root, contracts=400) as served:
        url = f"http://127.0.0.1:{served.port}"
        yield url, SignIn(application(url, redirect()), TokenStore(root / "mine"))


async def consent(url: str) -> str:
    """Allow; return the address that the browser is sent to."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        return str((await browser.get(f"{url}&approve=1")).headers["location"])


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that another task does."""
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110 # many kinds of state
            await asyncio.sleep(0.02)


def away() -> Any:
    """Open no client: the vendor does not answer."""
    raise FeedError("Schwab did not answer")


async def play(url: str, verb: str, **fields: object) -> None:
    """Have something happen to the simulated vendor."""
    async with httpx.AsyncClient(trust_env=False) as script:
        answer = await script.post(f"{url}/control/{verb}", json=fields)
        assert answer.status_code == httpx.codes.OK, answer.text


def test_the_callback_finishes_what_the_page_began(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """The link is said with its life; the browser's visit to this machine is all that it needs."""

    async def run() -> None:
        async with vendor(tmp_path) as (_, sign_in):
            desk = SignInDesk(sign_in, client, keys)
            begun = json.loads(await desk.begin(""))
            assert begun["listening"]
            assert 590 <= begun["expires_in_s"] <= 600
            assert (desk.state, begun["redirect_uri"]) == ("pending", sign_in.app.redirect_uri)
            assert desk.id == begun["id"]
            answer = await visit(await consent(begun["url"]))
            assert answer.status_code == httpx.codes.OK
            await until(lambda: desk.state == "done")
            assert not sign_in.store.empty
            with pytest.raises(httpx.TransportError):
                await visit(sign_in.app.redirect_uri)
            await desk.close()

    asyncio.run(run())


def test_a_pasted_address_comes_by_a_one_time_key(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """It is gone once it is taken; a key that has expired is told; the listener closes."""

    async def run() -> None:
        async with vendor(tmp_path) as (_, sign_in):
            desk = SignInDesk(sign_in, client, keys)
            begun = json.loads(await desk.begin(""))
            client.set(keys.signin("k1"), await consent(begun["url"]), ex=60)
            with pytest.raises(ConsentError, match="expired"):
                await desk.finish("k0")
            assert json.loads(await desk.finish("k1")) == {"signed_in": True}
            assert client.get(keys.signin("k1")) is None
            assert not sign_in.store.empty
            with pytest.raises(httpx.TransportError):
                await visit(sign_in.app.redirect_uri)

    asyncio.run(run())


def test_a_cancelled_sign_in_is_void_and_the_port_is_free_again(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """A second begin takes the port over; after the cancel nothing listens and no link is good."""

    async def run() -> None:
        async with vendor(tmp_path) as (_, sign_in):
            desk = SignInDesk(sign_in, client, keys)
            first = json.loads(await desk.begin(""))
            second = json.loads(await desk.begin(""))
            assert first["listening"]
            assert second["listening"]
            assert first["id"] != second["id"]
            await desk.cancel("")
            assert desk.state == ""
            with pytest.raises(httpx.TransportError):
                await visit(sign_in.app.redirect_uri)
            with pytest.raises(ConsentError, match="No sign-in is waiting"):
                await sign_in.finish(await consent(second["url"]))
            assert sign_in.store.empty

    asyncio.run(run())


def test_two_who_begin_at_once_both_get_a_link(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """The later one is good; a cancel among them ends as well."""

    async def run() -> None:
        async with vendor(tmp_path) as (_, sign_in):
            desk = SignInDesk(sign_in, client, keys)
            async with asyncio.timeout(WITHIN_S):
                said = await asyncio.gather(desk.begin(""), desk.cancel(""), desk.begin(""))
            first, last = json.loads(said[0]), json.loads(said[2])
            assert first["url"] != last["url"]
            assert (desk.id, desk.state) == (last["id"], "pending")
            await visit(await consent(last["url"]))
            await until(lambda: desk.state == "done")
            await desk.close()

    asyncio.run(run())


def test_a_wrong_address_leaves_the_sign_in_pending(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """The status does not call it failed, and the right one is taken afterwards."""

    async def run() -> None:
        async with vendor(tmp_path) as (_, sign_in):
            desk = SignInDesk(sign_in, client, keys)
            begun = json.loads(await desk.begin(""))
            client.set(keys.signin("k1"), f"{begun['redirect_uri']}?code=c&state=other", ex=60)
            with pytest.raises(ConsentError, match="another sign-in"):
                await desk.finish("k1")
            assert desk.state == "pending"
            client.set(keys.signin("k2"), await consent(begun["url"]), ex=60)
            assert json.loads(await desk.finish("k2")) == {"signed_in": True}
            assert desk.state == "done"

    asyncio.run(run())


def run_out(store: TokenStore) -> None:
    """Make the stored access token an old one, so that it is to be renewed."""
    wrapped = store.read()
    store.write(wrapped | {"token": wrapped["token"] | {"expires_at": EXPIRED_AT}})


async def dead(account: Account, client: Any, bell: Bell) -> SignInError:
    """See that a refused sign-in paused everything: one alert, one call, and no call more."""
    with pytest.raises(SignInError, match="gex auth login") as caught:
        await asyncio.wait_for(account.until_paused(), WITHIN_S)
    assert [(each.name, each.level) for each in bell.active.values()] == [
        ("auth_required", "critical")
    ]
    assert account.store.refused() == account.refused
    for _ in range(20):
        await asyncio.sleep(0.05)
        assert client.session.renewals == 1
    return caught.value


def test_row_28_and_pain_4_a_dead_sign_in_pauses_rings_once_and_ends_with_a_new_one(
    tmp_path: Path,
) -> None:
    """Revoked at the vendor: every loop stops, one alert, no call more; the new token ends it."""

    async def run() -> None:
        async with vendor(tmp_path) as (url, sign_in):
            store, bell = sign_in.store, Bell("streamer")
            await sign_in.finish(await consent(sign_in.begin().url))
            opener = partial(open_client, store, "key", SECRET, base_url=url)
            account = Account(Access(store, opener, sign_in, 6.0), bell, look_s=0.05)
            client = await account.client()
            await play(url, "revoke")
            run_out(store)
            client.session.token["expires_at"] = EXPIRED_AT
            loops = [asyncio.create_task(each) for each in (account.keep_fresh(), account.client())]
            told = await dead(account, client, bell)

            other = SignIn(sign_in.app, TokenStore(store.folder))
            await other.finish(await consent(other.begin().url))
            again = await asyncio.wait_for(loops[1], WITHIN_S)
            await until(lambda: not account.refused)
            assert (await again.get_user_preferences()).status_code == httpx.codes.OK
            assert not bell.active
            late = asyncio.create_task(account.wait_for_person(told))
            await asyncio.wait_for(late, WITHIN_S)
            assert not account.refused
            loops[0].cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await account.close()

    asyncio.run(run())


def test_a_new_sign_in_is_taken_up_before_the_old_one_ends(tmp_path: Path) -> None:
    """A person signs in early: the running client goes on with the new tokens, nothing pauses."""

    async def run() -> None:
        async with vendor(tmp_path) as (url, sign_in):
            store, bell = sign_in.store, Bell("streamer")
            await sign_in.finish(await consent(sign_in.begin().url))
            opener = partial(open_client, store, "key", SECRET, base_url=url)
            account = Account(Access(store, opener, sign_in, 6.0), bell, look_s=0.05)
            client = await account.client()
            task = asyncio.create_task(account.keep_fresh())
            other = SignIn(sign_in.app, TokenStore(store.folder))
            wrapped = await other.finish(await consent(other.begin().url))
            token = wrapped["token"]["access_token"]
            await until(lambda: client.session.token["access_token"] == token)
            assert client.session.renewals == 0
            assert not bell.active
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await account.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("age_h", "level", "words"),
    [
        (100.0, None, ""),
        (7 * 24 - 47.9, "warning", "less than 48 hours"),
        (7 * 24 - 23.9, "warning", "less than 24 hours"),
        (7 * 24 - 5.9, "critical", "less than 6 hours"),
        (7 * 24 + 0.1, "critical", "ended at"),
    ],
)
def test_pain_1_the_end_of_the_consent_rings_in_steps(
    tmp_path: Path, age_h: float, level: str | None, words: str
) -> None:
    """48, 24 and 6 hours before it, and at it; the status has the ages."""
    now_s = 1_800_000_000.0
    store = TokenStore(tmp_path, now_s=lambda: now_s)
    born = int(now_s - age_h * 3600)
    token = {"refresh_token": "r", "access_token": "a", "expires_at": int(now_s) + 600}
    store.write({"creation_timestamp": born, "token": token})
    bell = Bell("streamer")

    async def run() -> dict[str, object]:
        sign_in = SignIn(application("http://127.0.0.1:9", redirect()), store)
        account = Account(Access(store, away, sign_in, 6.5), bell, look_s=0.01)
        task = asyncio.create_task(account.keep_fresh())
        await until(lambda: level is None or bell.active)
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return account.status()

    status = asyncio.run(run())

    found = bell.active.get("consent_ends")
    assert (found and found.level) == level
    assert found is None or (words in found.text and "gex auth login" in found.text)
    assert (status["consent_given_ts"], status["consent_age_s"]) == (born, int(now_s) - born)
    assert status["consent_ends_ts"] == born + 7 * 86_400
    assert status["access_ends_ts"] == int(now_s) + 600


def test_an_unknown_age_is_null_with_its_reason_and_rings_nothing(tmp_path: Path) -> None:
    """SCHWAB_REFRESH_TOKEN filled the store: nobody knows when its consent was given."""
    store = TokenStore(tmp_path, now_s=wall_s)
    store.seed("r")
    bell = Bell("streamer")

    async def run() -> dict[str, object]:
        sign_in = SignIn(application("http://127.0.0.1:9", redirect()), store)
        account = Account(Access(store, away, sign_in, 6.0), bell)
        await asyncio.sleep(0)
        account._warn()
        return account.status()

    status = asyncio.run(run())

    assert (status["consent_age_s"], status["consent_ends_ts"]) == (None, None)
    assert status["access_ends_ts"] is None
    assert "SCHWAB_REFRESH_TOKEN" in str(status["consent_note"])
    assert not bell.active
