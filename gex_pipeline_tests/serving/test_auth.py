"""Closed by default: every address says who may, and a stranger learns how to become one."""

import re
from pathlib import Path

import pytest
import redis
from litestar import Litestar, get
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from gex_pipeline.gateway.keys import KeyStore
from gex_pipeline.gateway.signin import one_time_link
from gex_pipeline_tests.gateway.market import KEYS, make_gateway, make_past
from gex_pipeline_tests.serving.waiting import until
from serving.app import build_app
from serving.hosts import known_hosts
from serving.routes.page import read_static

Client = TestClient[Litestar]
BASE = "http://127.0.0.1:8877"
PUBLIC = {"/", "/open", "/static/{name:str}", "/favicon.ico", "/livez", "/readyz", "/startupz"}


def rules(app: Litestar) -> dict[str, str]:
    """Return what each address needs."""
    return {
        route.path: handler.opt.get("needs", "nothing said")
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.opt.get("needs") or "OPTIONS" not in handler.http_methods
    }


def test_every_route_has_a_rule(app: Litestar) -> None:
    """Only the page's shell and the probes are public; the schema too needs a key."""
    found = rules(app)

    assert {path for path, needs in found.items() if needs == "public"} == PUBLIC
    assert set(found.values()) == {"public", "read", "ops"}
    assert found["/schema"] == "read"
    assert len(found) > 15


def test_without_a_key(stranger: Client, app: Litestar) -> None:
    """401 problem+json that says how to send one, on every address that is not public."""
    for path, needs in rules(app).items():
        if path in PUBLIC:
            continue
        method = "POST" if needs == "ops" else "GET"
        found = stranger.request(method, re.sub(r"{.*?}", "SPX", path))

        assert found.status_code == 401, path
        assert found.headers["content-type"] == "application/problem+json"
        assert found.headers["www-authenticate"] == "Bearer"
        assert "gex keys create" in found.json()["detail"]


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_both_headers(stranger: Client, tmp_path: Path, header: str) -> None:
    """A key in either passes; a wrong one does not, and an address never carries one."""
    _, text = KeyStore(tmp_path).create(("read",))
    bearer = "Bearer " if header == "authorization" else ""

    def status(key: str) -> int:
        return stranger.get("/api/v1/gex/SPX", headers={header: bearer + key}).status_code

    until(lambda: status(text) == 200)
    assert status(text + "x") == 401
    assert stranger.get(f"/api/v1/gex/SPX?key={text}&api_key={text}").status_code == 401


def test_a_key_may_only_what_its_scopes_say(stranger: Client, tmp_path: Path) -> None:
    """A key for ops alone reads nothing: 403."""
    _, text = KeyStore(tmp_path).create(("ops",))

    until(lambda: stranger.get("/api/v1/status", headers={"x-api-key": text}).status_code == 403)


def test_a_revoked_key_ends(client: Client, tmp_path: Path) -> None:
    """Within a second or two, without a restart."""
    assert client.get("/api/v1/status").status_code == 200

    for key in KeyStore(tmp_path).keys().values():
        KeyStore(tmp_path).revoke(key.id)

    until(lambda: client.get("/api/v1/status").status_code == 401)


def test_a_route_without_a_rule_is_closed(
    server_url: str, store: redis.Redis, tmp_path: Path
) -> None:
    """Whoever forgets to say who may has said nobody."""

    @get("/forgotten", sync_to_thread=False)
    def forgotten() -> str:
        return "secret"

    app = build_app(
        make_gateway(server_url, tmp_path), known_hosts("127.0.0.1", ()), make_past(tmp_path)
    )
    app.register(forgotten)
    with TestClient(app, base_url=BASE) as client:
        key = KeyStore(tmp_path).local()
        found = client.get("/forgotten", headers={"x-api-key": key})

    assert (found.status_code, "secret" in found.text) == (403, False)


def test_the_page_by_a_one_time_link(stranger: Client, store: redis.Redis) -> None:
    """A stranger sees how; the link sets a strict, script-proof cookie, once; then the page."""
    closed = stranger.get("/", follow_redirects=False)
    link = one_time_link(store, KEYS, BASE)

    opened = stranger.get(link)

    assert (closed.status_code, "gex open" in closed.text) == (401, True)
    assert opened.status_code == 200
    cookie = opened.headers["set-cookie"]
    assert cookie.startswith("gex_session_8877=gex_")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    page = stranger.get("/")
    assert (page.status_code, "GEX by strike" in page.text) == (200, True)
    assert stranger.get("/api/v1/gex/SPX").status_code == 200
    stranger.cookies.clear()
    assert stranger.get(link).status_code == 401


def test_hosts_that_are_not_ours(client: Client) -> None:
    """A name that somebody points at this machine is refused; ours, set or not, with any port."""
    for host, status in {
        "evil.example": 400,
        "127.0.0.1.evil.example": 400,
        "localhost:1": 200,
        "[::1]:8877": 200,
        "gex.lan": 200,
        "GEX.LAN:80": 200,
    }.items():
        assert client.get("/livez", headers={"host": host}).status_code == status, host


def test_protective_headers(stranger: Client) -> None:
    """The page loads nothing from elsewhere and stands in nobody's frame."""
    for path in ("/", "/static/app.js", "/api/v1/status", "/livez"):
        headers = stranger.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_the_page_stands_alone(stranger: Client) -> None:
    """No script, style or image of another host, and no file but the page's."""
    for name in sorted(read_static()):
        found = stranger.get(f"/static/{name}")
        assert found.status_code == 200
        assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", found.text)
        tag = {"if-none-match": found.headers["etag"]}
        assert stranger.get(f"/static/{name}", headers=tag).status_code == 304
    for name in ("..%2fapp.py", "nothing.js", "%2e%2e"):
        assert stranger.get(f"/static/{name}").status_code == 404
