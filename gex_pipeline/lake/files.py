"""Which files hold which table: those that the chains and the derived records name, no others."""

import datetime
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from gex_pipeline.lake.derived import Derived
from gex_pipeline.lake.parts import Chain, Manifest, Part
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.tables import TABLES


class LakeFile(msgspec.Struct, frozen=True):
    """One Parquet file of one table."""

    table: str
    path: Path
    """Absolute."""
    date: datetime.date
    """Session date of its tape; a late row may be of an earlier one."""
    tape: str
    """Empty: it is derived from others."""
    rows: int
    schema: int
    """LAKE_SCHEMA_VERSION of its writer."""
    bytes: int | None = None
    """What its record says; None: nothing."""
    checksum: int | None = None
    """CRC-32 that its record says; None: nothing."""


def files_of_node(paths: LakePaths, node: Part | Manifest) -> tuple[LakeFile, ...]:
    """Return the files of a part or a finished day."""
    return tuple(_of_manifest(paths, node) if isinstance(node, Manifest) else _of_part(paths, node))


def files_of(
    paths: LakePaths, found: Iterable[Chain], derived: Iterable[Derived] = ()
) -> dict[str, tuple[LakeFile, ...]]:
    """Return the files of every table, in the order of tapes and dates."""
    files: dict[str, list[LakeFile]] = {name: [] for name in TABLES}
    for chain in found:
        for node in chain.nodes:
            for each in files_of_node(paths, node):
                files.setdefault(each.table, []).append(each)
    for record in derived:
        files.setdefault(record.table, []).append(_of_derived(paths, record))
    return {table: tuple(listed) for table, listed in files.items()}


def _of_part(paths: LakePaths, part: Part) -> Iterator[LakeFile]:
    folder = paths.part(part.tape, part.first).absolute()
    for table, rows in part.rows.items():
        yield LakeFile(
            table=table,
            path=folder / f"{table}.parquet",
            date=part.date,
            tape=part.tape,
            rows=rows,
            schema=part.schema,
            checksum=part.checksums.get(table),
        )


def _of_manifest(paths: LakePaths, manifest: Manifest) -> Iterator[LakeFile]:
    lake = paths.lake.absolute()
    for file in manifest.files:
        yield LakeFile(
            table=file.table,
            path=lake / file.file,
            date=manifest.date,
            tape=manifest.tape,
            rows=file.rows,
            schema=manifest.schema,
            bytes=file.bytes,
            checksum=file.checksum or None,
        )


def _of_derived(paths: LakePaths, record: Derived) -> LakeFile:
    return LakeFile(
        table=record.table,
        path=paths.lake.absolute() / record.file,
        date=record.date,
        tape="",
        rows=record.rows,
        schema=record.schema,
        bytes=record.bytes,
    )
