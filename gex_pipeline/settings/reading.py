"""From the environment's text to Settings; every problem is told at once."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gex_pipeline.errors import SettingsError
from gex_pipeline.settings.discord import Settings
from gex_pipeline.settings.kinds import Value
from gex_pipeline.settings.problem import FALSE, TRUE, problem
from gex_pipeline.settings.registry import Setting, registry
from gex_pipeline.settings.rules import broken_rules
from gex_pipeline.settings.secret import Secret


class Reading(msgspec.Struct, frozen=True):
    """Settings as far as they could be read (defaults elsewhere), and what was wrong.

    `invalid` names the variables whose value was not used; `problems` also holds broken rules.
    """

    settings: Settings
    problems: tuple[str, ...]
    invalid: tuple[str, ...]


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings of this environment, or raise one error with all that is wrong."""
    reading = read(environ)
    if reading.problems:
        raise SettingsError(reading.problems)
    return reading.settings


def read(environ: Mapping[str, str]) -> Reading:
    """Return the settings that could be read and every problem; an empty text means unset."""
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for setting in registry().values():
        text = environ.get(setting.name, "").strip()
        if not text:
            continue
        try:
            values[setting.field] = _value(setting, text)
        except ValueError:  # msgspec.ValidationError is one; its text may hold a secret
            problems[setting.name] = problem(setting, text)
    settings = Settings(**values)
    return Reading(settings, (*problems.values(), *broken_rules(settings)), tuple(problems))


def _value(setting: Setting, text: str) -> Value:
    raw = _raw(setting, text)
    for part in raw if isinstance(raw, list) else [text]:
        if not setting.matches(part):
            raise ValueError(setting.form)
    value: Value = msgspec.convert(raw, setting.kind, strict=False, dec_hook=_from_text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _raw(setting: Setting, text: str) -> str | bool | list[str]:
    """Return the text in the shape that msgspec coerces."""
    if setting.base is bool:
        return _switch(text.lower())
    if setting.is_list:
        return [name.strip() for name in text.split(",") if name.strip()]
    return text if setting.base in (str, int, float, Path, Secret) else text.lower()


def _switch(text: str) -> bool:
    if text not in TRUE + FALSE:
        raise ValueError("neither true nor false")
    return text in TRUE


def _from_text(kind: type, text: str) -> object:
    """Build the kinds that msgspec does not know."""
    if kind is Path:
        return _folder(text)
    if kind is Secret and len(text.split()) == 1:
        return Secret(text)
    raise ValueError("not one word")


def _folder(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError("no such user's home folder") from error
