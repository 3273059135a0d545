"""The surface over HTTP: the fold's own lines in a matrix, now and as of a moment."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.exposure.live import Image, live_chain
from gex_pipeline.exposure.moment import figures
from gex_pipeline.exposure.surface import Asked, chain_surface
from gex_pipeline.gateway.surfaces import SurfaceAnswer
from gex_pipeline.market.events import Event
from gex_pipeline.market.sessions import SECOND_NS as S
from gex_pipeline_tests.engine.builders import beat, numbered, quote_of, told
from gex_pipeline_tests.gateway.market import make_past
from gex_pipeline_tests.gateway.recording import FEED, OWN, archive, engine_events, live_seconds
from gex_pipeline_tests.serving.chains import CHAIN, image
from gex_pipeline_tests.synthetic import ASOF_NS, DAY

__all__ = ["image"]

Client = TestClient[Litestar]
PATH = "/api/v1/gex/SPX/surface"


def matrix(rows: Any) -> Any:
    """Return a matrix of an answer, null as NaN."""
    return np.array(rows, dtype=np.float64)


@pytest.mark.parametrize("exposure", ["gex", "dex", "vex", "cex", "vendor"])
def test_the_surface_is_that_of_the_stored_chain(
    client: Client, image: Image, exposure: Any
) -> None:
    """Every cell to the bit, under the header of the scope's snapshot."""
    found = client.get(PATH, params={"exposure": exposure, "scope": "full90"})

    assert found.status_code == 200, found.text
    answer = msgspec.json.decode(found.content, type=SurfaceAnswer)
    expected = chain_surface(live_chain(image), Asked(scope="full90", exposure=exposure))
    for weight in ("open_interest", "volume"):
        for side in ("call", "put", "net"):
            ours = getattr(getattr(expected, weight), side)
            theirs = matrix(getattr(getattr(answer, weight), side))
            assert np.array_equal(ours, theirs, equal_nan=True), (weight, side)
    assert (answer.exposure, answer.unit) == (exposure, expected.unit)
    snapshot = figures(image, ("full90",), final=True)["full90"]
    for name in ("symbol", "scope", "spot", "convention", "tapes", "confidence", "ts_event_ns"):
        assert getattr(answer, name) == getattr(snapshot, name)
    assert (answer.mode, answer.market, answer.age_s, answer.stale) == (
        "simulated",
        "open",
        0.5,
        False,
    )


@pytest.mark.usefixtures("image")
def test_it_adds_up_to_the_rows_of_the_other_routes(client: Client) -> None:
    """Rows to /strikes, columns to /expiries of the same scope."""
    asked = {"scope": "full90"}
    answer = client.get(PATH, params={**asked, "span": "all", "roots": "each"}).json()
    strikes = client.get("/api/v1/gex/SPX/strikes", params=asked).json()["strikes"]
    expiries = client.get("/api/v1/gex/SPX/expiries", params=asked).json()["expiries"]

    net = np.nan_to_num(matrix(answer["open_interest"]["net"]))
    gross = float(np.abs(net).sum())
    assert answer["strikes"] == [row["strike"] for row in strikes]
    rows = [row["net_gex"] or 0 for row in strikes]
    assert np.allclose(net.sum(axis=1), rows, 0, 1e-12 * gross)
    assert [(c["date"], c["roots"]) for c in answer["columns"]] == [
        (row["expiry"], [row["root"]]) for row in expiries
    ]
    columns = [row["net_gex"] or 0 for row in expiries]
    assert np.allclose(net.sum(axis=0), columns, 0, 1e-12 * gross)


@pytest.mark.usefixtures("image")
def test_weight_and_span_leave_out_what_was_not_asked_for(client: Client) -> None:
    """One weight alone, the other null; fewer rows, and how many are missing."""
    both = client.get(PATH, params={"span": "all"}).json()
    one = client.get(PATH, params={"span": "0.01", "weight": "volume"}).json()

    assert (one["open_interest"], one["null_reasons"]) == (None, {})
    assert (both["span"], both["strikes_left_out"], both["roots"]) == (None, 0, "summed")
    assert one["strikes_left_out"] == len(both["strikes"]) - len(one["strikes"]) > 0
    rows = [both["strikes"].index(strike) for strike in one["strikes"]]
    assert one["volume"]["net"] == [both["volume"]["net"][row] for row in rows]


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("scope=some", "front0"),
        ("exposure=speed", "exposure"),
        ("weight=money", "weight"),
        ("roots=some", "roots"),
        ("span=wide", "span"),
        ("span=-1", "span"),
        ("t=noon", "is no moment"),
        (f"t={DAY}T10:30&session=x", "Leave out t"),
    ],
)
def test_what_is_no_surface_is_told(client: Client, query: str, said: str) -> None:
    """400, and which choice is wrong."""
    found = client.get(f"{PATH}?{query}")

    assert (found.status_code, said in found.json()["detail"]) == (400, True), found.text


@pytest.mark.parametrize("query", ["", f"?t={DAY}T10:30"])
def test_a_future_has_no_surface_of_its_own(client: Client, query: str) -> None:
    """400, and whose to ask for."""
    found = client.get(f"/api/v1/gex/@ES/surface{query}")

    assert (found.status_code, "Ask for SPX" in found.json()["detail"]) == (400, True)


def test_without_a_chain_there_is_none(client: Client) -> None:
    """503 with the reason."""
    found = client.get(PATH)
    assert (found.status_code, found.json()["reason"]) == (503, "no_snapshot")


def session() -> tuple[Event, ...]:
    """Return a chain and some seconds of quotes."""
    events = told(CHAIN)
    for at in range(1, 6):
        now = ASOF_NS + at * S + 1000
        events += [quote_of(CHAIN, at, now, streamed=True), beat(now)]
    return numbered(events)


def test_as_of_a_moment_it_is_that_of_the_second(
    app: Litestar, client: Client, tmp_path: Path
) -> None:
    """The lake's image at the second, under what /at answers for it."""
    live = live_seconds(session(), "SPX")
    archive(tmp_path, FEED, session())
    archive(tmp_path, OWN, numbered(engine_events(live)), part_events=10_000)
    app.state.past = make_past(tmp_path)
    asked = {"t": f"{DAY}T10:30:03", "scope": "to_opex"}
    second = next(each for each in live if each.ts_ns == ASOF_NS + 3 * S)

    found = client.get(PATH, params=asked)
    at_route = client.get("/api/v1/gex/SPX/at", params={**asked, "part": "levels"}).json()

    assert found.status_code == 200, found.text
    answer = found.json()
    expected = chain_surface(live_chain(second.images[0]), Asked(scope="to_opex")).open_interest
    assert expected is not None
    assert np.array_equal(matrix(answer["open_interest"]["net"]), expected.net, equal_nan=True)
    for name in ("ts_event_ns", "tapes", "confidence", "age_s", "market", "final", "scope"):
        assert answer[name] == at_route[name]

    missing = client.get(PATH, params={"t": f"{DAY}T11:00"})
    assert (missing.status_code, "it holds" in missing.json()["detail"]) == (404, True)
