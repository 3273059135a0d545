"""The documents say what the code does."""

import inspect
import itertools
import re
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest

from gex_pipeline.cli import COMMANDS, gex
from gex_pipeline.exposure.change import Change, Changes
from gex_pipeline.exposure.coverage import Coverage, Factors, Forwards, Live
from gex_pipeline.exposure.crossings import Flip
from gex_pipeline.exposure.futures import InForce
from gex_pipeline.exposure.levels import ExpectedMove, Level, Walls
from gex_pipeline.exposure.scopes import NAMES
from gex_pipeline.exposure.snapshot import (
    ExpiryRow,
    Exposure,
    GexSnapshot,
    Raw,
    StrikeRow,
    VendorCheck,
)
from gex_pipeline.feeds.schwab.decode import Reason
from gex_pipeline.gateway.answer import FuturePrice
from gex_pipeline.hot.keys import Keys
from gex_pipeline.quality.rules import RULES, Rule
from gex_pipeline.settings import PREFIXES, read, read_env_file, registry
from gex_pipeline_tests.gateway.market import make_gateway, make_past
from gex_pipeline_tests.generate_docs import documents
from serving.app import build_app
from serving.hosts import known_hosts

ROOT = Path(__file__).parents[1]


def text_of(*names: str) -> str:
    """Return the texts of those of the files that exist."""
    return "\n".join(
        (ROOT / name).read_text(encoding="utf-8") for name in names if (ROOT / name).exists()
    )


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_generated_documents_are_up_to_date(path: Path) -> None:
    """Made anew they are the same; else run python -m gex_pipeline_tests.generate_docs."""
    assert path.read_text(encoding="utf-8") == documents()[path]


@pytest.mark.parametrize("name", ["docs/settings.md", ".env.example"])
def test_every_setting_is_documented(name: str) -> None:
    """By name and meaning."""
    text = text_of(name)

    for setting in registry().values():
        assert setting.name in text
        assert setting.meaning in text


def test_env_example_is_a_valid_env_file_with_every_mark_taken_off() -> None:
    """A user who takes the marks off gets the defaults, and no secret comes with it."""
    lines = text_of(".env.example").splitlines()
    values = read_env_file(
        "\n".join(
            line[1:]
            for line in lines
            if line.startswith(tuple(f"#{prefix}" for prefix in PREFIXES))
        )
    )

    assert read(values).problems == ()
    assert all(not values.get(each.name) for each in registry().values() if each.secret)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    """README.md or docs/commands.md names it."""
    assert f"gex {name}" in text_of("README.md", "docs/commands.md")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps_with_an_example(name: str) -> None:
    """`gex COMMAND --help` shows how the command is called."""
    command = gex.get_command(click.Context(gex), name)

    assert command is not None
    assert f"gex {name}" in (command.help or "")


@pytest.mark.parametrize("name", ["README.md", "docs/conventions.md"])
def test_examples_run(name: str) -> None:
    """The Python blocks of a page run from top to bottom, and what they assert holds."""
    namespace: dict[str, object] = {}
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", text_of(name), re.DOTALL)):
        exec(compile(block, f"{name}, block {number + 1}", "exec"), namespace)  # noqa: S102 # ours


@pytest.mark.parametrize(
    "shape",
    [
        GexSnapshot,
        Exposure,
        Coverage,
        Factors,
        Forwards,
        Flip,
        Walls,
        Level,
        ExpectedMove,
        StrikeRow,
        ExpiryRow,
        VendorCheck,
        Raw,
        InForce,
        FuturePrice,
        Live,
        Change,
        Changes,
    ],
)
def test_every_number_of_the_payload_is_explained(shape: type[msgspec.Struct]) -> None:
    """docs/conventions.md names each field of the snapshot and of what it holds."""
    text = text_of("docs/conventions.md")
    missing = [field for field in shape.__struct_fields__ if not re.search(rf"[`.]{field}`", text)]

    assert missing == []


@pytest.mark.parametrize("scope", NAMES)
def test_every_scope_is_explained(scope: str) -> None:
    """docs/conventions.md defines each scope."""
    assert f"`{scope}`" in text_of("docs/conventions.md")


def test_every_route_is_documented(tmp_path: Path) -> None:
    """docs/api.md names each address that the application answers."""
    app = build_app(
        make_gateway("redis://127.0.0.1:1", tmp_path),
        known_hosts("127.0.0.1", ()),
        make_past(tmp_path),
    )
    text = text_of("docs/api.md")
    paths = {re.sub(r":\w+}", "}", route.path) for route in app.routes} - {
        "/favicon.ico",
        "/schema/{path}",
    }

    assert [path for path in paths if f"`{path}`" not in text] == []


def test_every_key_of_the_hot_store_is_documented() -> None:
    """docs/hot-store.md names each key and channel as the code spells it."""
    keys, text = Keys(), text_of("docs/hot-store.md")
    missing = []
    for name, member in inspect.getmembers(Keys):
        if name.startswith("_") or name == "prefix":
            continue
        if not callable(member):
            spelled = getattr(keys, name)
        else:
            words = [word for word in inspect.signature(member).parameters if word != "self"]
            spelled = member(keys, *(f"{{{word}}}" for word in words))
            spelled = spelled.replace("{{", "{").replace("}}", "}")
        missing += [spelled] if f"`{spelled}`" not in text else []

    assert missing == []


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_every_rule_of_quality_is_documented(rule: Rule) -> None:
    """docs/quality.md has its name, its meaning and the share above which it fails."""
    share = f"{100 * rule.fail_above:g}%" if rule.fail_above else "0"
    rows = [
        line for line in text_of("docs/quality.md").splitlines() if f"| `{rule.name}` |" in line
    ]

    assert len(rows) == 1
    assert rule.meaning.rstrip(".") in rows[0]
    assert rows[0].endswith(f"| {share} |")


def test_every_reason_of_a_refusal_is_documented() -> None:
    """docs/quality.md says what each one means."""
    text = text_of("docs/quality.md")
    reasons = {*get_args(Reason), "multiplier", "adjusted", "codec", "asked_again"}

    assert [reason for reason in reasons if f"`{reason}`" not in text] == []


def test_what_usually_goes_wrong_has_a_test_each() -> None:
    """docs/schwab.md names for each pain tests that exist."""
    part = text_of("docs/schwab.md").split("## What usually goes wrong")[1].split("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`([\w/]+\.py)::(\w+)`", row) for row in rows]
    missing = [
        f"{path}::{name}"
        for path, name in itertools.chain(*named)
        if f"def {name}(" not in text_of(f"gex_pipeline_tests/{path}")
    ]

    assert [row for row, tests in zip(rows, named, strict=True) if not tests] == []
    assert (len(rows), missing) == (15, [])
