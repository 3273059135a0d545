"""Settings of the pipeline itself: `GEX_*`."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from gex_pipeline.settings.kinds import (
    Count,
    LogFormat,
    LogLevel,
    Names,
    Percent,
    Port,
    Positive,
    Share,
    SomeNames,
    Source,
    about,
)
from gex_pipeline.settings.secret import Secret


class SourceSettings(Struct, frozen=True, kw_only=True):
    """Where data come from, where they lie, what is logged."""

    gex_source: Annotated[
        Source, about("Where market data come from; auto: schwab with credentials, else simulator.")
    ] = "auto"
    gex_symbols: Annotated[SomeNames, about("Underlyings whose exposure is computed.")] = (
        "SPX",
        "SPY",
        "QQQ",
        "NDX",
    )
    gex_data_dir: Annotated[Path, about("Folder of spool, lake, hot store and catalog.")] = Path(
        "data"
    )
    gex_tokens_dir: Annotated[Path, about("Folder of the vendors' sign-in tokens.")] = Path(
        ".tokens"
    )
    gex_log_level: Annotated[LogLevel, about("The least severe message that is logged.")] = "info"
    gex_log_format: Annotated[
        LogFormat, about("Form of log lines; auto: text on a terminal, json elsewhere.")
    ] = "auto"
    gex_record: Annotated[
        bool | None,
        about("Keep the wire frames as they came; unset: only when the source is the simulator."),
    ] = None
    gex_capture_keep_gb: Annotated[
        Positive | None,
        about("Size of the kept wire frames, the oldest go; unset: 20, when simulated 2.", "GB"),
    ] = None
    gex_simulator_port: Annotated[Port, about("Port of the simulator.", "port")] = 8878
    gex_simulator_seed: Annotated[int, about("Seed of the simulated market.")] = 1
    gex_simulator_speed: Annotated[
        Positive, about("Market seconds that the simulator plays in one second.", "market s per s")
    ] = 1.0
    gex_simulator_contracts: Annotated[
        Count | None, about("Option contracts in all; unset: as many as the real market.")
    ] = None
    gex_simulator_rate: Annotated[
        Positive | None,
        about("Updates of the whole market; unset: the simulator's own.", "per market s"),
    ] = None
    gex_samples: Annotated[
        Path | None, about("Folder of real chains that the tests read; unset: they are skipped.")
    ] = None


class StoreSettings(SourceSettings, frozen=True, kw_only=True):
    """Spool, hot store, archive and lake."""

    gex_redis_url: Annotated[
        Secret | None,
        about(
            "Any server that speaks RESP and has streams; unset: an embedded one is started.",
            form="redis",
        ),
    ] = None
    gex_redis_port: Annotated[
        Port, about("First port that the embedded hot store tries.", "port")
    ] = 6390
    gex_redis_maxmemory_mb: Annotated[
        Count | None,
        about("Memory of the embedded hot store; unset: 25% of RAM, at most 4,096.", "MB"),
    ] = None
    gex_hot_ticks_mb: Annotated[
        Count, about("Memory that the day's ticks may take in the hot store.", "MB")
    ] = 512
    gex_publish_option_ticks: Annotated[
        bool, about("Publish option ticks on the tick channel too.")
    ] = False
    gex_spool_fsync_ms: Annotated[
        Count, about("Longest time that a spooled event waits for the disk.", "ms")
    ] = 50
    gex_spool_retention_days: Annotated[
        Count | None,
        about("Age at which a spool segment goes without being archived; unset: never.", "days"),
    ] = None
    gex_disk_alert_percent: Annotated[
        Percent, about("Free disk space that raises an alert.", "%")
    ] = 10.0
    gex_disk_stop_percent: Annotated[
        Percent, about("Free disk space at which compaction stops and old segments go.", "%")
    ] = 5.0
    gex_archive_interval_minutes: Annotated[
        Annotated[int, Meta(ge=1, le=60)],
        about("How often the tape is committed to Parquet.", "minutes"),
    ] = 5
    gex_lake_root: Annotated[
        str | None, about("Root of finished day files, also s3://…; unset: in the data folder.")
    ] = None
    gex_retention_days: Annotated[
        Count | None, about("Age at which day files are removed; unset: never.", "days")
    ] = None


class PipelineSettings(StoreSettings, frozen=True, kw_only=True):
    """Engine, API and alerts."""

    gex_engine_duty: Annotated[
        Share, about("Share of one core that the engine may use before it publishes less often.")
    ] = 0.25
    gex_publish_per_s: Annotated[
        Annotated[float, Meta(gt=0, le=10)],
        about("Most snapshots of one symbol and scope that are published.", "per s"),
    ] = 10.0
    gex_convention: Annotated[str, about("Id of the convention that figures are computed by.")] = (
        "gexc-1"
    )
    gex_oi_estimate: Annotated[
        bool, about("Add an own estimate of intraday open interest, labelled as such.")
    ] = False
    gex_stale_after_s: Annotated[Positive, about("Age at which a figure is marked stale.", "s")] = (
        10.0
    )
    gex_unavailable_after_s: Annotated[
        Positive, about("Age at which the API refuses a figure and gives the reason.", "s")
    ] = 300.0
    gex_basis_stale_after_s: Annotated[
        Positive, about("Age at which the futures basis is marked stale.", "s")
    ] = 300.0
    gex_host: Annotated[str, about("Address that the API and the page listen on.")] = "127.0.0.1"
    gex_port: Annotated[Port, about("Port of the API and the page.", "port")] = 8877
    gex_dagster_host: Annotated[
        str, about("Address of Dagster's page, which has no sign-in of its own.")
    ] = "127.0.0.1"
    gex_dagster_port: Annotated[Port, about("Port of Dagster's page.", "port")] = 3000
    gex_allowed_hosts: Annotated[
        Names, about("Host names that the API answers to besides its own address.")
    ] = ()
    gex_cors_origins: Annotated[
        Names, about("Web origins whose pages may call the API.", form="web")
    ] = ()
    gex_api_requests_per_minute: Annotated[
        Count, about("Requests that one API key may make.", "per minute")
    ] = 600
    gex_query_timeout_s: Annotated[
        Positive, about("Longest time that a history query may take.", "s")
    ] = 30.0
    gex_api_url: Annotated[str, about("API that client commands ask.", form="web")] = (
        "http://127.0.0.1:8877"
    )
    gex_api_key: Annotated[
        Secret | None, about("Key that client commands send; unset: the local key file.")
    ] = None
    gex_alert_webhook_url: Annotated[
        Secret | None, about("Address that every alert is posted to; unset: none.", form="web")
    ] = None
