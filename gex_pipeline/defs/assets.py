"""The tape as Parquet parts, and the catalog over them."""

import dagster as dg

from gex_pipeline.defs.resources import Given
from gex_pipeline.market.tables import EVENT_TABLES

GROUP = "lake"


@dg.multi_asset(
    specs=[
        dg.AssetSpec(table.name, description=table.meaning, group_name=GROUP, kinds={"parquet"})
        for table in EVENT_TABLES.values()
    ],
)
def tape_parts(context: dg.AssetExecutionContext, pipeline: Given):  # type: ignore[no-untyped-def]
    """Commit what the tapes hold beyond the lake's cursor, each event exactly once."""
    done = pipeline.archive()
    if done is None:
        context.log.info("Another archive step of this lake is at work; it commits the rest.")
    for table in EVENT_TABLES.values():
        rows = {each.tape: each.rows.get(table.name, 0) for each in done or ()}
        cursors = {each.tape: each.cursor for each in done or ()}
        yield dg.MaterializeResult(
            table.name,
            metadata={
                "dagster/row_count": sum(rows.values()),
                "rows": rows,
                "cursors": cursors,
                "lost": sum(each.lost for each in done or ()),
            },
        )


@dg.asset(
    deps=[table.name for table in EVENT_TABLES.values()],
    group_name=GROUP,
    kinds={"duckdb"},
)
def catalog(pipeline: Given) -> dg.MaterializeResult[None]:
    """Views over exactly the files that are committed: gex.duckdb, for any DuckDB client."""
    return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(pipeline.catalog())})
