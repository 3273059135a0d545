"""The account over HTTP: how the sign-in stands, a new one asked of the streamer, and alerts."""

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.errors import ConsentError, FeedError
from gex_pipeline.gateway.keys import KeyStore
from gex_pipeline.gateway.relogin import LONGEST_URL, MOST_BEGINS
from gex_pipeline.gateway.signin import one_time_link
from gex_pipeline.hot.alerts import Alert, Level, tell_alert
from gex_pipeline.streamer.desk import Answer
from gex_pipeline_tests.gateway.market import KEYS
from gex_pipeline_tests.serving.streamer import NOW_S, beat, begun, desk
from gex_pipeline_tests.serving.waiting import until

Client = TestClient[Litestar]
BASE = "http://127.0.0.1:8877"
HOUR_S = 3600
PASTED = "https://127.0.0.1:8182/?code=C0.s3cret-code%40&state=s"


def _pasted(url: str) -> bytes:
    return msgspec.json.encode({"url": url})


def tell(store: redis.Redis, name: str, level: Level, *, active: bool = True) -> None:
    """Tell an alert, as a service does."""
    alert = Alert(
        name=name, service="streamer", level=level, text=f"{name}.", ts_ns=NOW_S, active=active
    )
    tell_alert(store, KEYS, alert)


def account(client: Client) -> dict[str, Any]:
    """What the API says of the account."""
    found = client.get("/api/v1/account")
    assert (found.status_code, found.headers["cache-control"]) == (200, "no-store")
    return dict(found.json())


def test_a_sign_in_that_stands(client: Client, store: redis.Redis) -> None:
    """Ages and ends of consent and access, and the masked account."""
    beat(
        store,
        account="*****789",
        consent_given_ts=NOW_S - 24 * HOUR_S,
        consent_ends_ts=NOW_S + 144 * HOUR_S,
        consent_due_ts=NOW_S + 120 * HOUR_S,
        access_ends_ts=NOW_S + 600,
    )

    found = account(client)

    assert (found["signed_in"], found["state"], found["age_s"]) == (True, "streaming", 0.5)
    assert (found["consent_age_s"], found["consent_left_s"]) == (24 * HOUR_S, 144 * HOUR_S)
    assert (found["consent_due"], found["access_left_s"]) == (False, 600)
    assert (found["account"], found["sign_in"]) == ("*****789", "none")
    assert (found["mode"], found["null_reasons"], found["may_sign_in"]) == ("simulated", {}, True)


def test_a_dead_consent(client: Client, store: redis.Redis) -> None:
    """Not signed in, in the streamer's words; what is unknown is null with a reason."""
    beat(store, state="auth_required", detail="Schwab is over. Sign in again: gex auth login")

    found = account(client)

    assert (found["signed_in"], found["consent_ends_ts"]) == (False, None)
    assert found["problem"].endswith("gex auth login")
    reasons = found["null_reasons"]
    assert (reasons["consent_ends_ts"], reasons["account"]) == ("not_signed_in", "not_set")


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        (None, {"signed_in": "no_streamer", "consent_left_s": "no_streamer"}),
        ({"state": "waiting"}, {"signed_in": "starting", "access_ends_ts": "starting"}),
        ({"ago_s": 11}, {"signed_in": "streamer_away", "consent_due": "unknown_age"}),
        ({"consent_note": "filled"}, {"consent_age_s": "unknown_age"}),
    ],
)
def test_what_nobody_knows_is_null(
    client: Client, store: redis.Redis, fields: dict[str, Any] | None, reasons: dict[str, str]
) -> None:
    """No streamer, one that starts, one that is silent, and a token of unknown age."""
    if fields is not None:
        beat(store, **fields)

    found = account(client)

    for name, why in reasons.items():
        assert (found[name], found["null_reasons"][name]) == (None, why)
    assert {name for name in found["null_reasons"] if found[name] is not None} == set()


