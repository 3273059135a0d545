"""The dependency rule holds, and a breach of it would be found."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gex_pipeline"
SOURCES = sorted(PACKAGE.rglob("*.py"))
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
ORDERS = re.compile(r"/orders|place_order|replace_order|cancel_order|preview_order", re.IGNORECASE)


def run(script: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Return how a new interpreter ran the script, with nothing of our environment."""
    return subprocess.run(  # noqa: S603 # our own interpreter
        [sys.executable, "-c", script, *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(cwd), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its contract, to break."""
    for package in (PACKAGE, ROOT / "serving"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(package, tmp_path / package.name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_dependency_rule_holds() -> None:
    """Every import, inside functions too, points the way that ARCHITECTURE.md says."""
    done = run(LINT, "--no-logo", "--no-cache")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("exposure/stray.py", "import redis", "The core does no I/O"),
        ("market/stray.py", "def f():\n    import os", "The core does no I/O"),
        ("options/stray.py", "import pathlib", "The core does no I/O"),
        ("exposure/stray.py", "import gex_pipeline.settings", "Only composition roots"),
        ("feeds/stray.py", "from gex_pipeline.settings import load", "Only composition roots"),
        ("feeds/stray.py", "import dagster", "Only definitions and defs know Dagster"),
        ("market/stray.py", "import gex_pipeline.exposure", "Dependencies point inwards"),
        ("feeds/stray.py", "import gex_pipeline.cli", "Dependencies point inwards"),
        ("stray/__init__.py", "", "Dependencies point inwards"),
    ],
)
def test_a_breach_would_be_found(copy: Path, module: str, line: str, contract: str) -> None:
    """A file with a forbidden import breaks the contract that forbids it."""
    path = copy / "gex_pipeline" / module
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{line}\n", encoding="utf-8")

    done = run(LINT, "--no-logo", "--no-cache", cwd=copy)

    assert done.returncode == 1, done.stderr
    assert re.search(rf"{re.escape(contract)}.*BROKEN", done.stdout), done.stdout
    assert "stray" in done.stdout


@pytest.mark.parametrize("package", ["market", "options", "exposure", "quality"])
def test_the_core_loads_no_edge(package: str) -> None:
    """Importing the core brings in no settings, feed, command line or event loop of ours."""
    script = (
        f"import pkgutil, importlib, sys, gex_pipeline.{package} as top\n"
        "for found in pkgutil.walk_packages(top.__path__, top.__name__ + '.'):\n"
        "    importlib.import_module(found.name)\n"
        "ours = {name.split('.')[1] for name in sys.modules if name.startswith('gex_pipeline.')}\n"
        "print(sorted(ours - {'market', 'options', 'exposure', 'quality', 'errors'}))"
    )

    done = run(script)

    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("package", ["market", "options", "exposure", "quality"])
def test_the_core_opens_and_prints_nothing(package: str) -> None:
    """What needs no import, import-linter cannot see: open, print, input."""
    for path in (PACKAGE / package).rglob("*.py"):
        calls = (
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        )
        names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
        assert not names & {"open", "print", "input", "exec", "eval", "__import__"}, path


def test_the_command_line_starts_light() -> None:
    """`import gex_pipeline.cli` loads neither numbers nor orchestration."""
    heavy = ("numpy", "scipy", "pandas", "polars", "duckdb", "dagster", "litestar", "redis")

    done = run(f"import sys, gex_pipeline.cli; print([m for m in {heavy} if m in sys.modules])")

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_importing_a_module_does_nothing() -> None:
    """No output, no change of the environment, no thread, from any module."""
    script = (
        "import importlib, os, pkgutil, threading, gex_pipeline as top\n"
        "import polars  # sets its allocator's environment itself\n"
        "before = dict(os.environ)\n"
        "for found in pkgutil.walk_packages(top.__path__, top.__name__ + '.'):\n"
        "    importlib.import_module(found.name)\n"
        "assert dict(os.environ) == before\n"
        "assert threading.active_count() == 1\n"
    )

    done = run(script)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_no_source_may_hold(path: Path) -> None:
    """No postponed annotations (they break Dagster and Litestar), no way to place an order."""
    text = path.read_text(encoding="utf-8")

    assert "from __future__ import annotations" not in text
    assert not ORDERS.search(text)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_of_modules(path: Path) -> None:
    """A module is a noun of the subject, not a drawer."""
    assert path.stem not in {"utils", "util", "helpers", "common", "manager", "misc"}
