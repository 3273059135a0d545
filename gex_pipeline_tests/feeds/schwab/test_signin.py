"""A person's sign-in against the simulator: consent page, code, token; and what can go wrong."""

import asyncio
import datetime
import logging
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from cryptography import x509

from gex_pipeline.errors import ConsentError, FeedError, SignInError
from gex_pipeline.feeds.schwab.callback import listening
from gex_pipeline.feeds.schwab.client import open_client
from gex_pipeline.feeds.schwab.signin import PENDING_S, Application, Pending, SignIn
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.feeds.wall import wall_s
from gex_pipeline_tests.feeds.schwab.tokenserver import Endpoint, Said, endpoint, ok
from gex_pipeline_tests.simulator.serving import running

Use = Callable[[SignIn], Awaitable[None]]
SECRET = "s3cret"  # noqa: S105 # the test's own


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def redirect(scheme: str = "https") -> str:
    """A redirect address of this machine."""
    return f"{scheme}://127.0.0.1:{free_port()}"


def application(base_url: str, redirect_uri: str, **more: Any) -> Application:
    """An app with any credentials."""
    return Application(
        key="key", secret=SECRET, redirect_uri=redirect_uri, base_url=base_url, **more
    )


def with_simulator(root: Path, use: Use, redirect_uri: str = "", **more: Any) -> TokenStore:
    """Run with a sign-in at a simulator whose own token is nobody's; return the store."""
    store = TokenStore(root / "mine")

    async def run() -> None:
        async with running(root, contracts=400) as server:
            url = f"http://127.0.0.1:{server.port}"
            await use(SignIn(application(url, redirect_uri or redirect(), **more), store))

    asyncio.run(run())
    return store


async def consented(pending: Pending) -> str:
    """Allow on the consent page; return the address that the browser is sent to."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        page = await browser.get(pending.url)
        assert "SIMULATED sign-in" in page.text
        answer = await browser.get(f"{pending.url}&approve=1")
        assert answer.status_code == httpx.codes.FOUND
        return answer.headers["location"]


async def visit(address: str) -> httpx.Response:
    """Go there as a browser does whose user accepts the certificate."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as browser:  # noqa: S501 # its own
        return await browser.get(address)


@pytest.mark.parametrize("pkce", [False, True])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_pain_1_a_person_signs_in_through_the_callback(
    tmp_path: Path, scheme: str, pkce: bool
) -> None:
    """Link, consent, callback to this machine, token in the store; the browser is told to close."""

    async def use(sign_in: SignIn) -> None:
        pending = sign_in.begin()
        asked = parse_qs(urlsplit(pending.url).query)
        assert ("code_challenge" in asked) == pkce
        assert asked.get("code_challenge_method") == (["S256"] if pkce else None)
        async with listening(pending.redirect_uri, sign_in.fits, wall_s()) as listener:
            assert listener.problem is None
            page = await visit(await consented(pending))
            received = await listener.received
        assert page.status_code == httpx.codes.OK
        assert "You can close this window" in page.text
        wrapped = await sign_in.finish(received)
        assert abs(wrapped["creation_timestamp"] - wall_s()) < 60
        assert sign_in.pending is None

    store = with_simulator(tmp_path, use, redirect(scheme), pkce=pkce)

    assert store.read()["token"]["refresh_token"].startswith("sim-refresh")
    assert store.problem is None


def test_pain_2_a_client_lives_longer_than_the_sign_in_s_own_session(tmp_path: Path) -> None:
    """After the thirty minutes of the first access token it renews and answers."""

    async def use(sign_in: SignIn) -> None:
        await sign_in.finish(await consented(sign_in.begin()))
        later = TokenStore(sign_in.store.folder, now_s=lambda: wall_s() + 1900)
        client = open_client(later, "key", SECRET, base_url=sign_in.app.base_url)
        first = client.session.token["access_token"]
        answer = await client.get_user_preferences()
        assert answer.status_code == httpx.codes.OK
        assert client.session.renewals == 1
        assert client.session.token["access_token"] != first
        await client.close_async_session()

    with_simulator(tmp_path, use)


@pytest.mark.parametrize(
    "pasted", ["{}{}", "  '{}{}'\n", '"{}{}"', "<{}{}>", "{}{}&session=7fd2-22", "{}\n   {}"]
)
def test_a_pasted_address_may_look_as_it_comes(tmp_path: Path, pasted: str) -> None:
    """Blanks, quotes, brackets, one more parameter, a line break of the terminal."""

    async def use(sign_in: SignIn) -> None:
        address = await consented(sign_in.begin())
        assert "%40" in address
        await sign_in.finish(pasted.format(address[:60], address[60:]))

    assert with_simulator(tmp_path, use).read()["creation_timestamp"] > 0


