"""Which files hold which table: those that the chains and the derived records name, no others."""

import datetime
from collections.abc import Collection, Iterable, Iterator
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
    """Session date of its tape; a late row may be of an earlier one. Of a month the first."""
    tape: str
    """Empty: it is derived from others."""
    rows: int
    schema: int
    """LAKE_SCHEMA_VERSION of its writer."""
    bytes: int | None = None
    """What its record says; None: nothing."""
    checksum: int | None = None
    """CRC-32 that its record says; None: nothing."""
    days: tuple[datetime.date, ...] = ()
    """Of a month: its days."""

    @property
    def dates(self) -> tuple[datetime.date, ...]:
        """Session dates that it holds, ascending."""
        return self.days or (self.date,)


def files_of_node(
    paths: LakePaths, node: Part | Manifest, tables: Collection[str] = TABLES
) -> tuple[LakeFile, ...]:
    """Return the files of a part or a finished day."""
    rooted = LakePaths(paths.root.absolute())
    return tuple(_of_node(rooted, node, tables))


def files_of(
    paths: LakePaths,
    found: Iterable[Chain],
    derived: Iterable[Derived] = (),
    tables: Collection[str] = TABLES,
) -> dict[str, tuple[LakeFile, ...]]:
    """Return the files of each of these tables, in the order of tapes and dates."""
    files: dict[str, list[LakeFile]] = {name: [] for name in tables}
    rooted = LakePaths(paths.root.absolute())
    for chain in found:
        for node in chain.nodes:
            for each in _of_node(rooted, node, tables):
                files[each.table].append(each)
    lake = rooted.lake
    for record in derived:
        if record.table in tables:
            files[record.table].append(_of_derived(lake, record))
    return {table: tuple(listed) for table, listed in files.items()}


def _of_node(
    rooted: LakePaths, node: Part | Manifest, tables: Collection[str]
) -> Iterator[LakeFile]:
    if isinstance(node, Manifest):
        return _of_manifest(rooted, node, tables)
    return _of_part(rooted, node, tables)


def _of_part(rooted: LakePaths, part: Part, tables: Collection[str]) -> Iterator[LakeFile]:
    folder = rooted.part(part.tape, part.first)
    for table, rows in part.rows.items():
        if table in tables:
            yield LakeFile(
                table=table,
                path=folder / f"{table}.parquet",
                date=part.date,
                tape=part.tape,
                rows=rows,
                schema=part.schema,
                checksum=part.checksums.get(table),
            )


def _of_manifest(
    rooted: LakePaths, manifest: Manifest, tables: Collection[str]
) -> Iterator[LakeFile]:
    wanted = [file for file in manifest.files if file.table in tables]
    lake = rooted.lake
    for file in wanted:
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


def _of_derived(lake: Path, record: Derived) -> LakeFile:
    return LakeFile(
        table=record.table,
        path=lake / record.file,
        date=record.date,
        tape="",
        rows=record.rows,
        schema=record.schema,
        bytes=record.bytes,
        days=record.dates,
        checksum=record.checksum or None,
    )
