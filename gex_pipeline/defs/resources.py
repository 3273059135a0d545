"""The pipeline as Dagster's definitions see it: settings become places, functions and values.

This is a composition root. Nothing is read before a definition runs.
"""

import datetime
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource

from gex_pipeline.archive.compare import ComparedMoment, compare_day, uncompared
from gex_pipeline.archive.day import Finished, end_of_day, pending_days
from gex_pipeline.archive.derive import derive_days
from gex_pipeline.archive.quality import judge_days
from gex_pipeline.archive.recompute import Recomputed, recompute
from gex_pipeline.archive.rows import Origin as RowOrigin
from gex_pipeline.archive.step import Archived, archive
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.archive.verify import Places, Report, verify
from gex_pipeline.errors import UnavailableError
from gex_pipeline.exposure.convention import convention_of
from gex_pipeline.gateway.connection import hot_url
from gex_pipeline.hot.clockstore import read_clock
from gex_pipeline.hot.connect import UNREACHABLE, connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.lake.catalog import build_catalog
from gex_pipeline.lake.clean import Cleaned, clean
from gex_pipeline.lake.days import Day, tables_folder
from gex_pipeline.lake.derived import Derived
from gex_pipeline.lake.listing import chains
from gex_pipeline.lake.months import merge_months
from gex_pipeline.lake.parts import Part
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.verify import faults_of
from gex_pipeline.settings import Origin, Settings, load, origin_of, read_env_file, with_env_file
from gex_pipeline.streamer.plan import make_plan
from gex_pipeline.supervision.board import Board
from gex_pipeline.supervision.guard import Episode
from gex_pipeline.supervision.plan import SUPERVISED, Place, Ports, run_folder, service
from gex_pipeline.supervision.signin import SignIn, renew_now, resting
from gex_pipeline.supervision.watch import Story, supervise, supervisor_of, tick

_LAKE_MODES: Final = {"real": "live", "simulated": "simulated"}


class JudgedDay(NamedTuple):
    """One date's verdicts, as far as they are bad."""

    date: datetime.date
    failed: tuple[tuple[str, str], ...]
    """Rule, and what it found."""
    open_ledger: str
    """Where it does not close; empty: it does."""