def test_the_query_alone_will_do(tmp_path: Path) -> None:
    """What stands behind the question mark has all that counts."""

    async def use(sign_in: SignIn) -> None:
        await sign_in.finish((await consented(sign_in.begin())).partition("?")[2])

    assert with_simulator(tmp_path, use).read()["creation_timestamp"] > 0


def answer_of(pending: Pending, **changes: str) -> str:
    """An answer that nobody gave, with the pending state unless it is changed."""
    fields = {"code": "C0.x@", "state": pending.state} | changes
    query = "&".join(f"{name}={quote(value)}" for name, value in fields.items() if value)
    return f"{pending.redirect_uri}/?{query}"


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"state": "other"}, "another sign-in"),
        ({"state": ""}, "another sign-in"),
        ({"code": ""}, "no authorization code"),
        ({"code": "", "error": "access_denied"}, r"not given \(access_denied\)"),
        ({"code": "C0.unknown@"}, "30 seconds"),
    ],
)
def test_an_answer_that_signs_nobody_in_says_why(
    tmp_path: Path, changes: dict[str, str], fact: str
) -> None:
    """Fact and cure; exit code 3; nothing secret of it in the message; nothing stored."""

    async def use(sign_in: SignIn) -> None:
        pending = sign_in.begin()
        with pytest.raises(ConsentError, match=fact) as caught:
            await sign_in.finish(answer_of(pending, **changes))
        assert caught.value.exit_code == 3
        for secret in (SECRET, pending.state, "C0."):
            assert secret not in str(caught.value)

    assert with_simulator(tmp_path, use).empty


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1:9/?code=C0.x&state=s",
        "http://127.0.0.1:8182/?code=C0.x&state=s",
        "https://127.0.0.1:8182/callback?code=C0.x&state=s",
        "https://127.0.0.1:99999/?code=C0.x&state=s",
    ],
)
def test_an_answer_at_another_address_is_told_with_both(tmp_path: Path, address: str) -> None:
    """Port, scheme or path of SCHWAB_REDIRECT_URI is not what the portal has."""
    sign_in = SignIn(
        application("http://127.0.0.1:9", "https://127.0.0.1:8182"), TokenStore(tmp_path)
    )
    sign_in.begin()

    with pytest.raises(ConsentError, match="SCHWAB_REDIRECT_URI"):
        asyncio.run(sign_in.finish(address))


def test_a_state_is_used_once_and_ten_minutes(tmp_path: Path) -> None:
    """Not twice, not of an earlier link, not later."""
    now_s = wall_s()

    async def run() -> None:
        store = TokenStore(tmp_path, now_s=lambda: now_s)
        async with endpoint(lambda _: ok()) as server:
            sign_in = SignIn(application(server.url, redirect()), store)
            with pytest.raises(ConsentError, match="No sign-in is waiting"):
                await sign_in.finish("https://127.0.0.1/?code=C0.x&state=s")
            first = sign_in.begin()
            second = sign_in.begin()
            assert first.state != second.state
            assert not sign_in.fits(answer_of(first))
            with pytest.raises(ConsentError, match="another sign-in"):
                await sign_in.finish(answer_of(first))
            await sign_in.finish(answer_of(second))
            with pytest.raises(ConsentError, match="No sign-in is waiting"):
                await sign_in.finish(answer_of(second))
            assert server.calls == 1

            nonlocal now_s
            late = sign_in.begin()
            now_s += PENDING_S
            with pytest.raises(ConsentError, match="older than 10 minutes"):
                await sign_in.finish(answer_of(late))
            assert server.calls == 1

    asyncio.run(run())


def test_a_sign_in_that_begins_while_another_ends_stays(tmp_path: Path) -> None:
    """The first is exchanged just then; the link of the second is good all the same."""

    async def run() -> None:
        newer: list[Pending] = []

        def script(call: int) -> Said:
            if call == 0:
                newer.append(sign_in.begin())
            return ok()

        async with endpoint(script) as server:
            sign_in = SignIn(application(server.url, redirect()), TokenStore(tmp_path))
            await sign_in.finish(answer_of(sign_in.begin()))
            assert sign_in.pending is newer[0]
            await sign_in.finish(answer_of(newer[0]))
            assert server.calls == 2
            assert not sign_in.fits(answer_of(newer[0]))

    asyncio.run(run())


