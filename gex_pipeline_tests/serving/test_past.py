"""The API's past: as of a moment, over time, and gaps; the live is answered meanwhile."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from gex_pipeline.archive.derive import derive_days
from gex_pipeline.exposure.change import changes
from gex_pipeline.exposure.lane import Second
from gex_pipeline.exposure.moment import EVERY, figures
from gex_pipeline.gateway import past as past_module
from gex_pipeline.gateway.answer import GexAnswer
from gex_pipeline.gateway.changes import MaxChangeAnswer
from gex_pipeline.hot.ring import decode_entry, encode_entry, entry_of
from gex_pipeline.lake.days import compact, days_of
from gex_pipeline.lake.frames import Lake
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.events import Event, Gap
from gex_pipeline_tests.engine.builders import S, beat, numbered, quote_of, told
from gex_pipeline_tests.gateway.market import make_past
from gex_pipeline_tests.gateway.recording import FEED, OWN, archive, engine_events, live_seconds
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

Client = TestClient[Litestar]
CHAIN = synthetic_chain(300, 3)
AT = f"{DAY}T10:30:02"


def session() -> tuple[Event, ...]:
    """Return a chain, two minutes of quotes, and a disconnect in the second one."""
    events: list[Event] = told(CHAIN)
    for at in range(1, 122):
        now = ASOF_NS + at * S + 1000
        quote = quote_of(CHAIN, at, now, streamed=True)
        ask, volume = (quote.ask or 0) + 0.1, (quote.volume or 0) + 1000
        events.append(msgspec.structs.replace(quote, ask=ask, volume=volume))
        if at == 70:
            gap = Gap("", now, now, ts_from_ns=now - 5 * S, ts_to_ns=now, cause="disconnect")
            events.append(gap)
        events.append(beat(now))
    return numbered(events)


@pytest.fixture(scope="module")
def live() -> list[Second]:
    """The seconds that live made."""
    return live_seconds(session(), "SPX")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, live: list[Second]) -> Path:
    """A root with a lake of the recorded session."""
    root = tmp_path_factory.mktemp("recorded")
    archive(root, FEED, session())
    archive(root, OWN, numbered(engine_events(live)), part_events=10_000)
    return root


@pytest.fixture
def lake(app: Litestar, recorded: Path) -> None:
    """Let the application answer from that lake."""
    app.state.past = make_past(recorded)


@pytest.mark.usefixtures("lake")
def test_as_of_is_what_live_recorded(client: Client, live: list[Second]) -> None:
    """The whole snapshot, stamped with what held then: open market, age, not stale."""
    second = live[2]
    found = client.get("/api/v1/gex/$SPX/at", params={"t": AT, "scope": "front0"})

    assert found.status_code == 200, found.text
    answer = msgspec.json.decode(found.content, type=GexAnswer)
    expected = figures(second.images[0], ("front0",), final=True)["front0"]
    for name in ("net_gex", "strikes", "profile", "tapes", "gap_s", "confidence", "ts_event_ns"):
        assert getattr(answer, name) == getattr(expected, name)
    assert (answer.mode, answer.market, answer.stale) == ("simulated", "open", False)
    assert answer.age_s == pytest.approx(1, abs=0.01)


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    "text", [str(ASOF_NS + 2 * S), f"{DAY}T14:30:02+00:00", f"{DAY}T10:30:02.5", f"{AT}-04:00"]
)
def test_a_moment_may_be_written_in_many_ways(client: Client, text: str) -> None:
    """Nanoseconds, another offset, a part of a second: the same second."""
    found = client.get(f"/api/v1/gex/SPX/at?t={text}&part=levels").json()

    assert found["ts_event_ns"] == ASOF_NS + 2 * S
    assert "strikes" not in found


@pytest.mark.usefixtures("lake")
def test_history_has_the_last_row_of_each_interval(client: Client, live: list[Second]) -> None:
    """By minutes out of the seconds, as long as end of day has made none."""
    asked = {"start": f"{DAY}T10:30", "end": f"{DAY}T10:32:10", "fields": "spot,net_gex_oi,gap_s"}
    found = client.get("/api/v1/gex/SPX/history", params=asked).json()

    ends = [ASOF_NS + at * S for at in (59, 119, 121)]
    assert found["columns"] == ["ts_recv_ns", "spot", "net_gex_oi", "gap_s"]
    assert [row[0] for row in found["rows"]] == ends
    for row in found["rows"]:
        image = next(each.images[0] for each in live if each.ts_ns == row[0])
        snapshot = figures(image, ("all",), final=True)["all"]
        assert row[1:] == [snapshot.spot, snapshot.net_gex, snapshot.gap_s]
    assert (found["damaged"], found["interval_s"]) == ([], 60)


@pytest.mark.usefixtures("lake")
def test_history_of_seconds_and_of_another_convention(client: Client) -> None:
    """An interval of 1 s is every row; nothing was recorded under an unknown identity."""
    asked = {"start": AT, "end": f"{DAY}T10:30:11", "interval": "1s", "scope": "0dte"}
    rows = client.get("/api/v1/gex/SPX/history", params=asked).json()["rows"]
    assert [row[0] for row in rows] == [ASOF_NS + at * S for at in range(2, 12)]

    other = client.get("/api/v1/gex/SPX/history", params=asked | {"convention": "gexc-9:0"})
    assert other.json()["rows"] == []


@pytest.mark.usefixtures("lake")
def test_history_of_finished_days_comes_from_their_minutes(
    app: Litestar, client: Client, recorded: Path, tmp_path: Path
) -> None:
    """Once end of day has made the rollup, the same rows."""
    asked = {"start": f"{DAY}T10:30", "end": f"{DAY}T10:32:10"}
    before = client.get("/api/v1/gex/SPX/history", params=asked).json()
    paths = LakePaths(tmp_path)
    shutil.copytree(recorded / "lake", paths.lake)
    app.state.past = make_past(tmp_path)
    for tape in paths.tapes():
        for day in days_of(read_chain(paths, tape)):
            compact(paths, day)
    derive_days(paths)

    assert Lake(tmp_path).dates("gex_1m") == [DAY]
    assert client.get("/api/v1/gex/SPX/history", params=asked).json() == before


@pytest.mark.usefixtures("lake")
def test_gaps_of_a_date_and_of_a_time(client: Client) -> None:
    """The disconnect, by its date and by a second of it, and nothing at another time."""
    (gap,) = client.get("/api/v1/gaps", params={"date": DAY.isoformat()}).json()["gaps"]
    assert (gap["cause"], gap["tape"]) == ("disconnect", FEED)
    assert gap["ts_to_ns"] - gap["ts_from_ns"] == 5 * S

    inside = {"start": f"{DAY}T10:31:07", "end": f"{DAY}T10:31:08"}
    assert client.get("/api/v1/gaps", params=inside).json()["gaps"] == [gap]
    outside = {"start": f"{DAY}T10:30:00", "end": f"{DAY}T10:31:00"}
    assert client.get("/api/v1/gaps", params=outside).json()["gaps"] == []


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"gex/SPX/at?t={DAY}T11:00", 404, "it holds 2025-06-02T10:30"),
        ("gex/SPX/at?t=noon", 400, "is no moment"),
        (f"gex/SPX/at?t={DAY}", 400, "is no moment"),
        ("gex/SPX/at?t=12345", 400, "is no moment"),
        ("gex/SPX/at?t=99999999999999999999", 400, "is no moment"),
        (f"gex/SPX/at?t={AT}&part=all", 400, "levels"),
        (f"gex/SPX/at?t={AT}&scope=some", 400, "front0"),
        (f"gex/RUT/at?t={AT}", 404, "not served"),
        ("gex/SPX/at", 400, "t"),
        (f"gex/SPX/history?start={AT}&end={AT}&fields=spot,sum", 400, "'sum'"),
        (f"gex/SPX/history?start={AT}&end={AT}&interval=0s", 400, "interval"),
        ("gaps", 400, "start"),
        (f"gaps?start={AT}", 400, "start"),
    ],
)
def test_what_cannot_be_answered_is_told(client: Client, path: str, status: int, said: str) -> None:
    """A problem with its status, the fact and what is known."""
    found = client.get(f"/api/v1/{path}")

    assert found.status_code == status, found.text
    assert found.headers["content-type"] == "application/problem+json"
    assert said in found.json()["detail"]


@pytest.mark.parametrize(
    "path", [f"gex/SPX/at?t={AT}", f"gex/SPX/history?start={AT}&end={AT}", f"gaps?date={DAY}"]
)
def test_without_a_lake_there_is_no_past(client: Client, path: str) -> None:
    """404 with the reason, from all three."""
    found = client.get(f"/api/v1/{path}")
    assert (found.status_code, found.json()["reason"]) == (404, "no_data")


@pytest.mark.usefixtures("lake")
def test_too_many_rows_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """400 and what to ask for instead."""
    monkeypatch.setattr("gex_pipeline.gateway.history.MOST_ROWS", 5)
    asked = {"start": AT, "end": f"{DAY}T10:31", "interval": "1s"}
    found = client.get("/api/v1/gex/SPX/history", params=asked)
    assert (found.status_code, "wider interval" in found.json()["detail"]) == (400, True)


def test_a_slow_lake_ends_in_time_and_the_live_is_answered_meanwhile(
    app: Litestar, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 after the limit; questions that wait are bounded; /livez answers at once."""
    gone = threading.Event()

    class Slow:
        """Stands in for the module that reads."""

        @staticmethod
        def figures_at(*_: Any) -> None:
            """Take longer than anybody waits."""
            gone.wait(20)
            raise AssertionError("nobody waits for it")

    monkeypatch.setattr(past_module, "import_module", lambda _: Slow)
    monkeypatch.setattr(past_module, "MOST_WAITING", 2)
    app.state.past = make_past(tmp_path, timeout_s=1.5)
    answers: list[Any] = []

    def ask() -> None:
        answers.append(client.get(f"/api/v1/gex/SPX/at?t={AT}"))

    waiting = [threading.Thread(target=ask) for _ in range(2)]
    for thread in waiting:
        thread.start()
    while app.state.past._asked < 2:
        assert client.get("/livez").status_code == 200
    busy = client.get(f"/api/v1/gex/SPX/at?t={AT}")
    assert (busy.status_code, busy.json()["reason"]) == (503, "busy")
    for thread in waiting:
        thread.join()
    gone.set()
    app.state.past.close()
    assert {(each.status_code, each.json()["reason"]) for each in answers} == {(503, "timeout")}