class Pipeline:
    """What assets, runs, sensors and schedules ask for."""

    def archive(self) -> tuple[Archived, ...] | None:
        """Commit what the tapes hold; None: another step is at work."""
        origin = self._origin()
        row = RowOrigin(source=origin.source, mode=_LAKE_MODES[origin.mode], tape="")
        with self._hot() as (source, _):
            return archive(source, self._lake(), source.tapes(), origin=row, now_s=now_s())

    def pending_days(self) -> tuple[Day, ...] | None:
        """Return the days that are over and not finished; None: the hot store does not answer."""
        try:
            with self._hot() as (source, now_ns):
                return pending_days(source, self._lake(), now_ns)
        except (UnavailableError, *UNREACHABLE):
            return None

    def finish_days(self) -> Finished | None:
        """Make day files of all days that are over; None: another end of day is at work."""
        settings = self._settings()
        with self._hot() as (source, now_ns):
            return end_of_day(
                source,
                self._lake(),
                now_ns,
                tables=tables_folder(settings.gex_lake_root),
                stop_percent=settings.gex_disk_stop_percent,
            )

    def derive_days(self) -> tuple[Derived, ...]:
        """Make the tables that come from finished days, where they are missing or out of date."""
        paths = self._lake()
        return (*derive_days(paths), *merge_months(paths))

    def recompute(
        self, date: datetime.date, convention: str, parameters: Mapping[str, float]
    ) -> tuple[Recomputed, ...]:
        """Compute a date's exposure anew under live's convention with other parameters."""
        return recompute(self._lake(), date, convention_of(convention, parameters))

    def compare_greeks(self, date: datetime.date) -> tuple[ComparedMoment, ...]:
        """Hold a date's greeks, ours and the vendor's, against each other."""
        return compare_day(self._lake(), date)

    def uncompared(self) -> dict[datetime.date, str]:
        """Return the finished dates of which that is still to be done."""
        return uncompared(self._lake())

    def clean(self) -> Cleaned | None:
        """Remove what finished days have taken the place of, behind a grace."""
        return clean(self._lake(), now_s())

    def judge_days(self) -> tuple[JudgedDay, ...]:
        """Judge the finished dates that have no verdict yet, and close their ledgers."""
        origin, settings = self._origin(), self._settings()
        root = origin.root
        row = RowOrigin(source=origin.source, mode=_LAKE_MODES[origin.mode], tape="")
        places = Places(LakePaths(root), root / "spool", root / "capture")
        plan, _ = make_plan(
            settings.gex_symbols,
            settings.schwab_symbols,
            settings.schwab_symbol_limit,
            settings.schwab_level2_symbols,
        )
        symbols = (*plan.equities, *plan.futures)
        judged = judge_days(places.paths, row, symbols=symbols, capture=places.capture)
        return tuple(
            JudgedDay(
                date=date,
                failed=tuple(
                    (each.rule, f"{each.tape} {each.symbol} {each.finding.detail}".rstrip())
                    for each in verdicts
                    if each.verdict == "fail"
                ),
                open_ledger=_words_of(verify(places, date)),
            )
            for date, verdicts in judged.items()
        )

    def catalog(self) -> Path:
        """Make the catalog of views anew."""
        return build_catalog(self._lake(), _opened)

    def lost(self) -> dict[str, int]:
        """Return how many events of each tape nothing holds any more; only tapes with some."""
        found = {
            chain.tape: sum(g.last - g.first + 1 for node in chain.nodes for g in node.gaps)
            for chain in chains(self._lake())
        }
        return {tape: lost for tape, lost in found.items() if lost}

    def faults(self) -> list[str]:
        """Read the newest part of each tape back and return what is wrong with it."""
        paths = self._lake()
        newest = [chain.nodes[-1] for chain in chains(paths) if chain.nodes]
        return [f for part in newest if isinstance(part, Part) for f in faults_of(paths, part)]

    def sign_in_rests(self) -> str | None:
        """Return why no token is to be renewed now; None: it is due."""
        return resting(self._sign_in(), now_s())

    def renew_sign_in(self) -> str:
        """Renew the access token and say how it stands."""
        return renew_now(self._sign_in())

    def archive_interval_minutes(self) -> int:
        """How often the tape is committed."""
        return int(self._settings().gex_archive_interval_minutes)

    def supervise(self, name: str, run_id: str, tell: Callable[[Episode, int], None]) -> Story:
        """Keep a service alive until it is not wanted any more."""
        place = self._place()
        return supervise(place, service(place, name, self._ports()), run_id=run_id, tell=tell)

    def wanted(self) -> tuple[str, ...] | None:
        """Return the services that runs should watch now; None: the hot store does not answer."""
        try:
            place = self._place()
        except UnavailableError:
            return None
        board = Board(place.redis_url, place.prefix)
        try:
            if not board.answers():
                return None
            return tuple(name for name in SUPERVISED if board.wanted(name))
        finally:
            board.close()

    def tick(self) -> None:
        """Note that the sensor was evaluated: who watches Dagster from outside looks at it."""
        tick(run_folder(self._origin().root))

    def supervisor_of(self, name: str) -> str | None:
        """Return the id of the run whose process watches a service now."""
        return supervisor_of(run_folder(self._origin().root), name)

    def _lake(self) -> LakePaths:
        return LakePaths(self._origin().root)

    @contextmanager
    def _hot(self) -> Iterator[tuple[HotSource, int]]:
        """Give the tapes in hot store and spool, and the market time of now."""
        origin, keys = self._origin(), Keys(self._origin().prefix)
        with connect(self._place().redis_url) as store:
            now_ns = read_clock(store, keys).now_ns(time.monotonic_ns())
            yield HotSource(store, keys, origin.root / "spool"), now_ns

    def _settings(self) -> Settings:
        path = Path.cwd() / ".env"
        file = read_env_file(path.read_text(encoding="utf-8")) if path.exists() else {}
        return load(with_env_file(os.environ, file))

    def _origin(self) -> Origin:
        return origin_of(self._settings())

    def _place(self) -> Place:
        settings = self._settings()
        origin = origin_of(settings)
        given = settings.gex_redis_url
        return Place(
            data=settings.gex_data_dir.absolute(),
            root=origin.root,
            source=origin.source,
            mode=origin.mode,
            prefix=origin.prefix,
            redis_url=hot_url(given.reveal() if given else None, origin.root),
        )

    def _sign_in(self) -> SignIn:
        settings = self._settings()
        origin = origin_of(settings)
        simulated = origin.mode == "simulated"
        key, secret = settings.schwab_client_id, settings.schwab_client_secret
        keep = settings.schwab_persist_refresh_to_env
        simulator = f"http://127.0.0.1:{settings.gex_simulator_port}"
        return SignIn(
            folder=origin.root / "tokens" if simulated else settings.gex_tokens_dir.absolute(),
            key="simulator" if simulated or key is None else key.reveal(),
            secret="simulator" if simulated or secret is None else secret.reveal(),  # takes any
            base_url=simulator if simulated else settings.schwab_base_url,
            renew_after_s=60.0 * settings.schwab_access_interval_minutes,
            timeout_s=settings.schwab_request_timeout_s,
            old=None if simulated else settings.gex_data_dir.absolute() / "schwab_tokens.json",
            env_back=Path.cwd() / ".env.back" if keep and not simulated else None,
        )

    def _ports(self) -> Ports:
        settings = self._settings()
        return Ports(
            simulator=settings.gex_simulator_port,
            serving=settings.gex_port,
            dagster=settings.gex_dagster_port,
            host=settings.gex_host,
            dagster_host=settings.gex_dagster_host,
        )


Given = dg.ResourceParam[Pipeline]
"""The parameter `pipeline` of a definition."""


def _words_of(report: Report) -> str:
    if report.closes:
        return ""
    first = report.first_break
    return f"{first.stage} {first.tape} {first.table}: {first.words}" if first else "nothing held"


def now_s() -> float:
    """Return the wall time: Dagster's records and the age of leftovers are counted in it."""
    return time.time()  # noqa: TID251 # the one edge of Dagster's processes


@contextmanager
def _opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with DuckDBResource(database=str(path)).get_connection() as connection:
        yield connection
