"""Events of one part as rows of the lake's tables."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from gex_pipeline.lake.columns import write_rows
from gex_pipeline.market.events import Event, tag_of
from gex_pipeline.market.tables import EVENT_TABLES, TABLES


class Origin(msgspec.Struct, frozen=True):
    """Columns that the rows of one part share."""

    source: str
    mode: str
    tape: str


class Rows:
    """The rows of a part that is being gathered, by table."""

    def __init__(self, origin: Origin) -> None:
        self._shared = {name: getattr(origin, name) for name in origin.__struct_fields__}
        self._tables: dict[str, list[dict[str, Any]]] = {}
        self.events = 0

    def add(self, events: Iterable[Event], **identity: object) -> None:
        """Take the events of a frame; `identity` is its epoch and session date."""
        shared = self._shared | identity
        for event in events:
            self.events += 1
            table = EVENT_TABLES[tag_of(event)]
            fields = {name: getattr(event, name) for name in event.__struct_fields__}
            self._tables.setdefault(table.name, []).append(shared | fields)

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        return {name: len(rows) for name, rows in self._tables.items()}

    def writers(self) -> dict[str, Callable[[Path], None]]:
        """Return what writes each table's file to a path."""
        return {
            name: partial(write_rows, TABLES[name], rows) for name, rows in self._tables.items()
        }
