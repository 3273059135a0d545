"""Reading back what was committed: a part's files hold exactly what its part.json says."""

from collections.abc import Iterator

import pyarrow.compute as pc
import pyarrow.parquet as pq

from gex_pipeline.lake.parts import Part
from gex_pipeline.lake.paths import LakePaths


def faults_of(paths: LakePaths, part: Part) -> tuple[str, ...]:
    """Return what is wrong with a part's files; nothing: all is as it should be."""
    return tuple(_faults(paths, part))


def _faults(paths: LakePaths, part: Part) -> Iterator[str]:
    folder = paths.part(part.tape, part.first)
    seen: set[int] = set()
    for table, rows in part.rows.items():
        seqs = pq.read_table(folder / f"{table}.parquet", columns=["seq"]).column("seq")
        if len(seqs) != rows:
            yield f"{table} of part {part.first} has {len(seqs)} rows and should have {rows}"
        if (
            len(seqs)
            and not part.first <= pc.min(seqs).as_py() <= pc.max(seqs).as_py() <= part.last
        ):
            yield f"{table} of part {part.first} has rows outside {part.first} to {part.last}"
        before = len(seen)
        seen.update(seqs.to_pylist())
        if len(seen) - before != len(seqs):
            yield f"{table} of part {part.first} repeats rows"
