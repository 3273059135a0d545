"""Runs that supervise the services, and the sensor that makes sure of them.

A run never carries data: it starts the service's process, adopts it or starts it again, and tells
what happened. When the run dies the service goes on, and the next run adopts it.
"""

from collections.abc import Iterator

import dagster as dg

from gex_pipeline.defs.resources import Given, now_s
from gex_pipeline.defs.schedules import finish_days
from gex_pipeline.supervision.guard import Episode
from gex_pipeline.supervision.plan import SUPERVISED

STARTING_S = 60.0
"""Age at which a run that never came up counts as dead."""
CLAIMING_S = 8.0
"""Time that a started run has to claim its service."""

_OPEN = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def supervising_job(name: str) -> dg.JobDefinition:
    """Return the job whose run keeps one service alive."""

    @dg.op(name=f"supervise_{name}", pool=name)
    def supervise(context: dg.OpExecutionContext, pipeline: Given) -> None:
        def tell(episode: Episode, restarts: int) -> None:
            context.log.info(episode.words)
            context.log_event(_observation(name, episode, restarts))

        story = pipeline.supervise(name, context.run_id, tell)
        words = "\n".join(f"- {line}" for line in story.episodes)
        context.add_output_metadata(
            {
                "story": dg.MetadataValue.md(words or "nothing happened"),
                "restarts": story.restarts,
                "ended because": story.ended_because,
            }
        )

    @dg.job(
        name=f"keep_{name}",
        executor_def=dg.in_process_executor,
        description=f"Start the {name}, adopt it or start it again, for as long as it is wanted.",
    )
    def keep() -> None:
        supervise()

    return keep


SUPERVISING = {name: supervising_job(name) for name in SUPERVISED}


@dg.sensor(
    jobs=list(SUPERVISING.values()),
    minimum_interval_seconds=2,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def services(
    context: dg.SensorEvaluationContext, pipeline: Given
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Make sure that a run supervises each wanted service; report runs that died as failed."""
    pipeline.tick()
    wanted = pipeline.wanted()
    for name, job in SUPERVISING.items():
        alive = _living_runs(context.instance, job.name, pipeline.supervisor_of(name))
        if wanted and name in wanted and not alive:
            yield dg.RunRequest(job_name=job.name, tags={"gex/service": name})
    if wanted is None:
        yield dg.SkipReason("The hot store does not answer; gex up starts it.")


@dg.sensor(
    job=finish_days,
    minimum_interval_seconds=20,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def days_over(
    context: dg.SensorEvaluationContext, pipeline: Given
) -> dg.RunRequest | dg.SkipReason:
    """Finish the dates that are over; what could not be finished is tried again each hour."""
    days = pipeline.pending_days()
    if not days:
        why = "No date is over." if days == () else "The hot store does not answer."
        return dg.SkipReason(why)
    filters = dg.RunsFilter(job_name=finish_days.name, statuses=list(_OPEN))
    if context.instance.get_run_records(filters, limit=1):
        return dg.SkipReason("An end of day is at work.")
    told = " ".join(f"{day.tape}:{day.date}:{day.last}" for day in days)
    return dg.RunRequest(run_key=f"{told} {int(now_s()) // 3600}", tags={"gex/days": told[:200]})


def _living_runs(instance: dg.DagsterInstance, job_name: str, supervisor: str | None) -> int:
    """Return how many runs of the job live; those whose process is gone are reported as failed."""
    living = 0
    filters = dg.RunsFilter(job_name=job_name, statuses=list(_OPEN))
    for record in instance.get_run_records(filters):
        if not _is_dead(record, supervisor):
            living += 1
            continue
        instance.report_run_failed(
            record.dagster_run, "Its process is gone; the service went on without it."
        )
    return living


def _is_dead(record: dg.RunRecord, supervisor: str | None) -> bool:
    run = record.dagster_run
    if run.run_id == supervisor or run.status == dg.DagsterRunStatus.QUEUED:
        return False
    if run.status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING):
        return now_s() - record.create_timestamp.timestamp() > STARTING_S
    return now_s() - (record.start_time or 0.0) > CLAIMING_S


def _observation(name: str, episode: Episode, restarts: int) -> dg.AssetObservation:
    return dg.AssetObservation(
        ["services", name],
        description=episode.words,
        metadata={"what": episode.kind, "process": episode.pid or 0, "restarts": restarts},
    )
