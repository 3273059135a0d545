"""What every act of a script has: a name, a moment and how long it lasts."""

import msgspec


class Act(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="verb",
    tag=str.lower,
    forbid_unknown_fields=True,
):
    """Something that happens; `verb` in JSON is the class's name."""

    at: str = ""
    """New York time, 09:35 or 2026-11-20T09:35:10; "": now."""
    for_s: float | None = None
    """Market seconds; None: from then on."""
