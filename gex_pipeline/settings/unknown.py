"""Names that look like ours and are none: mostly typing mistakes."""

import difflib
from collections.abc import Iterable

import msgspec

from gex_pipeline.settings.registry import PREFIXES, registry


class UnknownName(msgspec.Struct, frozen=True):
    """A variable with one of our prefixes that no part of the project reads."""

    name: str
    suggestion: str | None

    def message(self) -> str:
        """Return the fact and its cure."""
        cure = f"Did you mean {self.suggestion}?" if self.suggestion else "Remove it."
        return f"{self.name} is no setting of this project. {cure} docs/settings.md lists all."


def unknown_names(names: Iterable[str]) -> tuple[UnknownName, ...]:
    """Return the unknown ones among these names (an environment will do), sorted.

    Names in another case are unknown too: the environment tells cases apart.
    """
    known = registry()
    ours = (name for name in names if name.upper().startswith(PREFIXES) and name not in known)
    return tuple(UnknownName(name, _suggestion(name.upper())) for name in sorted(ours))


def _suggestion(name: str) -> str | None:
    close = difflib.get_close_matches(name, registry(), n=1, cutoff=0.7)
    return close[0] if close else None
