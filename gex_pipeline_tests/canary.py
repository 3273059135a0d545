"""Secrets of the test run, and where they may be: anywhere else they have leaked.

The simulator's tokens begin with words of their own, and the tests' client secret and refresh token
are canaries; so whatever a run writes can be searched for them: logs, status hashes and streams of
the hot store's append-only file, Dagster's database, captures, error bodies, the tape.
"""

import logging
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gex_pipeline.errors import GexError
from gex_pipeline.hot.batch import plain_batch
from gex_pipeline.hot.segment import scan

CLIENT_SECRET: Final = "canary-secret-7d41c0aa95e3"  # noqa: S105 # a canary
REFRESH_TOKEN: Final = "canary-refresh-52b8e90f1a6c"  # noqa: S105 # a canary
SECRETS: Final = re.compile(
    rb"canary-secret-7d41c0aa95e3|canary-refresh-52b8e90f1a6c|sim-(?:access|refresh)\.\d"
    rb"|simulated-customer|51a0c0de-0000-4000-8000-000000000001"
)
"""The simulator's tokens are sim-access.<issued>.… and sim-refresh.<issued>.…; then its ids of the
customer, which Schwab's answers repeat.
"""
_HOMES: Final = ("tokens", ".tokens")
"""Folders that hold tokens by right."""
_ALLOWED: Final = re.compile(
    r"\.env(\.back)?|\.?(schwab_tokens?|access_token|refresh_token)\.(json|db).*|.*\.pyc?"
)
"""Files that hold them by right wherever a test puts them: copied sources too, the simulator's."""
_FORMATTER: Final = logging.Formatter()


class Listener(logging.Handler):
    """Hears every log record of the test process."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note a record that shows a secret."""
        traceback = _FORMATTER.formatException(record.exc_info) if record.exc_info else ""
        said = f"{record.getMessage()} {traceback}".encode()
        if SECRETS.search(said):
            self.leaks.append(f"log of {record.name}: line {record.lineno} of {record.pathname}")


def leaks(folder: Path) -> Iterator[str]:
    """Yield the files below a folder that show a secret and may not."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or _is_home(path.relative_to(folder)):
            continue
        if _shows(path):
            yield str(path.relative_to(folder))


def _is_home(path: Path) -> bool:
    return bool(_ALLOWED.fullmatch(path.name)) or any(part in _HOMES for part in path.parts[:-1])


def _shows(path: Path) -> bool:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if SECRETS.search(data):
                return True
    except (OSError, ValueError):  # gone in between, or empty
        return False
    return path.suffix == ".seg" and any(map(SECRETS.search, _events(path.read_bytes())))


def _events(data: bytes) -> Iterator[bytes]:
    """Yield what a spool segment's frames hold, without their compression."""
    for start, header in scan(data, -1):
        payload = data[start + header.payload_start : start + header.size]
        try:
            yield plain_batch(payload)
        except GexError:  # a test damaged it
            continue
