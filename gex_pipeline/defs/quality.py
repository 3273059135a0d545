"""The verdicts on each finished date, and whether its ledger closes."""

import dagster as dg

from gex_pipeline.defs.resources import Given
from gex_pipeline.market.tables import EVENT_TABLES, QUALITY
from gex_pipeline.quality.rules import RULES

GROUP = "days"
LEDGER = "ledger_closes"
_WARN = dg.AssetCheckSeverity.WARN


@dg.asset(
    deps=[table.name for table in EVENT_TABLES.values()],
    group_name=GROUP,
    kinds={"parquet"},
    description=QUALITY.meaning,
    check_specs=[
        *(
            dg.AssetCheckSpec(rule.name, asset="quality", description=rule.meaning)
            for rule in RULES.values()
        ),
        dg.AssetCheckSpec(
            LEDGER, asset="quality", description="received = written + conflated + rejected"
        ),
    ],
)
def quality(pipeline: Given) -> dg.MaterializeResult[None]:
    """Judge the finished dates that have no verdict yet; each rule is a check."""
    days = pipeline.judge_days()
    failed: dict[str, list[str]] = {rule: [] for rule in RULES}
    for day in days:
        for rule, words in day.failed:
            failed[rule].append(f"{day.date} {words}")
    open_ledgers = [f"{day.date} {day.open_ledger}" for day in days if day.open_ledger]
    return dg.MaterializeResult(
        metadata={"days": [str(day.date) for day in days]},
        check_results=[
            *(
                dg.AssetCheckResult(
                    check_name=rule, passed=not found, severity=_WARN, metadata={"failed": found}
                )
                for rule, found in failed.items()
            ),
            dg.AssetCheckResult(
                check_name=LEDGER, passed=not open_ledgers, metadata={"open": open_ledgers}
            ),
        ],
    )
