"""The tape as Parquet parts, and the catalog over them."""

import dagster as dg

from gex_pipeline.defs.resources import Given
from gex_pipeline.market.tables import DERIVED_TABLES, EVENT_TABLES

GROUP = "lake"
"""What each commit makes anew."""
DAYS = "days"
"""What each end of day makes."""


PARTS = {
    table.name: "gex_recorded" if table.name == "gex" else table.name
    for table in EVENT_TABLES.values()
}
"""Table to asset: `gex` itself is the date's exposure, which can be computed anew."""


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            PARTS[table.name], description=table.meaning, group_name=GROUP, kinds={"parquet"}
        )
        for table in EVENT_TABLES.values()
    ],
)
def tape_parts(context: dg.AssetExecutionContext, pipeline: Given):  # type: ignore[no-untyped-def] # it yields
    """Commit what the tapes hold beyond the lake's cursor, each event exactly once."""
    done = pipeline.archive()
    if done is None:
        context.log.info("Another archive step of this lake is at work; it commits the rest.")
    for table in EVENT_TABLES.values():
        rows = {each.tape: each.rows.get(table.name, 0) for each in done or ()}
        cursors = {each.tape: each.cursor for each in done or ()}
        yield dg.MaterializeResult(
            PARTS[table.name],
            metadata={
                "dagster/row_count": sum(rows.values()),
                "rows": rows,
                "cursors": cursors,
                "lost": sum(each.lost for each in done or ()),
            },
        )


@dg.asset(
    deps=[*PARTS.values()],
    group_name=DAYS,
    kinds={"parquet"},
    check_specs=[
        dg.AssetCheckSpec(
            "day_verified",
            asset="day_files",
            description="Each finished day was read back: every number once, the same values.",
        )
    ],
    retry_policy=dg.RetryPolicy(max_retries=2, delay=5),
)
def day_files(context: dg.AssetExecutionContext, pipeline: Given):  # type: ignore[no-untyped-def] # with a check, Dagster takes a tuple's annotation only
    """Finished dates as one sorted file a table, tape by tape, oldest first.

    A date is over when its tape holds a later one or market time has passed the calendar's roll.
    """
    done = pipeline.finish_days()
    if done is None:
        context.log.info("Another end of day of this lake is at work; it finishes the rest.")
    days = done.manifests if done else ()
    problems = [f"{each.tape} {each.date}: {each.words}" for each in done.problems] if done else []
    return dg.MaterializeResult(
        metadata={
            "days": [f"{each.tape} {each.date}" for each in days],
            "dagster/row_count": sum(file.rows for each in days for file in each.files),
            "bytes": sum(file.bytes for each in days for file in each.files),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="day_verified", passed=not problems, metadata={"problems": problems}
            )
        ],
    )


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            name,
            deps=["day_files"],
            description=DERIVED_TABLES[name].meaning,
            group_name=DAYS,
            kinds={"parquet"},
        )
        for name in ("gex_1m", "daily")
    ],
)
def derived_tables(pipeline: Given):  # type: ignore[no-untyped-def] # as tape_parts
    """Make the tables that come from finished days, where they are missing or out of date."""
    made = pipeline.derive_days()
    for name in ("gex_1m", "daily"):
        days = [f"{each.key} {each.date}" for each in made if each.table == name]
        yield dg.MaterializeResult(name, metadata={"days": days})


@dg.asset(
    deps=[
        *PARTS.values(),
        "day_files",
        "gex_1m",
        "daily",
        "quality",
    ],
    group_name=GROUP,
    kinds={"duckdb"},
)
def catalog(pipeline: Given) -> dg.MaterializeResult[None]:
    """Views over exactly the files that are committed: gex.duckdb, for any DuckDB client.

    What it names no more is removed behind a grace.
    """
    path = pipeline.catalog()
    cleaned = pipeline.clean()
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(path),
            "removed": cleaned.removed if cleaned else 0,
            "freed bytes": cleaned.bytes if cleaned else 0,
        }
    )
