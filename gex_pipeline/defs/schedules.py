"""What happens by the clock: the commit of the tape, and the look at the sign-in."""

import dagster as dg

from gex_pipeline.defs.assets import DAYS, GROUP
from gex_pipeline.defs.resources import Given

commit_tape = dg.define_asset_job(
    "commit_tape",
    selection=dg.AssetSelection.groups(GROUP),
    executor_def=dg.in_process_executor,
    description="Commit the tape into Parquet parts and make the catalog anew.",
)

finish_days = dg.define_asset_job(
    "finish_days",
    selection=dg.AssetSelection.groups(DAYS) | dg.AssetSelection.assets("catalog"),
    executor_def=dg.in_process_executor,
    description="Make day files of the dates that are over, what comes from them, the catalog.",
)


@dg.schedule(
    job=commit_tape, cron_schedule="* * * * *", default_status=dg.DefaultScheduleStatus.RUNNING
)
def every_few_minutes(
    context: dg.ScheduleEvaluationContext, pipeline: Given
) -> dg.RunRequest | dg.SkipReason:
    """Commit the tape every GEX_ARCHIVE_INTERVAL_MINUTES."""
    minutes = pipeline.archive_interval_minutes()
    if round(context.scheduled_execution_time.timestamp()) // 60 % minutes:
        return dg.SkipReason(f"The tape is committed every {minutes} minutes.")
    return dg.RunRequest()


@dg.op
def renew_sign_in(context: dg.OpExecutionContext, pipeline: Given) -> None:
    """Renew the vendor's access token where it is due; the refresh token only a person can."""
    context.log.info(pipeline.renew_sign_in())


@dg.job(executor_def=dg.in_process_executor)
def refresh_token() -> None:
    """Keep the sign-in alive while no stream does."""
    renew_sign_in()


@dg.schedule(
    job=refresh_token, cron_schedule="*/5 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING
)
def token_refresh(pipeline: Given) -> dg.RunRequest | dg.SkipReason:
    """Look every five minutes whether the access token is due."""
    reason = pipeline.sign_in_rests()
    return dg.SkipReason(reason) if reason else dg.RunRequest()
