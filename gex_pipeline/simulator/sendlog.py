"""What was sent, item by item: the truth that tests compare a tape with.

One JSON line per stream item and per chain answer. Files roll by size, the oldest go: the newest
gigabyte is kept. A line is written when the send has returned; only a disconnect in that moment can
leave a sent item without a line, or a line whose item was lost on the way.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

import msgspec

_ROLL_BYTES: Final = 64 * 2**20
_KEPT_FILES: Final = 16


class SendLog:
    """Appends to `sendlog-<number>.jsonl`; a restart begins the next file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._encode = msgspec.json.Encoder().encode
        self._number = max(map(_number, self._files()), default=0)
        self._file: TextIO | None = None
        self._size = 0
        self.items = 0
        """Lines since the process started."""

    def write(
        self,
        ts_ns: int,
        service: str,
        entries: Sequence[tuple[str, object]],
        stream: int,
        fault: str = "",
    ) -> None:
        """Append a line per (key, fields); `stream` counts connections, 0 is REST.

        `fault`: what was done to the frame, so that nobody can have read it.
        """
        also = {"fault": fault} if fault else {}
        common = {"ts_ns": ts_ns, "service": service, "stream": stream} | also
        lines = "".join(
            self._encode({**common, "key": key, "fields": fields}).decode() + "\n"
            for key, fields in entries
        )
        file = self._open()
        file.write(lines)
        file.flush()
        self._size += len(lines)
        self.items += len(entries)

    def close(self) -> None:
        """Close the file in use."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> TextIO:
        if self._file is None or self._size >= _ROLL_BYTES:
            self.close()
            self._number += 1
            self._size = 0
            name = f"sendlog-{self._number:06d}.jsonl"
            self._file = (self._folder / name).open("a", encoding="utf-8")
            for path in self._files()[:-_KEPT_FILES]:
                path.unlink(missing_ok=True)
        return self._file

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("sendlog-*.jsonl"))


def _number(path: Path) -> int:
    digits = path.stem.removeprefix("sendlog-")
    return int(digits) if digits.isdigit() else 0
