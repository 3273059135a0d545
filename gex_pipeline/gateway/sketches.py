"""Exposure by strike over days and years, out of the minute images that the lake keeps."""

import datetime
from collections.abc import Iterator
from pathlib import Path

from gex_pipeline.exposure.sketch import Sketch
from gex_pipeline.hot.imagecolumns import OpenImage
from gex_pipeline.lake.history import sketches
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.symbology import to_canonical


def gex_by_strike(
    root: str | Path,
    symbol: str,
    *,
    start: datetime.date | None = None,
    end: datetime.date | None = None,
) -> Iterator[Sketch]:
    """Yield the exposure by strike of each minute of these session dates, both ends in them.

    A sketch, by the vendor's volatilities (exposure/sketch.py): for research over long spans, not
    to be mixed with the engine's figures. `root` is the data folder: data, or data/sim.

    Raises:
        LakeError: the lake cannot be listed.
    """
    paths = LakePaths(Path(root).absolute())
    return sketches(paths, to_canonical(symbol), OpenImage, start=start, end=end)
