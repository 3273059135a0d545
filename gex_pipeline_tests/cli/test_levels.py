"""`gex levels`: the right figures of a file, or one line that says what was wrong with it."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gex_pipeline.cli import gex
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline_tests.feeds.builders import delayed_file, schwab_file, table_file
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, quote_table, synthetic_chain

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "spx_synthetic.csv"
KEYS = (
    "symbol",
    "spot",
    "ts_event_ns",
    "convention",
    "contracts",
    "net_gex",
    "call_gex",
    "put_gex",
    "net_gex_volume",
    "zero_gamma",
    "flips",
    "gamma_at_spot",
    "call_wall",
    "put_wall",
    "walls",
    "abs_gamma_strike",
    "max_net_strike",
    "min_net_strike",
    "max_pain",
    "strikes",
    "expiries",
    "coverage",
    "confidence",
)


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    """Return the result of `gex levels` with the arguments."""
    return CliRunner().invoke(gex, ["levels", *arguments], input=stdin)


def answer(*arguments: str, stdin: bytes | None = None) -> dict[str, Any]:
    """Return the JSON that it prints."""
    result = run(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    loaded: dict[str, Any] = json.loads(result.output)
    return loaded


def test_json_has_every_promised_key() -> None:
    """A program finds each figure under its name, in dollars and index points."""
    got = answer(str(EXAMPLE))

    assert [key for key in KEYS if key not in got] == []
    assert got["symbol"] == "SPX"
    assert got["spot"] == 6000.0
    assert got["convention"] == "gexc-1:356bfcae"
    assert got["contracts"] == 1600
    assert abs(got["net_gex"]) > 1e9
    assert 5000 < got["zero_gamma"] < 7000


def test_the_default_agrees_with_the_chain_that_made_the_file() -> None:
    """The vendor's exact volatilities and ours, solved from ticks, differ by less than 1%."""
    got = answer(str(EXAMPLE))

    assert abs(got["vendor"]["difference_to_gross"]) < 0.01
    assert got["confidence_level"] == "high"
    assert math.isclose(got["coverage"]["rate"], 0.045, abs_tol=0.002)


def test_report_shows_figures_expiries_bars_and_trust() -> None:
    """A person sees level, reason for trust, table by expiry and chart by strike."""
    output = run(str(EXAMPLE)).output

    for words in (
        "SPX 6,000   Mon 2025-06-02 10:30 New York",
        "net GEX",
        "zero gamma",
        "call wall",
        "confidence",
        "forwards by put-call parity",
        "2025-06-02 SPXW",
        "spot ─",
        "█",
    ):
        assert words in output


def test_download_time_is_not_quote_time() -> None:
    """The file was made at 10:45; its quotes are 15 minutes older."""
    got = answer(str(EXAMPLE))

    assert got["ts_event_ns"] == ASOF_NS
    assert got["asof_rule"] == "session"


@pytest.mark.parametrize("text", ["2025-06-02T15:30", "2025-06-02T19:30+00:00"])
def test_as_of_overrides_the_file(text: str) -> None:
    """New York time without an offset, any zone with one."""
    got = answer(str(EXAMPLE), "--as-of", text)

    assert got["ts_event_ns"] == et_ns(DAY, 15, 30)
    assert got["asof_rule"] == "given"
    assert got["expiries"][0]["years"] == pytest.approx(30 / 525_600)


def test_as_of_after_the_last_expiry_leaves_nothing_and_says_so() -> None:
    """All null with a reason: no zero that looks like a fact."""
    got = answer(str(EXAMPLE), "--as-of", "2030-01-02T10:00")

    assert got["contracts"] == 0
    assert got["net_gex"] is None
    assert got["null_reasons"]["net_gex"] == "no_contracts"
    assert got["confidence"] is None
    assert run(str(EXAMPLE), "--as-of", "2030-01-02T10:00").exit_code == 0


def test_scope_is_one_date() -> None:
    """0dte holds the contracts that settle that day."""
    got = answer(str(EXAMPLE), "--scope", "0dte")

    assert {row["expiry"] for row in got["expiries"]} == {DAY.isoformat()}
    assert got["contracts"] == 80


def test_standard_input_is_a_file_too() -> None:
    """`gex levels -` reads what is piped in."""
    assert answer("-", stdin=EXAMPLE.read_bytes()) == answer(str(EXAMPLE))


