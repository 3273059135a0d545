"""The verdicts on each finished date, and whether its ledger closes."""

import dagster as dg

from gex_pipeline.defs.assets import DAYS
from gex_pipeline.defs.resources import Given
from gex_pipeline.market.tables import QUALITY
from gex_pipeline.quality.rules import RULES

LEDGER = "ledger_closes"
_WARN = dg.AssetCheckSeverity.WARN


@dg.asset(
    deps=["day_files"],
    group_name=DAYS,
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
def quality(pipeline: Given):  # type: ignore[no-untyped-def] # as day_files
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