def test_the_libraries_of_the_lake_are_loaded_with_the_first_question() -> None:
    """Serving starts without them."""
    code = "import sys, serving.app; print({'polars', 'pyarrow', 'duckdb'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 # ours
    assert found.stdout.strip() == "set()"


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize("scope", ["all", "0dte"])
def test_changes_as_of(client: Client, live: list[Second], scope: str) -> None:
    """What live would have said of those seconds, but for the rounding of what the lake keeps.

    Exposure by strike is there every 15 seconds: asked at 10:31:07 it is that of 10:31:00.
    """
    entries = {
        each.ts_ns: decode_entry(
            encode_entry(entry_of(each.ts_ns, figures(each.images[0], EVERY, final=True)))
        )
        for each in live
        if each.ts_ns in (ASOF_NS, ASOF_NS + 45 * S, ASOF_NS + 60 * S)
    }
    now = entries[ASOF_NS + 60 * S].trace(scope)
    expected = changes(
        now,
        {
            "current": entries[ASOF_NS + 45 * S].trace(scope),
            "one": entries[ASOF_NS].trace(scope),
        },
    )

    answer = client.get(
        "/api/v1/gex/SPX/maxchange", params={"t": f"{DAY}T10:31:07", "scope": scope}
    )

    assert answer.status_code == 200, answer.text
    past = msgspec.json.decode(answer.content, type=MaxChangeAnswer)
    assert (past.ts_event_ns, past.age_s, past.resolution_s) == (ASOF_NS + 60 * S, 7.0, 15)
    assert (past.mode, past.market, past.stale) == ("simulated", "open", False)
    assert past.net_gex == now.totals("open_interest").net_gex
    for ours, theirs in zip(past.changes[:2], expected, strict=False):
        assert (ours.ts_ns, ours.spot) == (theirs.ts_ns, theirs.spot)
        assert ours.volume.strike == theirs.volume.strike is not None
        for weight in ("open_interest", "volume"):
            mine, other = getattr(ours, weight), getattr(theirs, weight)
            assert mine.net_gex_change == other.net_gex_change
            if other.change is not None:
                assert mine.change == pytest.approx(other.change, abs=2**-22 * gross(live))
    assert [each.open_interest.reason for each in past.changes[2:]] == ["gap"] * 4
    assert past.changes[0].ts_ns == ASOF_NS + 45 * S


def gross(live: list[Second]) -> float:
    """Return a bound of what a strike's calls and puts add up to."""
    found = figures(live[0].images[0], ("all",), final=True)["all"].gross_gex
    assert found is not None
    return found


@pytest.mark.usefixtures("lake")
def test_changes_that_the_lake_does_not_have(client: Client) -> None:
    """Another scope, another day, a replay's other moment: each says what to do."""
    cases = {
        "t=2025-06-02T10:31&scope=full90": (400, "0dte"),
        "t=2025-06-02T11:31": (404, "archive"),
        "t=2025-06-03T10:31": (404, "archive"),
        "t=2025-06-02T10:31&session=monday": (400, "Leave out t"),
        "t=yesterday": (400, "ISO"),
    }
    for query, (status, cure) in cases.items():
        found = client.get(f"/api/v1/gex/SPX/maxchange?{query}")

        assert found.status_code == status, (query, found.text)
        assert cure in found.json()["detail"], found.text


def test_changes_without_a_lake(client: Client) -> None:
    """Nothing is recorded yet: 404, and it says so."""
    found = client.get("/api/v1/gex/SPX/maxchange?t=2025-06-02T10:31")

    assert (found.status_code, "there is none yet" in found.json()["detail"]) == (404, True)