def test_the_newest_sign_in(client: Client, store: redis.Redis) -> None:
    """Pending, done, or failed with the reason; of a silent streamer none."""
    for said, state, problem in [
        ("pending", "pending", None),
        ("done", "done", None),
        ("nobody answered in time", "failed", "nobody answered in time"),
    ]:
        beat(store, sign_in=said, sign_in_id="5f3a")
        found = account(client)
        assert (found["sign_in"], found["sign_in_problem"]) == (state, problem)
        assert found["sign_in_id"] == "5f3a"
    beat(store, ago_s=60, sign_in="pending", sign_in_id="5f3a")
    assert account(client)["sign_in"] == "none"


def test_a_sign_in_from_link_to_pasted_address(
    client: Client, store: redis.Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The address comes to the streamer by a key that lives a minute, and stands nowhere else."""
    heard: list[tuple[str, str, int]] = []

    async def begin(_: str) -> str:
        return begun()

    async def finish(arg: str) -> str:
        key = KEYS.signin(arg)
        life_s: Any = store.ttl(key)
        found: Any = store.getdel(key)
        heard.append((arg, found.decode(), life_s))
        return '{"signed_in":true}'

    async def cancel(arg: str) -> str:
        heard.append((arg, "cancel", 0))
        return '{"signed_in":false}'

    caplog.set_level(logging.DEBUG)
    beat(store)
    verbs: dict[str, Answer] = {
        "sign_in": begin,
        "sign_in_finish": finish,
        "sign_in_cancel": cancel,
    }
    with desk(store, verbs):
        link = client.post("/api/v1/account/sign-in")
        done = client.post("/api/v1/account/sign-in/finish", json={"url": PASTED})
        void = client.post("/api/v1/account/sign-in/cancel")

    assert (link.status_code, link.headers["cache-control"]) == (200, "no-store")
    assert link.json()["url"].startswith("https://vendor.example/")
    assert (link.json()["id"], link.json()["listening"]) == ("5f3a", True)
    assert (done.json(), void.json()) == ({"signed_in": True}, {"signed_in": False})
    assert heard[0][1] == PASTED
    assert 50 <= heard[0][2] <= 60
    entries: Any = store.xrange(KEYS.control("streamer"))
    (key,) = KeyStore(tmp_path).keys().values()
    assert {fields[b"by"].decode() for _, fields in entries if b"by" in fields} == {key.id}
    assert "s3cret-code" not in f"{entries}{caplog.text}"
    assert not list(store.scan_iter(KEYS.signin("*")))


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ConsentError("It answers another sign-in", "Open the newest link."), 409, "declined"),
        (FeedError("Schwab did not answer"), 503, "not_now"),
    ],
)
def test_a_refusal_in_the_streamers_words(
    client: Client, store: redis.Redis, error: FeedError, status: int, reason: str
) -> None:
    """What a person can mend is 409, what passes by itself 503; the address is in neither."""

    async def finish(_: str) -> str:
        raise error

    beat(store)
    with desk(store, {"sign_in_finish": finish}):
        found = client.post("/api/v1/account/sign-in/finish", json={"url": PASTED})

    assert (found.status_code, found.json()["reason"]) == (status, reason)
    assert found.json()["detail"] == str(error)
    assert "s3cret-code" not in found.text
    assert not list(store.scan_iter(KEYS.signin("*")))


def test_without_a_streamer(client: Client, store: redis.Redis) -> None:
    """503 that says what to do; the pasted address is not left behind."""
    for path, body in (("", None), ("/finish", {"url": PASTED}), ("/cancel", None)):
        found = client.post(f"/api/v1/account/sign-in{path}", json=body)
        assert (found.status_code, found.json()["reason"]) == (503, "no_streamer"), path
        assert "gex auth login" in found.json()["detail"]
        assert "gex up" in found.json()["detail"]
    assert not list(store.scan_iter(KEYS.signin("*")))


def test_begins_are_few(client: Client) -> None:
    """The sixth of a minute is refused with the time to wait, before anybody is asked."""
    for _ in range(MOST_BEGINS):
        assert client.post("/api/v1/account/sign-in").status_code == 503

    found = client.post("/api/v1/account/sign-in")

    assert (found.status_code, found.json()["reason"]) == (429, "too_often")
    assert 1 <= int(found.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"url": ""}', 400),
        (b'{"url": 7}', 400),
        (b"{", 400),
        (b'{"address": "https://127.0.0.1?code=s3cret-code"}', 400),
        (b'{"url": "' + b"s3cret-code" * (LONGEST_URL // 11 + 1) + b'"}', 400),
        (b'{"url": "' + b"s3cret-code" * LONGEST_URL + b'"}', 413),
    ],
)
def test_a_body_that_is_no_address(client: Client, body: bytes, status: int) -> None:
    """A problem that does not say the body back."""
    headers = {"content-type": "application/json"}
    found = client.post("/api/v1/account/sign-in/finish", content=body, headers=headers)

    assert (found.status_code, "s3cret" in found.text) == (status, False)
    assert found.headers["content-type"] == "application/problem+json"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary(max_size=300) | st.text(max_size=300).map(_pasted))
def test_whatever_is_pasted_is_answered(client: Client, body: bytes) -> None:
    """A problem: no address, or nobody there who takes it."""
    headers = {"content-type": "application/json"}
    found = client.post("/api/v1/account/sign-in/finish", content=body, headers=headers)

    assert found.status_code in (400, 503)
    assert found.headers["content-type"] == "application/problem+json"


def test_only_ops_may_sign_in(stranger: Client, tmp_path: Path) -> None:
    """A key that reads sees the account and the alerts, and begins nothing."""
    _, text = KeyStore(tmp_path).create(("read",))
    headers = {"x-api-key": text}
    until(lambda: stranger.get("/api/v1/account", headers=headers).status_code == 200)

    assert stranger.get("/api/v1/alerts", headers=headers).status_code == 200
    assert not stranger.get("/api/v1/account", headers=headers).json()["may_sign_in"]
    for path in ("", "/finish", "/cancel"):
        found = stranger.post(f"/api/v1/account/sign-in{path}", headers=headers)
        assert found.status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (BASE, 503),
        ("https://127.0.0.1:8877", 503),
        ("http://127.0.0.1:8000", 403),
        ("https://evil.example", 403),
        ("null", 403),
        (None, 403),
    ],
)
def test_a_page_of_somebody_else_does_nothing_with_our_cookie(
    stranger: Client, store: redis.Redis, origin: str | None, status: int
) -> None:
    """Whatever changes something is taken with a cookie from our own page only; reading is free.

    Also from another port of this host, whose pages share our cookies. 503: it came through.
    """
    stranger.get(one_time_link(store, KEYS, BASE))
    headers = {} if origin is None else {"origin": origin}

    found = stranger.post("/api/v1/account/sign-in", headers=headers)
    replay = stranger.post("/api/v1/sessions/monday/pause", headers=headers)

    assert found.status_code == status
    assert replay.status_code == (403 if status == 403 else 404)
    assert stranger.get("/api/v1/account", headers=headers).status_code == 200


def test_a_key_in_a_header_comes_from_anywhere(client: Client) -> None:
    """No page of somebody else can send it."""
    headers = {"origin": "https://evil.example"}

    assert client.post("/api/v1/account/sign-in", headers=headers).status_code == 503


def test_alerts(client: Client, store: redis.Redis) -> None:
    """Active ones by their last word, newest first; what is over is in `recent` alone."""
    tell(store, "consent_ends", "warning")
    tell(store, "stream_down", "warning")
    tell(store, "consent_ends", "critical")
    tell(store, "stream_down", "warning", active=False)
    tell(store, "service_off", "warning")
    store.xadd(KEYS.alerts(), {"v": b"of another version"})

    found = client.get("/api/v1/alerts").json()

    names = [(each["name"], each["level"]) for each in found["active"]]
    assert names == [("service_off", "warning"), ("consent_ends", "critical")]
    assert [each["active"] for each in found["recent"]] == [True, False, True, True, True]
    assert (found["count"], found["mode"]) == (5, "simulated")
    assert client.get("/api/v1/alerts?limit=2").json()["count"] == 2
    assert client.get("/api/v1/alerts?limit=0").status_code == 400


def test_no_alerts(client: Client) -> None:
    """Two empty lists."""
    found = client.get("/api/v1/alerts").json()

    assert (found["active"], found["recent"]) == ([], [])
