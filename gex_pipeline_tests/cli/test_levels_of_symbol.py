"""`gex levels SYMBOL`: a second of the lake, or the newest chain of the running engine."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from gex_pipeline.cli import gex
from gex_pipeline.cli.report import report
from gex_pipeline.exposure.crosscheck import cross_check
from gex_pipeline.exposure.live import live_chain
from gex_pipeline.exposure.moment import figures
from gex_pipeline.hot.chains import encode_image
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.keys import Keys
from gex_pipeline.lake.basis import TAPE
from gex_pipeline.market.events import Basis, Event
from gex_pipeline_tests.engine.builders import S, beat, feed, header_of, lane_of, numbered, told
from gex_pipeline_tests.gateway.recording import FEED, archive, live_seconds
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, synthetic_chain

CHAIN = synthetic_chain(300, 3)
EVENTS = numbered([*told(CHAIN), *(beat(ASOF_NS + at * S + 5) for at in range(1, 4))])


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose simulated lake holds three seconds."""
    monkeypatch.setenv("GEX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GEX_SOURCE", "simulator")
    monkeypatch.delenv("GEX_REDIS_URL", raising=False)
    archive(tmp_path / "sim", FEED, EVENTS)
    return tmp_path


def basis_row(root: str, ts_ns: int, basis: float | None) -> Basis:
    """Return a recorded row of a live basis, or of none."""
    return Basis(
        root,
        ts_ns,
        ts_ns,
        index="SPX",
        positions="{}",
        method=None if basis is None else "live",
        basis=basis,
        reason="roll" if basis is None else None,
        contract=f"{root}M25",
        quoted="/ES",
        samples=30,
        ts_live_ns=ts_ns,
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A hot store of its own."""
    server = EmbeddedServer()
    server.start(tmp_path / "hot store", first_port=7690, maxmemory_mb=64)
    yield server
    server.stop()


def run(*arguments: str) -> Result:
    """Return the result of `gex levels` with the arguments."""
    return CliRunner().invoke(gex, ["levels", *arguments])


@pytest.mark.usefixtures("data")
def test_as_of_is_what_live_recorded() -> None:
    """The JSON is the snapshot of that second; New York time, any spelling of the symbol."""
    second = live_seconds(EVENTS, "SPX")[1]
    expected = figures(second.images[0], ("0dte",), final=True)["0dte"]

    result = run("$SPX", "--as-of", f"{DAY}T10:30:01", "--scope", "0dte", "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.output) == msgspec.to_builtins(expected) | json.loads(
        msgspec.json.encode(expected)
    )


def test_a_future_as_of_a_second_is_its_index_moved(data: Path) -> None:
    """By the basis that was recorded of that second; of another second there is none."""
    archive(data / "sim", TAPE, numbered([basis_row("/ES", ASOF_NS + S, 21.5)]))
    plain = json.loads(run("SPX", "--as-of", f"{DAY}T10:30:01", "--json").output)

    result = run("/ES", "--as-of", f"{DAY}T10:30:01", "--json")

    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["symbol"], found["index"], found["basis"]["points"]) == ("/ES", "SPX", 21.5)
    for name in ("spot", "zero_gamma", "call_wall", "max_pain"):
        assert found[name] == (plain[name] and plain[name] + 21.5)
    assert found["net_gex"] == plain["net_gex"]
    text = run("ES_SPX", "--as-of", f"{DAY}T10:30:01").output
    assert "levels of SPX +21.50 (live, 0 s old, /ESM25, by /ES)" in text
    assert "no basis of SPX: not_recorded" in run("/ES", "--as-of", f"{DAY}T10:30:02").output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("/YM",), "There are no levels of /YM"),
        (("/ESU25", "--as-of", f"{DAY}T10:30:01"), "/ES is /ESM25 now"),
        (("/ES", "--as-of", f"{DAY}T10:30:01", "--convention", "vendor"), "gexc-1"),
    ],
)
def test_what_a_future_cannot_be_asked(data: Path, arguments: tuple[str, ...], said: str) -> None:
    """Each with what can be."""
    archive(data / "sim", TAPE, numbered([basis_row("/ES", ASOF_NS + S, 21.5)]))
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.usefixtures("data")
def test_the_report_says_where_it_is_from() -> None:
    """Time to the second, tape and number, and that it is simulated."""
    result = run("SPX", "--as-of", f"{DAY}T10:30:01")

    assert result.exit_code == 0, result.output
    assert "10:30:01 New York" in result.output
    assert f"SIMULATED, tape schwab.index 1-{len(EVENTS) - 3}" in result.output


@pytest.mark.usefixtures("data")
def test_another_convention_is_computed_from_the_same_chain() -> None:
    """The vendor's gamma of that second."""
    image = live_seconds(EVENTS, "SPX")[1].images[0]
    expected = cross_check(live_chain(image), "vendor", "all", DAY)

    result = run("SPX", "--as-of", f"{DAY}T10:30:01", "--convention", "vendor", "--json")

    assert json.loads(result.output)["net_gex"] == expected.net_gex


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("SPX", "--as-of", f"{DAY}T11:00"), "it holds 2025-06-02T10:30"),
        (("RUT", "--as-of", f"{DAY}T10:30:01"), "no option quotes"),
        (("missing.csv",), "no readable file"),
        (("no such thing",), "no readable file"),
        (("SPX", "--as-of", "today"), "no ISO time"),
    ],
)
def test_what_is_not_there_is_told(arguments: tuple[str, ...], said: str) -> None:
    """Exit code 2 and one line with the fact and its cure."""
    result = run(*arguments)

    assert (result.exit_code, said in result.output) == (2, True), result.output


def test_without_a_moment_it_is_the_newest_chain(
    data: Path, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the hot store; without one, or without a chain, the reason."""
    assert "No hot store runs" in run("SPX").output
    monkeypatch.setenv("GEX_REDIS_URL", server.url)
    assert "No chain of SPX has arrived" in run("SPX").output

    image = live_seconds(EVENTS, "SPX")[1].images[0]
    with connect(server.url) as store:
        store.set(Keys("sim:").chain("SPX"), encode_image(image))
    found = json.loads(run("SPX", "--scope", "front0", "--json").output)

    expected = figures(image, ("front0",), final=False)["front0"]
    assert (found["net_gex"], found["final"]) == (expected.net_gex, False)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (told(CHAIN), "the feed is silent"),
        (told(CHAIN)[1:], "no answer of the chain has come yet"),
        ([header_of(CHAIN, ASOF_NS, complete=False), *told(CHAIN)[1:]], "0 of 1 windows"),
    ],
)
def test_the_report_says_what_is_wrong_with_the_feed(events: list[Event], words: str) -> None:
    """The factor, and what made it fall."""
    lane = lane_of("SPX")
    feed(lane, events)
    image = lane.preview("SPX", ASOF_NS + (6 * S if events[0] == told(CHAIN)[0] else 0))
    assert image is not None
    lines = list(report(figures(image, ("all",), final=False)["all"]))

    assert any("feed" in line and "0.00" in line and words in line for line in lines)