def test_the_code_is_sent_decoded_and_the_verifier_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """C0.x%40 in the address is C0.x@, encoded once on the wire; PKCE's verifier belongs to it.

    The request has its line in the log, without any of this.
    """

    async def run() -> Endpoint:
        async with endpoint(lambda _: ok()) as server:
            app = application(server.url, "https://127.0.0.1:8182", pkce=True)
            sign_in = SignIn(app, TokenStore(tmp_path))
            pending = sign_in.begin()
            await sign_in.finish(answer_of(pending))
            assert pending.verifier is not None
            sent = parse_qs(server.forms[0])
            assert sent["code_verifier"] == [pending.verifier]
            return server

    caplog.set_level(logging.DEBUG, "gex_pipeline")
    sent = parse_qs(asyncio.run(run()).forms[0])

    assert "POST /v1/oauth/token: 200 in" in caplog.text
    assert "C0." not in caplog.text
    assert sent["code"] == ["C0.x@"]
    assert sent["grant_type"] == ["authorization_code"]
    assert sent["redirect_uri"] == ["https://127.0.0.1:8182"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (Said(503, ""), FeedError),
        (Said(403, "<html>"), FeedError),
        (Said(200, '{"access_token": "a"}'), FeedError),
        (Said(401, '{"error": "invalid_client"}'), SignInError),
    ],
)
def test_an_endpoint_that_fails_stores_nothing(
    tmp_path: Path, said: Said, error: type[FeedError]
) -> None:
    """While it does not answer, the same address may be given again."""

    async def run() -> None:
        answers = [said, ok()]
        async with endpoint(lambda call: answers[call]) as server:
            sign_in = SignIn(application(server.url, redirect()), TokenStore(tmp_path))
            pending = sign_in.begin()
            with pytest.raises(error):
                await sign_in.finish(answer_of(pending))
            assert sign_in.store.empty
            if error is FeedError:
                await sign_in.finish(answer_of(pending))
                assert "new" in sign_in.store.read()["token"].values()

    asyncio.run(run())


def test_the_listener_refuses_all_else_and_stays(tmp_path: Path) -> None:
    """Another path or state, none, POST, rubbish: 404 or nothing; then the answer is taken."""

    async def run() -> None:
        sign_in = SignIn(application("http://127.0.0.1:9", redirect()), TokenStore(tmp_path))
        pending = sign_in.begin()
        base, port = pending.redirect_uri, urlsplit(pending.redirect_uri).port
        async with listening(base, sign_in.fits, wall_s()) as listener:
            own = f"/x?code=a&state={pending.state}"
            for path in ("/", "/favicon.ico", "/?code=C0.x&state=other", own):
                answer = await visit(base + path)
                assert answer.status_code == httpx.codes.NOT_FOUND
                assert pending.state not in answer.text
            async with httpx.AsyncClient(verify=False, trust_env=False) as browser:  # noqa: S501 # its own
                posted = await browser.post(answer_of(pending))
                assert posted.status_code == httpx.codes.NOT_FOUND
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\0\1 rubbish\r\n\r\n")
            await reader.read()
            writer.close()
            assert not listener.received.done()
            assert (await visit(answer_of(pending))).status_code == httpx.codes.OK
            assert sign_in.fits(await listener.received)
            with pytest.raises(httpx.TransportError):
                await visit(answer_of(pending))

    asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_certificate_names_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """A browser that trusts it finds nothing else to complain of; one day; its key is not kept."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    async def run() -> None:
        app = application("http://127.0.0.1:9", f"https://{host}:{free_port()}")
        sign_in = SignIn(app, TokenStore(tmp_path))
        pending = sign_in.begin()
        port = int(urlsplit(app.redirect_uri).port or 0)
        async with listening(app.redirect_uri, sign_in.fits, wall_s()):
            text = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
            trusting = ssl.create_default_context(cadata=text)
            async with httpx.AsyncClient(verify=trusting, trust_env=False) as browser:
                assert (await browser.get(answer_of(pending))).status_code == httpx.codes.OK
        made = x509.load_pem_x509_certificate(text.encode())
        life = made.not_valid_after_utc - made.not_valid_before_utc
        assert life < datetime.timedelta(days=2)

    asyncio.run(run())

    assert not list(folder.iterdir())


def test_where_nothing_can_be_listened_on_the_address_is_pasted(tmp_path: Path) -> None:
    """A port that is taken, an address of another machine: told; the sign-in goes on."""

    async def run() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for address in (f"https://127.0.0.1:{port}", "https://gex.example.org/callback"):
                async with listening(address, lambda _: True, wall_s()) as listener:
                    assert address in str(listener.problem)

    asyncio.run(run())
