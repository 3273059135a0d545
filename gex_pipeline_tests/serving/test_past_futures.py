"""The past of futures: as of a moment and over time, with the basis that was recorded then."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.exposure.basis import index_at
from gex_pipeline.exposure.lane import Second
from gex_pipeline.exposure.moment import figures
from gex_pipeline.exposure.pairing import IndexSecond, Pairing
from gex_pipeline.gateway.answer import GexAnswer
from gex_pipeline.lake.basis import TAPE, newest_rows
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.events import Basis, Event, Quote, Trade
from gex_pipeline_tests.engine.builders import S, beat, numbered, quote_of, told
from gex_pipeline_tests.gateway.market import make_past
from gex_pipeline_tests.gateway.recording import FEED, OWN, archive, engine_events, live_seconds
from gex_pipeline_tests.synthetic import ASOF_NS, synthetic_chain

Client = TestClient[Litestar]
CHAIN = synthetic_chain(300, 3)
SECONDS = 70


def index_events() -> tuple[Event, ...]:
    """Return a chain, an index value a second, and a thousand contracts traded of one more."""
    events: list[Event] = told(CHAIN)
    for at in range(1, SECONDS):
        ts_ns = ASOF_NS + at * S
        quote = quote_of(CHAIN, at, ts_ns, streamed=True)
        traded = msgspec.structs.replace(quote, volume=(quote.volume or 0) + 1000)
        events += [traded, Trade("SPX", ts_ns, ts_ns, price=6000.0 + at / 8), beat(ts_ns)]
    return numbered(events)


def future_events() -> tuple[Event, ...]:
    """Return a quote of /ES a second, 21 points above the index and an eighth more each second."""
    events: list[Event] = []
    for at in range(SECONDS):
        ts_ns = ASOF_NS + at * S
        mid = 6021.0 + at / 4
        quote = Quote("/ES", ts_ns, ts_ns, bid=mid - 0.25, ask=mid + 0.25, contract="/ESM25")
        events += [quote, beat(ts_ns)]
    return numbered(events)


def basis_rows(seconds: list[Second]) -> list[Basis]:
    """Return what live records of the basis."""
    pairing = Pairing("schwab.cme")
    list(pairing.take(1, future_events()))
    rows: list[Basis] = []
    for second in seconds:
        image = second.images[0]
        index = index_at(image, figures(image, ("all",), final=True)["all"], second.ts_ns)
        for each in pairing.put(IndexSecond(second.ts_ns, (index,), image.positions)):
            rows += each.rows
    return rows


@pytest.fixture(scope="module")
def rows() -> list[Basis]:
    """The recorded basis."""
    return basis_rows(live_seconds(index_events(), "SPX"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, rows: list[Basis]) -> Path:
    """A root with a lake of the recorded session."""
    root = tmp_path_factory.mktemp("recorded")
    seconds = live_seconds(index_events(), "SPX")
    archive(root, FEED, index_events())
    archive(root, OWN, numbered(engine_events(seconds)), part_events=10_000)
    kept: list[Event] = [row for row in rows if row.ts_recv_ns != ASOF_NS + 50 * S]
    archive(root, TAPE, numbered(kept), part_events=50)
    return root


@pytest.fixture
def lake(app: Litestar, recorded: Path) -> None:
    """Let the application answer from that lake."""
    app.state.past = make_past(recorded)


def ask(client: Client, symbol: str, at: int) -> dict[str, Any]:
    """Return the answer as of so many seconds after the beginning."""
    found = client.get(f"/api/v1/gex/{symbol}/at", params={"t": str(ASOF_NS + at * S)})
    assert found.status_code == 200, found.text
    msgspec.json.decode(found.content, type=GexAnswer)
    return dict(found.json())


@pytest.mark.usefixtures("lake")
def test_as_of_moves_by_the_basis_of_that_second(client: Client, rows: list[Basis]) -> None:
    """At second 40 the median of the samples 11 to 40, 21 + an eighth each: 21 + 25.5 / 8."""
    plain, found = ask(client, "SPX", 40), ask(client, "ES_SPX", 40)
    points = 21 + 25.5 / 8
    assert found["basis"]["points"] == points
    assert (found["basis"]["source"], found["basis"]["age_s"]) == ("live", 0)
    assert (found["basis"]["contract"], found["basis"]["stale"]) == ("/ESM25", False)
    assert found["zero_gamma"] == plain["zero_gamma"] + points
    assert found["spot"] == 6000 + 40 / 8 + points
    assert found["net_gex"] == plain["net_gex"]
    assert found["future_price"] == {"mid": 6031.0, "age_s": 0.0, "quoted": "/ES"}
    assert ask(client, "@ESM25", 40)["symbol"] == "/ESM25"
    by_second = {row.ts_recv_ns: row for row in rows if row.symbol == "/MES"}
    micro = ask(client, "@MES", 45)["basis"]
    assert (micro["points"], micro["from_twin"]) == (by_second[ASOF_NS + 45 * S].basis, True)


@pytest.mark.usefixtures("lake")
def test_a_second_whose_basis_is_not_recorded_says_so(client: Client) -> None:
    """Never that of another second."""
    found = ask(client, "ES_SPX", 50)
    assert (found["basis"]["points"], found["basis"]["reason"]) == (None, "not_recorded")
    assert found["zero_gamma"] is None
    assert found["null_reasons"]["zero_gamma"] == "not_recorded"


@pytest.mark.usefixtures("lake")
def test_another_contract_than_the_front_one_is_refused(client: Client) -> None:
    """404, with what the root was then."""
    found = client.get("/api/v1/gex/@ESU25/at", params={"t": str(ASOF_NS + 40 * S)})
    assert found.status_code == 404
    assert "/ES is /ESM25 now" in found.json()["detail"]


@pytest.mark.usefixtures("lake")
def test_history_moves_each_row_by_its_own_basis(client: Client, rows: list[Basis]) -> None:
    """Levels + basis of that second, dollars as they are; null where it is not recorded."""
    asked: dict[str, str] = {
        "start": str(ASOF_NS + 30 * S),
        "end": str(ASOF_NS + 60 * S),
        "interval": "1s",
        "fields": "spot,max_net_strike_oi,net_gex_oi,max_pain",
    }
    plain = client.get("/api/v1/gex/SPX/history", params=asked).json()["rows"]
    found = client.get("/api/v1/gex/ES_SPX/history", params=asked).json()
    points = {row.ts_recv_ns: row.basis for row in rows if row.symbol == "/ES"}

    assert found["symbol"] == "ES_SPX"
    assert len(found["rows"]) == len(plain) == 31
    for (ts_ns, spot, wall, net, pain), of_index in zip(found["rows"], plain, strict=True):
        assert (ts_ns, net) == (of_index[0], of_index[3])
        if ts_ns == ASOF_NS + 50 * S:
            assert (spot, wall, pain) == (None, None, None)
            continue
        moved, levels = points[ts_ns], (of_index[at] for at in (1, 2, 4))
        assert moved is not None
        assert (spot, wall, pain) == tuple(each and each + moved for each in levels)
    other = client.get("/api/v1/gex/@ESU25/history", params=asked).json()["rows"]
    assert [row[1] for row in other] == [None] * 31


def test_the_newest_recorded_rows_are_found_by_time(recorded: Path, rows: list[Basis]) -> None:
    """At or before a moment, with those of a minute before; across parts; of one root or all."""
    paths, at_ns = LakePaths(recorded), ASOF_NS + 65 * S + S // 2
    found = newest_rows(paths, at_ns, 62 * S)
    seconds = {row.ts_recv_ns for row in found}
    assert max(seconds) == ASOF_NS + 65 * S
    assert min(seconds) == ASOF_NS + 3 * S
    kept = [row for row in rows if row.ts_recv_ns in seconds]
    assert [msgspec.structs.replace(row, seq=0) for row in found] == kept
    (one,) = newest_rows(paths, at_ns, 1, "/MES")
    assert (one.symbol, one.ts_recv_ns) == ("/MES", ASOF_NS + 65 * S)
    assert newest_rows(paths, ASOF_NS - S, 62 * S) == []


@pytest.mark.usefixtures("lake")
def test_changes_as_of_move_too(client: Client, rows: list[Basis]) -> None:
    """Asked at second 65 it is that of 60: its strikes by the basis of 65; none: null."""
    asked = {"t": str(ASOF_NS + 65 * S), "scope": "all"}
    plain = client.get("/api/v1/gex/SPX/maxchange", params=asked).json()
    found = client.get("/api/v1/gex/ES_SPX/maxchange", params=asked).json()
    points = next(
        row.basis for row in rows if (row.symbol, row.ts_recv_ns) == ("/ES", ASOF_NS + 65 * S)
    )
    missing = client.get(
        "/api/v1/gex/@ES/maxchange", params={"t": str(ASOF_NS + 50 * S)} | {"scope": "0dte"}
    ).json()

    assert (found["symbol"], found["index"], found["basis"]["points"]) == ("ES_SPX", "SPX", points)
    assert found["spot"] == plain["spot"] + points
    moved, own = (answer["changes"][1]["volume"] for answer in (found, plain))
    assert moved["strike"] == own["strike"] + points
    assert (moved["change"], moved["net_gex_change"]) == (own["change"], own["net_gex_change"])
    assert missing["basis"]["points"] is not None  # of second 49, which is behind 45
    assert missing["ts_event_ns"] == ASOF_NS + 45 * S
