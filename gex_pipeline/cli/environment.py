"""The environment as commands get it: the process's own, over `.env` of the working folder."""

import os
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from gex_pipeline.errors import SettingsError
from gex_pipeline.settings import Settings, read, scan_env_file, unknown_names, with_env_file

ENV_FILE = ".env"


class Environment(msgspec.Struct, frozen=True):
    """Names and values, with where each came from and what was wrong with `.env`."""

    own: Mapping[str, str]
    file: Mapping[str, str]
    problems: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Environment({len(self.own)} names, {len(self.file)} in .env)"  # values: secrets

    @property
    def merged(self) -> dict[str, str]:
        """Values by name, the process's own first."""
        return with_env_file(self.own, self.file)

    def source(self, name: str) -> str:
        """Return where a setting's value comes from: environment, .env or default."""
        if self.own.get(name, "").strip():
            return "environment"
        return ENV_FILE if self.file.get(name, "").strip() else "default"


def read_environment(folder: Path | None = None) -> Environment:
    """Return the environment of this process and `.env` of the folder (the working folder)."""
    own = dict(os.environ)
    try:
        text = ((folder or Path.cwd()) / ENV_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return Environment(own, {})
    except (OSError, UnicodeDecodeError) as error:
        why = type(error).__name__
        return Environment(own, {}, (f"{ENV_FILE} cannot be read ({why}). Make it UTF-8 text.",))
    return Environment(own, *scan_env_file(text))


def service_settings(*, strict: bool) -> Settings:
    """Return a service's settings; unknown names are told, or refused if `strict` (dry runs)."""
    environment = read_environment()
    reading = read(environment.merged)
    unknown = tuple(name.message() for name in unknown_names(environment.merged))
    problems = environment.problems + reading.problems + (unknown if strict else ())
    for message in () if strict else unknown:
        click.echo(f"Warning: {message}", err=True)
    if problems:
        raise SettingsError(problems)
    return reading.settings
