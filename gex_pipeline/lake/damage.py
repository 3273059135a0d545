"""Damaged files: missing, cut short or altered. A reader names them; it never skips in silence."""

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from gex_pipeline.lake.durable import checksum
from gex_pipeline.lake.files import LakeFile


class Damage(msgspec.Struct, frozen=True):
    """A file that the lake names and that cannot be used."""

    table: str
    tape: str
    date: datetime.date
    path: Path
    rows: int
    """That it should hold."""
    problem: str

    def __str__(self) -> str:
        """Return it for a person."""
        return f"{self.table} of {self.date} ({self.rows} rows): {self.path} {self.problem}"


def gone(files: Iterable[LakeFile]) -> tuple[Damage, ...]:
    """Return those that are not there, or not as long as they were; it costs next to nothing."""
    return tuple(_each(files, _absent))


def damaged(files: Iterable[LakeFile]) -> tuple[Damage, ...]:
    """Read every byte of the files and return those that are not what was written."""
    return tuple(_each(files, lambda file: _absent(file) or _altered(file)))


def blamed(message: str, files: Sequence[LakeFile]) -> tuple[Damage, ...]:
    """Return the damaged files behind an engine's message: the one that it names, else any."""
    return damaged([file for file in files if str(file.path) in message]) or damaged(files)


def united(*found: Iterable[Damage]) -> tuple[Damage, ...]:
    """Return all of them, each file once."""
    return tuple({each.path: each for some in found for each in some}.values())


def _each(files: Iterable[LakeFile], check: Callable[[LakeFile], str | None]) -> Iterator[Damage]:
    for file in files:
        problem = check(file)
        if problem:
            yield Damage(file.table, file.tape, file.date, file.path, file.rows, problem)


def _absent(file: LakeFile) -> str | None:
    try:
        size = file.path.stat().st_size
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    if file.bytes is not None and size != file.bytes:
        return f"has {size} bytes and had {file.bytes}"
    return None


def _altered(file: LakeFile) -> str | None:
    try:
        if file.checksum is not None:
            return (
                None
                if checksum(file.path) == file.checksum
                else "has other bytes than were written"
            )
        rows = _rows_read(file.path)
    except (OSError, pa.ArrowException) as error:
        return f"cannot be read ({str(error).splitlines()[0]})"
    return None if rows == file.rows else f"has {rows} rows and had {file.rows}"


def _rows_read(path: Path) -> int:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return sum(batch.num_rows for batch in file.iter_batches())
