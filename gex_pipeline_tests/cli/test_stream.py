"""`gex stream --dry-run`: the plan and every problem, without a socket."""

import json
import os
import socket
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner, Result

from gex_pipeline.cli.stream import stream, wiring
from gex_pipeline.errors import SettingsError
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.hot.keys import Keys
from gex_pipeline.settings import load, origin_of
from gex_pipeline.streamer.plan import make_plan

KEPT = ("PATH", "HOME")


@pytest.fixture
def dry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings, and sockets that fail."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    for name in set(os.environ) - set(KEPT):
        if name.startswith(("GEX_", "SCHWAB_", "TASTYTRADE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "socket", refuse)
    return tmp_path


def run(*arguments: str, **environment: str) -> Result:
    """The command's result."""
    return CliRunner().invoke(stream, arguments, env=environment)


def test_the_plan_of_an_empty_environment_is_the_simulator(dry: Path) -> None:
    """Nothing set: simulated data, their own root and tokens, nothing wrong."""
    result = run("--dry-run", "--json")

    plan = json.loads(result.output)
    assert result.exit_code == 0
    assert (plan["source"], plan["mode"], plan["problems"]) == ("simulator", "simulated", [])
    assert plan["root"] == str(dry / "data" / "sim")
    assert plan["tokens"] == str(dry / "data" / "sim" / "tokens")
    assert plan["option_room"] == plan["symbol_limit"] - plan["fixed"]
    assert plan["fixed"] == sum(map(len, plan["services"].values()))
    assert plan["services"]["NYSE_BOOK"] == ["SPY", "QQQ"]
    assert not list(dry.iterdir())


def test_the_plan_says_what_counts_against_the_limit(dry: Path) -> None:
    """Each service with its symbols, candles and books too."""
    result = run("--dry-run", SCHWAB_SYMBOLS="SPY,MNQ,EUR/USD", SCHWAB_SYMBOL_LIMIT="100")

    assert result.exit_code == 0
    for part in ("CHART_FUTURES", "NASDAQ_BOOK", "LEVELONE_FOREX", "EUR/USD"):
        assert part in result.output
    assert "candles and books counted" in result.output


def test_the_channels_are_those_that_are_set() -> None:
    """SCHWAB_TICK_CHANNEL and SCHWAB_LEVEL2_CHANNEL; the namespace stays before them."""
    settings = load({"SCHWAB_TICK_CHANNEL": "my:ticks"})

    wired = wiring(settings, origin_of(settings), make_plan(("SPX",), (), 10)[0])

    keys = Keys(wired.prefix, *wired.channels)
    assert keys.ticks_channel == "sim:my:ticks"
    assert keys.level2_channel == "sim:market_data:level2"


def test_every_problem_is_told_and_no_secret(dry: Path) -> None:
    """Settings, symbols, source and sign-in in one run; exit code 2."""
    secret = "do-not-show"  # noqa: S105 # the test's own
    result = run(
        "--dry-run",
        GEX_SOURCE="schwab",
        SCHWAB_CLIENT_ID=secret,
        SCHWAB_CLIENT_SECRET=secret,
        GEX_PORT="99999",
        GEX_SYMBOLS="SPX,?",
        GEX_SYMBLOS="SPX",
    )

    assert result.exit_code == 2
    for part in ("GEX_PORT", "GEX_SYMBOLS: '?'", "GEX_SYMBLOS", "No Schwab token is stored"):
        assert part in result.output
    assert secret not in result.output


def test_each_missing_variable_is_named(dry: Path) -> None:
    """Without --ensure-env an empty environment is the simulator; with it, nothing starts."""
    names = ("SCHWAB_CLIENT_ID", "SCHWAB_CLIENT_SECRET", "SCHWAB_REFRESH_TOKEN")
    previewed = run("--dry-run", "--ensure-env")
    started = run("--ensure-env")
    elsewhere = run("--dry-run", "--ensure-env", GEX_SOURCE="simulator", SCHWAB_ENABLED="no")

    assert previewed.exit_code == 2
    assert all(f"{name} is not set" in previewed.output for name in names)
    assert "gex auth login" in previewed.output
    assert isinstance(started.exception, SettingsError)
    assert [line.split()[0] for line in started.exception.problems] == list(names)
    assert "GEX_SOURCE is simulator" in elsewhere.output
    assert "SCHWAB_ENABLED is off" in elsewhere.output
    assert not list(dry.iterdir())


def test_a_sign_in_that_schwab_refused_is_a_problem(dry: Path) -> None:
    """It was noted when it was refused; nobody has to ask again to know."""
    store = TokenStore(dry / ".tokens")
    wrapped = {"creation_timestamp": 1, "token": {"refresh_token": "r", "expires_at": 1}}
    store.write(wrapped)
    store.refuse(wrapped, "Schwab does not take it")
    real = {"SCHWAB_CLIENT_ID": "x", "SCHWAB_CLIENT_SECRET": "x"}

    for options in (["--dry-run"], ["--dry-run", "--ensure-env"]):
        result = run(*options, **real)
        assert result.exit_code == 2
        assert result.output.count("problem: ") == 1
        assert "problem: Schwab does not take it" in result.output


def test_a_complete_environment_lacks_nothing(dry: Path) -> None:
    """Only the hot store's address is needed beside it, where nobody else sets it."""
    complete = dict.fromkeys(
        ("SCHWAB_CLIENT_ID", "SCHWAB_CLIENT_SECRET", "SCHWAB_REFRESH_TOKEN"), "x"
    )

    assert run("--dry-run", "--ensure-env", **complete).exit_code == 0
    started = run("--ensure-env", **complete).exception
    assert isinstance(started, SettingsError)
    assert [line.split()[0] for line in started.problems] == ["GEX_REDIS_URL"]


def test_a_wrong_setting_stops_a_start(dry: Path) -> None:
    """What the dry run tells, the start refuses."""
    for environment in ({"GEX_SOURCE": "cboe"}, {"GEX_SYMBOLS": "/NQ"}):
        assert run(**environment).exception is not None


@pytest.mark.parametrize(
    ("environment", "option", "records", "keep_gb"),
    [
        ({}, None, True, 2.0),
        ({}, False, False, 2.0),
        ({"GEX_RECORD": "false"}, None, False, 2.0),
        ({"GEX_RECORD": "false"}, True, True, 2.0),
        ({"GEX_SOURCE": "schwab"}, None, False, 20.0),
        ({"GEX_SOURCE": "schwab", "GEX_RECORD": "true"}, None, True, 20.0),
        ({"GEX_SOURCE": "schwab", "GEX_CAPTURE_KEEP_GB": "3"}, True, True, 3.0),
    ],
)
def test_frames_are_kept_when_simulated_or_asked_for(
    environment: dict[str, str], option: bool | None, records: bool, keep_gb: float
) -> None:
    """The option decides, then GEX_RECORD, then the source."""
    settings = load(environment)
    plan, _ = make_plan(("SPX",), (), 10)

    wired = wiring(settings, origin_of(settings), plan, record=option)

    assert (wired.record, wired.capture_keep_gb) == (records, keep_gb)
