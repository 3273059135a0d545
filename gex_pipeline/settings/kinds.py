"""The kinds of values that a setting can have, and what is said about each one."""

from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta

from gex_pipeline.settings.secret import Secret

Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Names = tuple[str, ...]
SomeNames = Annotated[tuple[str, ...], Meta(min_length=1)]
Source = Literal["auto", "schwab", "tastytrade", "cboe", "simulator"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "text", "json"]

Value = bool | int | float | str | Path | Secret | tuple[str, ...] | None

FORMS: Final = {
    "web": (r"https?://[^\s/]+\S*", "an http:// or https:// address"),
    "redis": (r"(rediss?|unix)://\S+", "a redis://, rediss:// or unix:// address"),
    "id": (r"\d+", "digits (Discord: right-click, Copy ID)"),
    "clock": (r"([01]\d|2[0-3]):[0-5]\d", "a time of day like 09:35"),
    "channel": (r"[^\s{}]+", "a channel name without blanks or braces"),
    "pair": (r"[^\s=]+=[^\s=]+", "pairs like NAME=VALUE"),
}
"""What a text, a secret or each name of a list must match, and how that is said."""


def about(meaning: str, unit: str = "", *, form: str = "") -> Meta:
    """Return what the documents say of a setting; `form` is a key of FORMS.

    The pattern of a form is not msgspec's own: that one neither applies to a Secret nor keeps the
    value out of its message.
    """
    return Meta(description=meaning, extra={"unit": unit, "form": form})
