"""Words for a value that does not fit: the variable, what is wrong, and the cure."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from gex_pipeline.settings.kinds import FORMS
from gex_pipeline.settings.registry import Setting
from gex_pipeline.settings.secret import Secret

TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")


def problem(setting: Setting, text: str) -> str:
    """Return what to tell the operator about this text; a secret's text is left out."""
    value = "a value that is not shown" if setting.secret else repr(text)
    cure = f"Correct {setting.name} in the environment or .env, or unset it"
    default = (
        "" if setting.default in (None, ()) else f" (default {setting.shown(setting.default)})"
    )
    return f"{setting.name} is {value}; expected {expected(setting)}. {cure}{default}."


def expected(setting: Setting) -> str:
    """Return in words what the setting takes: `a whole number from 1 to 500`."""
    if setting.is_list:
        each = FORMS[setting.form][1] if setting.form else "names"
        return f"{each}, separated by commas"
    if setting.form:
        return FORMS[setting.form][1]
    if get_origin(setting.base) is Literal:
        return "one of " + ", ".join(get_args(setting.base))
    return _noun(setting.base) + _range(setting.bounds)


def _noun(base: Any) -> str:
    nouns: dict[Any, str] = {
        bool: f"one of {', '.join(TRUE + FALSE)}",
        int: "a whole number",
        float: "a number",
        Path: "a path",
        Secret: "one word without blanks or line breaks",
    }
    return nouns.get(base, "text")


def _range(bounds: dict[str, float]) -> str:
    words = {"ge": "from", "gt": "above", "le": "to"}
    return "".join(f" {words[name]} {limit:g}" for name, limit in bounds.items())