def test_vendor_all_keeps_expired_rows_and_vendor_drops_them() -> None:
    """After the first day's close its contracts count under vendor-all only."""
    late = ("--as-of", "2025-06-02T17:00")
    every, unexpired = (
        answer(str(EXAMPLE), "--convention", name, *late) for name in ("vendor-all", "vendor")
    )

    assert every["contracts"] - unexpired["contracts"] == 80
    assert every["convention"] == "vendor-all"
    assert every["zero_gamma"] is None
    assert every["null_reasons"]["zero_gamma"] == "gamma_known_at_spot_only"
    assert every["gamma_at_spot"] == every["net_gex"]


def test_r0_finds_the_crossing_of_its_sixty_levels() -> None:
    """Linear between levels: the crossing lies between two of them with opposite signs."""
    got = answer(str(EXAMPLE), "--convention", "r0-busdays262")
    level = got["zero_gamma"]
    below = max(point for point in got["profile"] if point[0] <= level)
    above = min(point for point in got["profile"] if point[0] > level)

    assert len(got["profile"]) == 60
    assert below[1] * above[1] < 0
    assert got["profile"][0][0] == pytest.approx(4800)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b'{"a": 1}', "JSON"),
        (b"PAR1\x00\x01", ""),
        (table_file()[:-40], "stops in the middle"),
        (delayed_file()[:-20], "JSON that stops"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, data: bytes, found: str) -> None:
    """Exit 2, nothing on standard output, one line with what was expected and what was found."""
    path = tmp_path / "chain"
    path.write_bytes(data)

    done = subprocess.run(  # noqa: S603 # our own interpreter
        [sys.executable, "-m", "gex_pipeline.cli", "levels", str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "Expected a Cboe quote table" in done.stderr
    assert found in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.csv"], "No such file"),
        ([str(EXAMPLE), "--scope", "tomorrow"], "Scope 'tomorrow' is unknown. Known: all, 0dte"),
        ([str(EXAMPLE), "--scope", "expiry:2025-02-30"], "is unknown"),
        ([str(EXAMPLE), "--convention", "mine"], "Known: gexc-1, vendor"),
        ([str(EXAMPLE), "--as-of", "noon"], "'noon' is no ISO time"),
        ([str(EXAMPLE), "--as-of", "2025-06-02"], "has no time of day"),
        ([str(EXAMPLE), "--as-of", "0001-01-01T00:00"], "outside the trading calendar"),
        ([str(EXAMPLE), "--as-of", "9999-12-31T23:59:59"], "outside the trading calendar"),
    ],
)
def test_wrong_usage_names_the_cure(arguments: list[str], words: str) -> None:
    """Exit 2 and a message with the fact and the cure."""
    result = run(*arguments)

    assert result.exit_code == 2
    assert words in result.stderr


def test_a_file_without_a_time_asks_for_one() -> None:
    """A date line in no form that we read: nothing is guessed."""
    data = quote_table(synthetic_chain(200, 1), "S&P").replace("Date: June", "Datum: Juni").encode()

    refused = run("-", stdin=data)
    assert refused.exit_code == 2
    assert "--as-of" in refused.stderr
    assert answer("-", "--as-of", "2025-06-02T10:30", stdin=data)["ts_event_ns"] == ASOF_NS


def test_schwab_chain_with_its_own_quote_times() -> None:
    """Quotes carry their time: as-of is the newest, and the rule says given."""
    got = answer("-", stdin=schwab_file())

    assert got["asof_rule"] == "given"
    assert got["source"] == "schwab-json"
    assert got["ts_event_ns"] % (SECOND_NS // 1000) == 0


@pytest.mark.parametrize("name", ["spx_2024-01-07.csv", "rut_2023-09-21.json"])
def test_real_chains(samples: Path, name: str) -> None:
    """The report of a real file is complete, within its second, and trusted."""
    result = run(str(samples / "chains" / name))

    assert result.exit_code == 0
    assert "high" in result.output


def test_real_evening_file_is_unusable_with_reasons(samples: Path) -> None:
    """Bids of 0: sums are shown, levels are not, and the reasons are named."""
    path = samples / "chains" / "spx_2022-12-12_evening.csv"
    output = run(str(path)).output

    assert "unusable" in output
    assert "coverage_unusable" in output
    assert "1 of 55 forwards by put-call parity" in output


@pytest.mark.parametrize("name", ["chain_AAPL_2025-01-16.json", "chain_SPX_weekend_oi_zero.json"])
def test_real_schwab_chains(samples: Path, name: str) -> None:
    """They are read; a weekend's open interest of 0 is null with a reason, not 0."""
    got = answer(str(samples / "schwab" / name))

    if "weekend" in name:
        assert got["net_gex"] is None
        assert got["null_reasons"]["net_gex"] == "no_oi"
        return
    assert got["put_gex"] < 0
    assert got["call_gex"] == 0
