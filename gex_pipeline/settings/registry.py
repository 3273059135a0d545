"""What is known of every setting, read off its declaration: the source of the documents."""

import re
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from gex_pipeline.settings.discord import Settings
from gex_pipeline.settings.kinds import FORMS, Value
from gex_pipeline.settings.secret import Secret

PREFIXES = ("GEX_", "SCHWAB_", "TASTYTRADE_", "GEXBOT_", "SIERRA_", "CBOE_", "DISCORD_")
"""Of environment names that belong to this project."""


class Setting(msgspec.Struct, frozen=True):
    """One setting: its variable, what it means and which values it takes."""

    name: str
    meaning: str
    unit: str
    default: Value
    kind: Any  # a type or special form, as msgspec.convert takes it
    form: str
    bounds: dict[str, float]

    @property
    def field(self) -> str:
        """Name of the field of Settings."""
        return self.name.lower()

    @property
    def secret(self) -> bool:
        """Whether the value must never be shown."""
        return self.kind is Secret

    @property
    def family(self) -> str:
        """Prefix that it is listed under."""
        return "GEX_FEED_" if self.name.startswith("GEX_FEED_") else self.name.split("_")[0] + "_"

    @property
    def is_list(self) -> bool:
        """Whether it takes several names, separated by commas."""
        return get_origin(_bare(self.kind)) is tuple

    @property
    def base(self) -> Any:
        """Kind without its bounds."""
        return _bare(self.kind)

    def matches(self, text: str) -> bool:
        """Whether one name or text has the form that the setting asks for."""
        return not self.form or re.fullmatch(FORMS[self.form][0], text) is not None

    def shown(self, value: Value) -> str:
        """Return the value as the environment would spell it; a secret only as set or unset."""
        if value is None or value == ():
            return "unset"
        if isinstance(value, Secret):
            return "set"
        if isinstance(value, tuple):
            return ",".join(value)
        if isinstance(value, bool):
            return str(value).lower()
        return f"{value:g}" if isinstance(value, float) else str(value)


@cache
def registry() -> dict[str, Setting]:
    """Return every setting by the name of its variable, in the order of declaration."""
    return {field.name.upper(): _setting(field) for field in msgspec.structs.fields(Settings)}


def _setting(field: msgspec.structs.FieldInfo) -> Setting:
    *_, told = field.type.__metadata__
    kind = _required(field.type)
    return Setting(
        name=field.name.upper(),
        meaning=told.description,
        unit=told.extra["unit"],
        form=told.extra["form"],
        default=field.default,
        kind=kind,
        bounds=_bounds(kind),
    )


def _required(declared: Any) -> Any:
    """Return the kind of a value that is there: without `| None` and without words about it."""
    bare = _bare(declared)
    if get_origin(bare) in (Union, UnionType):
        return next(part for part in get_args(bare) if part is not NoneType)
    limits = [meta for meta in declared.__metadata__ if meta.description is None]
    return Annotated[bare, *limits] if limits else bare


def _bounds(kind: Any) -> dict[str, float]:
    metas = getattr(kind, "__metadata__", ())
    every = ((name, getattr(meta, name)) for meta in metas for name in ("ge", "gt", "le"))
    return {name: limit for name, limit in every if limit is not None}


def _bare(kind: Any) -> Any:
    return kind.__origin__ if get_origin(kind) is Annotated else kind
