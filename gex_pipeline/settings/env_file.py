"""The `.env` file: read, never written."""

import re
from collections.abc import Mapping
from typing import Final

from gex_pipeline.errors import SettingsError

LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
QUOTED: Final = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:\#.*)?""")
ESCAPES: Final = {"n": "\n", "t": "\t"}


def read_env_file(text: str) -> dict[str, str]:
    """Return name and value of each line, or raise one error with every line that is none."""
    values, problems = scan_env_file(text)
    if problems:
        raise SettingsError(problems)
    return values


def scan_env_file(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return name and value of each line, and a problem for each line that has none.

    Comments, blank lines, `export`, quotes and a byte-order mark are understood; `${…}` is not
    replaced; a name given twice has its last value. Problems give line numbers, never the text,
    because it may hold a secret.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = LINE.fullmatch(stripped)
        value = _value(match[2]) if match else None
        if match is None or value is None:
            problems.append(f"Line {number} of .env is not NAME=value, quotes closed. Correct it.")
        else:
            values[match[1]] = value
    return values, tuple(problems)


def with_env_file(environ: Mapping[str, str], file: Mapping[str, str]) -> dict[str, str]:
    """Return the file's values under the environment's own; an empty one of those is unset."""
    return {**file, **{name: value for name, value in environ.items() if value.strip()}}


def _value(text: str) -> str | None:
    """Return the value behind the equals sign, or None if a quote is not closed."""
    if not text.startswith(("'", '"')):
        return re.sub(r"(^|\s)#.*", "", text).strip()
    match = QUOTED.fullmatch(text)
    if match is None:
        return None
    if match[1] is not None:
        return match[1]
    return re.sub(r"\\(.)", lambda escape: ESCAPES.get(escape[1], escape[1]), match[2])
