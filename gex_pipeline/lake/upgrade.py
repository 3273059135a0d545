"""What older files of the lake lack or name otherwise, so that they read as today's do.

A change of a table's columns raises LAKE_SCHEMA_VERSION (market/tables.py) and adds a line to
CHANGES; files stay as they were written. SQL and frames both ask here, and so see the same columns.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gex_pipeline.market.tables import TABLES, Table


class Change(msgspec.Struct, frozen=True):
    """What one version changed in one table."""

    version: int
    """The first that has it."""
    table: str
    added: tuple[str, ...] = ()
    """Columns that older files lack: they read as null."""
    renamed: Mapping[str, str] = {}
    """New name to old name."""


_COVERAGE: Final = (
    "streamed_share",
    "parity_share",
    "quote_age_s",
    "windows",
    "windows_complete",
    "reasons",
)
CHANGES: Final = (
    Change(2, "gex", added=("gap_s",)),
    Change(3, "quotes", added=("contract",)),
    *(Change(3, table, added=_COVERAGE) for table in ("gex", "gex_1m", "gex_recomputed")),
    *(Change(4, table, added=("streamed",)) for table in ("quotes", "trades")),
)
"""Version 2 also brought tables that version 1 did not write: heartbeats, ledger and so on; version
3 level_changes and basis."""


def stored_names(
    table: Table, version: int, changes: Sequence[Change] = CHANGES
) -> dict[str, str | None]:
    """Return the name that each column of today has in files of a version; None: they lack it."""
    names: dict[str, str | None] = {column.name: column.name for column in table.columns}
    newer = [each for each in changes if each.table == table.name and each.version > version]
    for change in sorted(newer, key=lambda each: each.version, reverse=True):
        for column, stored in names.items():
            if stored in change.added:
                names[column] = None
            elif stored is not None:
                names[column] = change.renamed.get(stored, stored)
    return names


def is_current(table: str, version: int, changes: Sequence[Change] = CHANGES) -> bool:
    """Return whether files of a version have all columns of today under their names."""
    return all(
        stored == name for name, stored in stored_names(TABLES[table], version, changes).items()
    )
