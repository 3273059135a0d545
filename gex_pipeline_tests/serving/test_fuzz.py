"""Whatever is asked, the answer is a figure or a problem with a cure, never a fault of ours."""

from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

PATHS = (
    "/api/v1/gex/{}",
    "/api/v1/gex/{}/levels",
    "/api/v1/gex/SPX?scope={}",
    "/api/v1/gex/SPX/profile?scope={}&scope=all",
    "/api/v1/gex/SPX/surface?scope={0}&span={0}&t={0}",
    "/api/v1/gex/{0}/estimate?scope={0}",
    "/api/v1/gex/{}/maxchange",
    "/api/v1/gex/SPX/maxchange?scope={}&t=",
    "/api/v1/gex/SPX/maxchange?t={}",
    "/v2/{}/classic/zero",
    "/v2/SPX/classic/{}/majors",
    "/api/v1/gex/SPX/stream?scope=none&per_s={}",
    "/api/v1/market/{}",
    "/api/v1/options/{}",
    "/api/v1/options/SPX?limit={}",
    "/api/v1/alerts?limit={}",
    "/static/{}",
    "/open?ticket={}",
)
WORDS = st.one_of(
    st.sampled_from(["SPX", "@NQ", "$SPX", "..", "%2e%2e", "0", "-1", "1e309", "nan", "\x00", "é"]),
    st.text(max_size=60),
    st.integers().map(str),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(PATHS), word=WORDS)
def test_every_answer_is_one(client: TestClient[Litestar], path: str, word: str) -> None:
    """2xx with a body of its type, or 4xx and 503 as problem+json (the page: as a page)."""
    found = client.get(path.format(quote(word, safe="")))

    assert found.status_code in (200, 400, 401, 404, 503), found.text
    if found.status_code >= 400 and not path.startswith("/open"):
        assert found.headers["content-type"] == "application/problem+json"
        assert found.json()["detail"]


def test_other_methods(client: TestClient[Litestar]) -> None:
    """Nothing here can be changed over HTTP."""
    for path in ("/", "/api/v1/gex/SPX", "/api/v1/status", "/open", "/schema"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            found = client.request(method, path)
            assert found.status_code == 405
            assert found.headers["content-type"] == "application/problem+json"
