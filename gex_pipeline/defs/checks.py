"""What must be true of the lake after each commit."""

import dagster as dg

from gex_pipeline.defs.resources import Given


@dg.asset_check(asset="catalog", blocking=False)
def nothing_lost(pipeline: Given) -> dg.AssetCheckResult:
    """No event of a tape is missing from the chain of parts; where one is, `_lost` names it."""
    lost = pipeline.lost()
    return dg.AssetCheckResult(
        passed=not lost, severity=dg.AssetCheckSeverity.WARN, metadata={"lost": lost}
    )


@dg.asset_check(asset="catalog", blocking=False)
def parts_read_back(pipeline: Given) -> dg.AssetCheckResult:
    """The newest part of each tape holds each of its events once, as its part.json says."""
    faults = pipeline.faults()
    return dg.AssetCheckResult(passed=not faults, metadata={"faults": faults})
