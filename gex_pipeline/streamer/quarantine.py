"""What could not be used, kept as it came with the reason, a line each: <root>/quarantine/.

The ledger has the counts of all of it; what is kept is bounded, so that a source gone mad fills no
disk: some lines a minute, some megabytes a day, some days.
"""

import logging
from pathlib import Path

import msgspec

from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.quality.ledger import MINUTE_NS

LINES_A_MINUTE = 100
FILE_BYTES = 8 * 1024 * 1024
FILES = 30
LONGEST = 4_096
"""Bytes of one item that are kept."""
EXPECTED = frozenset({"index_quote", "empty", "no_price"})
"""Reasons that say nothing bad of the source; counted and not kept."""

log = logging.getLogger(__name__)


class Quarantine:
    """Appends to one file per New York date."""

    def __init__(self, folder: Path) -> None:
        self.kept = 0
        self._folder = folder
        self._minute = -1
        self._lines = 0
        self._failed = False

    def put(self, ts_recv_ns: int, table: str, reason: str, item: str | bytes) -> None:
        """Keep an item, if there is room for one more now."""
        if reason in EXPECTED or not self._has_room(ts_recv_ns):
            return
        text = item[:LONGEST]
        line = msgspec.json.encode(
            {
                "ts_recv_ns": ts_recv_ns,
                "table": table,
                "reason": reason,
                "bytes": len(item),
                "item": text if isinstance(text, str) else text.decode(errors="replace"),
            }
        )
        try:
            self._append(ts_recv_ns, line + b"\n")
        except OSError as error:
            if not self._failed:
                log.warning("the quarantine cannot be written: %s", error)
            self._failed = True

    def _has_room(self, ts_recv_ns: int) -> bool:
        minute = ts_recv_ns // MINUTE_NS
        if minute != self._minute:
            self._minute, self._lines = minute, 0
        self._lines += 1
        return self._lines <= LINES_A_MINUTE

    def _append(self, ts_recv_ns: int, line: bytes) -> None:
        path = self._folder / f"{et_datetime(ts_recv_ns).date()}.jsonl"
        if not path.exists():
            self._begin(path)
        if path.stat().st_size + len(line) > FILE_BYTES:
            return
        with path.open("ab") as file:
            file.write(line)
        self.kept += 1

    def _begin(self, path: Path) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        for old in sorted(self._folder.glob("*.jsonl"))[:-FILES]:
            old.unlink(missing_ok=True)
