"""Ours against the vendor's greeks on each finished date: the table, its verdicts and a picture."""

import base64
import datetime
import itertools
from collections.abc import Iterator

import dagster as dg

from gex_pipeline.archive.apart import expired_gex, other_totals, rounded_away, worst_buckets
from gex_pipeline.archive.compare import ComparedMoment
from gex_pipeline.archive.picture import draw
from gex_pipeline.defs.assets import PARTS
from gex_pipeline.defs.exposure import SESSIONS
from gex_pipeline.defs.resources import Given, now_s
from gex_pipeline.market.tables import GREEKS_COMPARED

NAME = GREEKS_COMPARED.name
TOTAL = "totals_agree"
PRINTED = "gamma_is_printed"
AT_ONCE = 4
"""Dates that one look of the sensor asks for; the others come with the next."""


@dg.asset(
    name=NAME,
    deps=[PARTS["chain_1m"]],
    partitions_def=SESSIONS,
    group_name="exposure",
    kinds={"parquet"},
    description=GREEKS_COMPARED.meaning,
    check_specs=[
        dg.AssetCheckSpec(
            TOTAL, asset=NAME, description="Net GEX is within 10% of gross of the vendor's."
        ),
        dg.AssetCheckSpec(
            PRINTED, asset=NAME, description="At most 20% of open interest has a gamma printed 0."
        ),
    ],
)
def greeks_compared(context: dg.AssetExecutionContext, pipeline: Given):  # type: ignore[no-untyped-def] # with a check, Dagster takes a tuple's annotation only
    """Compare a date's chain images; both verdicts are of the day's median moment."""
    date = datetime.date.fromisoformat(context.partition_key)
    moments = pipeline.compare_greeks(date)
    pictures = {f"picture {symbol}": _picture(draw(found)) for symbol, found in _by_symbol(moments)}
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(len(moment.buckets) for moment in moments),
            "moments": len(moments),
            "worst": dg.MetadataValue.md(worst_buckets(moments)),
            "gex of settled rows": expired_gex(moments),
            **pictures,
        },
        check_results=[
            _verdict(TOTAL, other_totals(moments)),
            _verdict(PRINTED, rounded_away(moments)),
        ],
    )


compare_greeks = dg.define_asset_job(
    "compare_greeks",
    selection=dg.AssetSelection.assets(NAME),
    executor_def=dg.in_process_executor,
    description="Hold a date's greeks against the vendor's.",
)


@dg.sensor(
    job=compare_greeks,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def days_to_compare(
    context: dg.SensorEvaluationContext, pipeline: Given
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Compare the finished dates that are not; what could not be is tried again each hour.

    Dagster has partitions up to today's: a simulated date ahead of the calendar waits for it.
    """
    waiting, hour = pipeline.uncompared(), int(now_s()) // 3600
    keys = {
        f"{date} {made_from} {hour}": date.isoformat()
        for date, made_from in waiting.items()
        if SESSIONS.has_partition_key(date.isoformat())
    }
    asked = [key for key in (context.cursor or "").splitlines() if key in keys]
    fresh = [key for key in keys if key not in asked][:AT_ONCE]
    for key in fresh:
        yield dg.RunRequest(run_key=key, partition_key=keys[key])
    if not fresh:
        ahead = len(waiting) - len(keys)
        yield dg.SkipReason(f"{len(asked)} dates are asked for, {ahead} ahead of the calendar.")
    context.update_cursor("\n".join([*asked, *fresh]))


def _by_symbol(
    moments: tuple[ComparedMoment, ...],
) -> Iterator[tuple[str, list[ComparedMoment]]]:
    for symbol, found in itertools.groupby(moments, key=lambda moment: moment.symbol):
        yield symbol, list(found)


def _picture(png: bytes) -> dg.MarkdownMetadataValue:
    data = base64.b64encode(png).decode()
    return dg.MetadataValue.md(f"![ours against the vendor's](data:image/png;base64,{data})")


def _verdict(name: str, beyond: dict[str, float]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=not beyond,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"beyond": beyond},
    )
