"""A date's exposure, computed anew from the lake's events: another convention, or a proof."""

import datetime

import dagster as dg
from pydantic import Field

from gex_pipeline.defs.assets import PARTS
from gex_pipeline.defs.resources import Given
from gex_pipeline.market.sessions import FIRST_DAY, LAST_DAY, NEW_YORK, is_trading_day

FIRST = datetime.date(2020, 1, 1)
"""Older recordings there are none."""
_MIDNIGHT = datetime.time(tzinfo=NEW_YORK)
_ONE_DAY = datetime.timedelta(days=1)
_WEEKENDS = "0 0 * * 6,0"


def _holidays() -> list[datetime.datetime]:
    """Return the midnights of weekdays without a session."""
    first = max(FIRST, FIRST_DAY + _ONE_DAY)
    days = [first + n * _ONE_DAY for n in range((LAST_DAY - first).days)]
    closed = [day for day in days if day.weekday() < 5 and not is_trading_day(day)]
    return [datetime.datetime.combine(day, _MIDNIGHT) for day in closed]


SESSIONS = dg.DailyPartitionsDefinition(
    start_date=FIRST.isoformat(),
    timezone=str(NEW_YORK),
    end_offset=1,
    exclusions=[_WEEKENDS, *_holidays()],
)
"""Trading dates up to today's."""


class Convention(dg.Config):
    """Which formulas and parameters; as it is, those of live."""

    convention: str = ""
    """The identity that must come out, such as gexc-1:356bfcae; empty: any."""
    parameters: dict[str, float] = Field(default_factory=dict)
    """Parameters other than live's, by name: exposure/convention.py, docs/conventions.md."""


@dg.asset(
    deps=[PARTS["gex"], PARTS["option_quotes"], PARTS["chain_1m"]],
    partitions_def=SESSIONS,
    group_name="exposure",
    kinds={"parquet"},
    check_specs=[
        dg.AssetCheckSpec(
            "as_recorded",
            asset="gex",
            description="Under the convention of live: what was recorded, to the bit.",
        )
    ],
)
def gex(context: dg.AssetExecutionContext, pipeline: Given, config: Convention):  # type: ignore[no-untyped-def] # with a check, Dagster takes a tuple's annotation only
    """A date's seconds, computed anew through the code of live, as the table gex_recomputed.

    Another convention has another identity in its rows; under that of live the rows must be those
    that were recorded.
    """
    date = datetime.date.fromisoformat(context.partition_key)
    done = pipeline.recompute(date, config.convention, config.parameters)
    different = [each.first_different for each in done if each.different]
    different += [each.basis.first_different for each in done if each.basis.different]
    otherwise = sum(each.changes_different for each in done)
    return dg.MaterializeResult(
        metadata={
            "convention": done[0].convention,
            "symbols": [symbol for each in done for symbol in each.symbols],
            "dagster/row_count": sum(each.rows for each in done),
            "equal": sum(each.equal for each in done),
            "different": sum(each.different for each in done),
            "unrecorded": sum(each.unrecorded for each in done),
            "level_changes": sum(each.changes for each in done),
            "level_changes_different": otherwise,
            "basis": sum(each.basis.rows for each in done),
            "basis_different": sum(each.basis.different for each in done),
            "basis_unrecorded": sum(each.basis.unrecorded for each in done),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="as_recorded",
                passed=not (different or otherwise),
                metadata={"first": different},
            )
        ],
    )
