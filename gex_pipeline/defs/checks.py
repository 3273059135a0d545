"""What must be true of the lake after each commit."""

import dagster as dg

from gex_pipeline.defs.resources import Pipeline
from gex_pipeline.market.tables import EVENT_TABLES


@dg.asset_check(asset="catalog", blocking=False)
def nothing_lost(pipeline: Pipeline) -> dg.AssetCheckResult:
    """No event of a tape is missing from the chain of parts; where one is, `_lost` names it."""
    lost = pipeline.lost()
    return dg.AssetCheckResult(
        passed=not lost, severity=dg.AssetCheckSeverity.WARN, metadata={"lost": lost}
    )


@dg.asset_check(asset="catalog", blocking=False)
def every_event_once(pipeline: Pipeline) -> dg.AssetCheckResult:
    """No tape has the same seq twice in any table of today's parts."""
    doubled = {table.name: pipeline.doubled(table.name) for table in EVENT_TABLES.values()}
    return dg.AssetCheckResult(passed=not any(doubled.values()), metadata=doubled)
