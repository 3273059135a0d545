"""`gex doctor`: all settings, their source, all problems, no secret."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gex_pipeline.cli import gex
from gex_pipeline.settings import PREFIXES, registry

ROOT = Path(__file__).parents[2]
CANARY = "canary-77ab0"


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder and an environment without our names."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith(PREFIXES)]:
        monkeypatch.delenv(name)


def report(*, code: int, **environ: str) -> dict[str, Any]:
    """Return what doctor says of these variables, once it ended with the code."""
    result = CliRunner().invoke(gex, ["doctor", "--json"], env=environ)
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_a_clean_environment_is_well() -> None:
    """Exit code 0, every setting at its default, the packages with their versions."""
    found = report(code=0)

    assert found["ok"] is True
    assert [each["name"] for each in found["settings"]] == list(registry())
    assert {each["source"] for each in found["settings"]} == {"default"}
    assert found["problems"] == found["unknown"] == []
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))


def test_every_value_has_its_source(tmp_path: Path) -> None:
    """Environment, .env or default; an invalid value says that it is not in use."""
    (tmp_path / ".env").write_text("GEX_HOST=0.0.0.0\nGEX_PORT=9000\n", encoding="utf-8")

    found = report(code=1, GEX_PORT="9001", GEX_DAGSTER_PORT="none")

    settings = {each["name"]: (each["value"], each["source"]) for each in found["settings"]}
    assert settings["GEX_HOST"] == ("0.0.0.0", ".env")  # noqa: S104 # a value, not a socket
    assert settings["GEX_PORT"] == ("9001", "environment")
    assert settings["GEX_SOURCE"] == ("auto", "default")
    assert settings["GEX_DAGSTER_PORT"] == ("3000", "default (invalid in environment)")


def test_problems_of_every_kind_come_together(tmp_path: Path) -> None:
    """A bad line of .env, a bad value and an unknown name in one run, exit code 1."""
    (tmp_path / ".env").write_text("what is this\nGEX_STRANGE_ONE=1\n", encoding="utf-8")

    found = report(code=1, GEX_PORT="none", SCHWAB_SYMBOL="SPY")

    assert [problem.split()[0] for problem in found["problems"]] == ["Line", "GEX_PORT"]
    suggestions = {each["name"]: each["suggestion"] for each in found["unknown"]}
    assert suggestions["SCHWAB_SYMBOL"] == "SCHWAB_SYMBOLS"
    assert "GEX_STRANGE_ONE" in suggestions


def test_secrets_are_set_or_unset() -> None:
    """Valid or not, no secret is printed, as a table or as JSON."""
    secrets = {each.name: CANARY for each in registry().values() if each.secret}
    secrets["GEX_REDIS_URL"] = f"redis://:{CANARY}@127.0.0.1:6379"
    bad = {"SCHWAB_REFRESH_TOKEN": f"{CANARY} {CANARY}"}

    for arguments in (["doctor"], ["doctor", "--json"]):
        result = CliRunner().invoke(gex, arguments, env=secrets | bad)
        assert CANARY not in result.output
        assert result.exit_code == 1


def test_the_table_names_every_setting() -> None:
    """For people: name, value with unit, source; then packages and extras."""
    result = CliRunner().invoke(gex, ["doctor"], env={"GEX_STALE_AFTER_S": "12"})

    assert result.exit_code == 0
    for name in registry():
        assert f"\n{name} " in result.output
    line = next(line for line in result.output.splitlines() if line.startswith("GEX_STALE"))
    assert line.split() == ["GEX_STALE_AFTER_S", "12", "s", "environment"]
    assert "no problem found" in result.output


def test_doctor_as_a_user_starts_it(tmp_path: Path) -> None:
    """A real process, exit code and output."""
    done = subprocess.run(
        [sys.executable, "-m", "gex_pipeline.cli", "doctor", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "GEX_SORCE": "cboe"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["unknown"] == [{"name": "GEX_SORCE", "suggestion": "GEX_SOURCE"}]
