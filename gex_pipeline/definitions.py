"""What workspace.yaml names: all assets, checks, jobs, schedules and sensors."""

import dagster as dg

from gex_pipeline.defs.assets import catalog, day_files, derived_tables, tape_parts
from gex_pipeline.defs.checks import nothing_lost, parts_read_back
from gex_pipeline.defs.comparison import compare_greeks, days_to_compare, greeks_compared
from gex_pipeline.defs.exposure import gex
from gex_pipeline.defs.quality import quality
from gex_pipeline.defs.resources import Pipeline
from gex_pipeline.defs.schedules import (
    commit_tape,
    every_few_minutes,
    finish_days,
    refresh_token,
    token_refresh,
)
from gex_pipeline.defs.sensors import SUPERVISING, days_over, services

defs = dg.Definitions(
    assets=[tape_parts, day_files, derived_tables, quality, gex, greeks_compared, catalog],
    asset_checks=[nothing_lost, parts_read_back],
    jobs=[commit_tape, finish_days, compare_greeks, refresh_token, *SUPERVISING.values()],
    schedules=[every_few_minutes, token_refresh],
    sensors=[services, days_over, days_to_compare],
    resources={"pipeline": Pipeline()},
)
