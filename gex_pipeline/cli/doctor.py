"""`gex doctor`: every setting in use, what is wrong with it, and what is installed."""

import platform
import re
from collections.abc import Iterator
from importlib import metadata
from itertools import groupby

import click
import msgspec

from gex_pipeline import __version__
from gex_pipeline.cli.environment import Environment, read_environment
from gex_pipeline.settings import (
    Reading,
    Setting,
    UnknownName,
    read,
    registry,
    unknown_names,
)

DISTRIBUTION = "gex-pipeline"


class SettingInUse(msgspec.Struct, frozen=True):
    """One setting as it stands now; a secret's value is `set` or `unset`."""

    name: str
    value: str
    unit: str
    source: str


class Package(msgspec.Struct, frozen=True):
    """A package that the project or one of its extras asks for; version null: not installed."""

    name: str
    version: str | None


class Report(msgspec.Struct, frozen=True):
    """What `gex doctor` found; `ok` is false when a setting is invalid or a name unknown."""

    ok: bool
    version: str
    python: str
    system: str
    settings: tuple[SettingInUse, ...]
    problems: tuple[str, ...]
    unknown: tuple[UnknownName, ...]
    packages: tuple[Package, ...]
    extras: dict[str, tuple[Package, ...]]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> None:
    """Show every setting with its value and source, all problems, and what is installed.

    Secrets are shown as set or unset. The exit code is 1 when a value is invalid or a name with one
    of our prefixes is unknown.

    \b
    Example:
      gex doctor
      gex doctor --json | jq .problems
    """
    report = examine(read_environment())
    click.echo(msgspec.json.encode(report).decode() if as_json else "\n".join(_lines(report)))
    ctx.exit(0 if report.ok else 1)


def examine(environment: Environment) -> Report:
    """Return the report on this environment and on what is installed."""
    reading, unknown = read(environment.merged), unknown_names(environment.merged)
    problems = environment.problems + reading.problems
    extras = _requirements()
    return Report(
        ok=not problems and not unknown,
        version=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        settings=tuple(_in_use(setting, reading, environment) for setting in registry().values()),
        problems=problems,
        unknown=unknown,
        packages=extras.pop("", ()),
        extras=extras,
    )


def _in_use(setting: Setting, reading: Reading, environment: Environment) -> SettingInUse:
    source = environment.source(setting.name)
    if setting.name in reading.invalid:
        source = f"default (invalid in {source})"
    value = setting.shown(getattr(reading.settings, setting.field))
    return SettingInUse(setting.name, value, setting.unit, source)


def _requirements() -> dict[str, tuple[Package, ...]]:
    """Return what the project asks for by extra; the empty name is the project itself."""
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return {}
    found: dict[str, list[Package]] = {}
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"""extra == ["']([\w-]+)["']""", requirement)
        if name:
            found.setdefault(extra[1] if extra else "", []).append(_package(name[0]))
    return {extra: tuple(packages) for extra, packages in found.items()}


def _package(name: str) -> Package:
    try:
        return Package(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Package(name, None)


def _lines(report: Report) -> Iterator[str]:
    yield f"gex-pipeline {report.version}, Python {report.python}, {report.system}"
    yield from _setting_lines(report.settings)
    yield ""
    yield f"packages: {_listed(report.packages)}"
    for extra, packages in report.extras.items():
        missing = [package.name for package in packages if package.version is None]
        state = f"missing {', '.join(missing)}" if missing else "installed"
        yield f"extra {extra}: {state}"
    yield ""
    yield from (f"problem: {problem}" for problem in report.problems)
    yield from (f"unknown: {name.message()}" for name in report.unknown)
    if report.ok:
        yield "no problem found"


def _setting_lines(settings: tuple[SettingInUse, ...]) -> Iterator[str]:
    names = max(len(setting.name) for setting in settings)
    values = min(40, max(len(setting.value) for setting in settings))
    for _, family in groupby(settings, key=lambda setting: setting.name.split("_")[0]):
        yield ""
        for setting in family:
            value = f"{setting.value} {setting.unit}" if _numeric(setting) else setting.value
            yield f"{setting.name:<{names}}  {value:<{values}}  {setting.source}"


def _numeric(setting: SettingInUse) -> bool:
    return setting.unit not in ("", "port") and setting.value != "unset"


def _listed(packages: tuple[Package, ...]) -> str:
    return (
        ", ".join(f"{each.name} {each.version or 'missing'}" for each in packages)
        or "not installed as a package"
    )
