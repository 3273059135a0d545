"""Whatever Schwab repeats of a secret, no message, traceback, log, capture or note has it."""

import asyncio
import json
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from gex_pipeline.errors import ConsentError, FeedClosedError, FeedError
from gex_pipeline.feeds.refusal import FILE as REFUSED_FILE
from gex_pipeline.feeds.schwab.client import open_client, renew
from gex_pipeline.feeds.schwab.codes import explain
from gex_pipeline.feeds.schwab.signin import SignIn
from gex_pipeline.feeds.schwab.stream import Stream, StreamFrame
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline_tests.feeds.schwab.streamer import (
    CUSTOMER,
    TOKEN,
    Answers,
    Torn,
    response,
    scripted,
)
from gex_pipeline_tests.feeds.schwab.test_signin import SECRET, answer_of, application
from gex_pipeline_tests.feeds.schwab.tokenserver import Said, endpoint, ok

REFRESH = "canary-echoed-refresh-token.9f8e7d6c"
OLD = "canary-echoed-access-token.1a2b3c4d"
CODE = "C0.b2F1dGguY2RjLnNjaHdhYi5jb20.canary-echoed-code@"
SECRETS = (TOKEN, CUSTOMER, REFRESH, OLD, CODE, SECRET)
ECHO = f"Bearer {OLD} of {SECRET} with refresh_token={REFRESH} and code={CODE}"


def shown(error: BaseException) -> str:
    """All that a log or a run of Dagster shows of an error, its causes too."""
    return "".join(traceback.format_exception(error))


def without_secrets(*texts: str) -> None:
    """See that none of them has one."""
    assert [secret for secret in SECRETS for text in texts if secret in text] == []


@pytest.mark.parametrize("garbled", [False, True])
def test_a_refused_login_that_repeats_token_and_ids_gives_none_away(
    caplog: pytest.LogCaptureFixture, *, garbled: bool
) -> None:
    """In its words, or torn so that nobody can read it: neither error, log nor capture has it."""
    taken: list[str] = []

    def script(request: dict[str, Any]) -> Answers:
        said = response(request, 3, f"token {TOKEN} of {CUSTOMER} is denied")
        return [Torn(said | {"more": "x" * 400}) if garbled else said, None]

    async def run() -> None:
        async with scripted(script) as (client, _):
            stream = Stream(client, lambda raw, _: taken.append(str(raw)), timeout_s=5.0)
            try:
                await stream.open()
            finally:
                await stream.close()

    caplog.set_level(logging.DEBUG, "gex_pipeline")
    with pytest.raises(FeedClosedError) as caught:
        asyncio.run(run())

    assert any("is denied" in each for each in taken)
    without_secrets(shown(caught.value), caplog.text, *taken)


def test_data_are_taken_as_they_came() -> None:
    """Only what answers and tells is looked through: nothing is spent on data."""
    taken: list[str] = []

    def script(request: dict[str, Any]) -> Answers:
        return [response(request, 0), {"data": [], "about": CUSTOMER}]

    async def run() -> None:
        def take(raw: str | bytes, _: StreamFrame | None) -> None:
            taken.append(str(raw))

        async with scripted(script) as (client, _):
            stream = Stream(client, take, timeout_s=5.0)
            await stream.open()
            async with asyncio.timeout(20):
                while len(taken) < 2:  # noqa: ASYNC110 # a counter
                    await asyncio.sleep(0.01)
            await stream.close()

    asyncio.run(run())

    assert CUSTOMER in taken[1]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, json.dumps({"error": "unsupported_token_type", "error_description": ECHO})),
        (400, json.dumps({"error": ECHO})),
        (401, json.dumps({"error": "invalid_client", "error_description": ECHO})),
        (400, json.dumps({"message": ECHO})),
        (500, ECHO),
        (200, ECHO),
        (200, json.dumps({"message": ECHO})),
        (200, json.dumps({"access_token": OLD, "expires_in": ECHO})),
    ],
)
def test_a_token_endpoint_that_repeats_what_it_was_sent_gives_none_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int, body: str
) -> None:
    """At a renewal and at a sign-in."""
    store = TokenStore(tmp_path)
    token = {"refresh_token": REFRESH, "access_token": OLD, "expires_at": 1}
    store.write({"creation_timestamp": 1_700_000_000, "token": token})

    async def run() -> list[FeedError]:
        async with endpoint(lambda _: Said(status, body)) as server:
            client = open_client(store, "key", SECRET, base_url=server.url)
            with pytest.raises(FeedError) as renewal:
                await renew(client)
            await client.close_async_session()
            sign_in = SignIn(application(server.url, "https://127.0.0.1:8182"), store)
            with pytest.raises(FeedError) as consent:
                await sign_in.finish(answer_of(sign_in.begin(), code=CODE))
            return [renewal.value, consent.value]

    caplog.set_level(logging.DEBUG, "gex_pipeline")
    errors = asyncio.run(run())

    note = tmp_path / REFUSED_FILE
    without_secrets(*map(shown, errors), caplog.text, note.read_text() if note.exists() else "")


@pytest.mark.parametrize(
    "pasted", [CODE, f"{CODE}&session=1", f"https://me:{CODE}@127.0.0.1/x?state=s"]
)
def test_a_code_that_is_pasted_in_another_form_is_not_repeated(tmp_path: Path, pasted: str) -> None:
    """The message says what to paste, and shows nothing of what was."""

    async def run() -> ConsentError:
        async with endpoint(lambda _: ok()) as server:
            sign_in = SignIn(
                application(server.url, "https://127.0.0.1:8182"), TokenStore(tmp_path)
            )
            sign_in.begin()
            with pytest.raises(ConsentError) as caught:
                await sign_in.finish(pasted)
            return caught.value

    error = asyncio.run(run())

    assert "https://127.0.0.1:8182" in str(error)
    without_secrets(shown(error))


def test_the_words_of_a_code_are_shown_without_what_may_be_secret() -> None:
    """Sentences stay, in one line; what is too long for a word does not."""
    said = explain(3, f"Login Denied.: token {REFRESH} is invalid\nor has expired.")

    assert said.endswith('"Login Denied.: token … is invalid or has expired."')
    assert explain(0, "server=s0166bdv-1;status=NP").endswith('"server=s0166bdv-1;status=NP"')
