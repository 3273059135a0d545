"""Reading back what was committed: a part's files hold exactly what its part.json says."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from gex_pipeline.lake.damage import damaged
from gex_pipeline.lake.files import files_of_node
from gex_pipeline.lake.parts import Part
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.readback import SeqsSeen


def faults_of(paths: LakePaths, part: Part) -> tuple[str, ...]:
    """Return what is wrong with a part's files; nothing: all is as it should be."""
    return tuple(_faults(paths, part))


def _faults(paths: LakePaths, part: Part) -> Iterator[str]:
    files = files_of_node(paths, part)
    yield from (str(each) for each in damaged(files))
    seqs = SeqsSeen(part.first, part.last)
    for each in files:
        try:
            found = pq.read_table(each.path, columns=["seq"]).column("seq").to_numpy()
            seqs.add(found)
        except (OSError, ValueError, pa.ArrowException) as error:
            yield f"{each.table} of part {part.first} {str(error).splitlines()[0]}"
            return
        if len(found) != each.rows:
            yield f"{each.table} of part {part.first} has {len(found)} rows and had {each.rows}"
    if part.schema > 1:
        yield from (f"{problem} in part {part.first}" for problem in seqs.problems(part.gaps))
