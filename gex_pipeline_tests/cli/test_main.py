"""`gex` itself: quick, lazy, and one line for each of our errors."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import gex_pipeline.cli
from gex_pipeline import __version__
from gex_pipeline.cli import COMMANDS, gex
from gex_pipeline.cli.environment import read_environment, service_settings
from gex_pipeline.cli.group import LazyCommand, LazyGroup
from gex_pipeline.errors import ChainFileError, GexError, SettingsError

ROOT = Path(__file__).parents[2]
GEX = [sys.executable, "-m", "gex_pipeline.cli"]


class NeedsPersonError(GexError):
    """Stands for the errors that only a person can cure."""

    exit_code = 3


@click.command()
@click.argument("how")
def failing(how: str) -> None:
    """Fail in the way that is asked for."""
    raise {
        "input": ChainFileError("a photo\nof a cat"),
        "answer": GexError("The check failed. Look again."),
        "person": NeedsPersonError("Sign in again."),
        "pipe": BrokenPipeError(),
    }[how]


def group_of_failing() -> LazyGroup:
    """Return a group with one command, which fails."""
    return LazyGroup("gex", {"fail": LazyCommand(__name__, "failing", "Fails.")}, help="A test.")


@pytest.mark.parametrize(("how", "code"), [("input", 2), ("answer", 1), ("person", 3)])
def test_our_errors_are_one_line_and_their_own_exit_code(how: str, code: int) -> None:
    """Nothing on stdout, one line on stderr, no traceback."""
    result = CliRunner().invoke(group_of_failing(), ["fail", how])

    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("Error: ")


def test_wrong_usage_is_exit_code_2_and_names_a_close_command() -> None:
    """A mistyped command is answered with the one that was meant."""
    result = CliRunner().invoke(gex, ["levls"])

    assert result.exit_code == 2
    assert "Did you mean 'levels'?" in result.stderr


def test_help_lists_every_command_and_imports_none() -> None:
    """The list is made from the registration alone."""
    broken = {**COMMANDS, "broken": LazyCommand("gex_pipeline.no_such", "x", "Not there.")}

    result = CliRunner().invoke(LazyGroup("gex", broken, help="A test."), ["--help"])

    assert result.exit_code == 0
    for name, command in broken.items():
        assert name in result.output
        assert command.summary in result.output


def test_help_loads_no_numbers() -> None:
    """`gex --help` answers in 0.3 s because it imports neither numpy, scipy nor Dagster."""
    script = (
        "import sys, runpy; sys.argv = ['gex', '--help']\n"
        "try: runpy.run_module('gex_pipeline.cli', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'scipy', 'dagster') if m in sys.modules])"
    )

    done = subprocess.run(  # noqa: S603 # our own interpreter
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert done.stdout.splitlines()[-1] == "[]"


def test_version() -> None:
    """`gex --version` is the package's."""
    assert CliRunner().invoke(gex, ["--version"]).output == f"gex {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"]])
def test_a_reader_that_has_gone_is_no_error(arguments: list[str]) -> None:
    """`gex … | head -0` ends quietly, with the code of a process that SIGPIPE ended."""
    read_end, write_end = os.pipe()
    os.close(read_end)

    done = subprocess.run(  # noqa: S603 # our own interpreter
        [*GEX, *arguments], stdout=write_end, stderr=subprocess.PIPE, check=False, cwd=ROOT
    )
    os.close(write_end)

    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("4", "4")])
def test_main_pins_numeric_threads(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    """One thread each, unless the user chose another number."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    for name in names:
        monkeypatch.setenv(name, before or "")
        if before is None:
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", ["gex", "--version"])

    with pytest.raises(SystemExit) as end:
        gex_pipeline.cli.main()

    assert end.value.code == 0
    assert [os.environ[name] for name in names] == [after] * 3


def test_environment_is_the_process_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each value knows its source."""
    (tmp_path / ".env").write_text("GEX_PORT=1\nGEX_HOST=a\n", encoding="utf-8")
    monkeypatch.setenv("GEX_PORT", "2")

    environment = read_environment(tmp_path)

    assert environment.merged["GEX_PORT"] == "2"
    assert environment.merged["GEX_HOST"] == "a"
    sources = [environment.source(name) for name in ("GEX_PORT", "GEX_HOST", "GEX_SOURCE")]
    assert sources == ["environment", ".env", "default"]


def test_an_environment_shows_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds secrets as plain text, so its repr is only a count."""
    monkeypatch.setenv("DISCORD_BOT_TOKEN", "canary-91d2")

    assert "canary-91d2" not in repr(read_environment())


def test_an_unreadable_env_file_is_told(tmp_path: Path) -> None:
    """Bytes that are no text are a problem with a cure, not a traceback."""
    (tmp_path / ".env").write_bytes(b"GEX_HOST=\xff\xfe")

    (problem,) = read_environment(tmp_path).problems

    assert "UTF-8" in problem


def test_a_service_warns_of_unknown_names_and_a_dry_run_refuses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same message: a warning at start, an error with `strict`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEX_SORCE", "cboe")

    assert service_settings(strict=False).gex_source == "auto"
    assert "Did you mean GEX_SOURCE?" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="GEX_SOURCE"):
        service_settings(strict=True)
