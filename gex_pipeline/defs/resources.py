"""The pipeline as Dagster's definitions see it: settings become places, functions and values.

This is a composition root. Nothing is read before a definition runs.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource

from gex_pipeline.archive.rows import Origin as RowOrigin
from gex_pipeline.archive.step import Archived, archive
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.errors import StartError
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.lake.catalog import build_catalog
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.settings import Origin, Settings, load, origin_of, read_env_file, with_env_file
from gex_pipeline.supervision.board import Board
from gex_pipeline.supervision.guard import Episode
from gex_pipeline.supervision.plan import SUPERVISED, Place, Ports, service
from gex_pipeline.supervision.watch import Story, supervise, supervisor_of

_LAKE_MODES: Final = {"real": "live", "simulated": "simulated"}


class Pipeline(dg.ConfigurableResource):
    """What assets, runs, sensors and schedules ask for."""

    def archive(self) -> tuple[Archived, ...] | None:
        """Commit what the tapes hold; None: another step is at work."""
        origin, place = self._origin(), self._place()
        row = RowOrigin(source=origin.source, mode=_LAKE_MODES[origin.mode], tape="")
        with connect(place.redis_url) as store:
            source = HotSource(store, Keys(origin.prefix), origin.root / "spool")
            tapes = source.tapes()
            return archive(source, LakePaths(origin.root), tapes, origin=row, now_s=now_s())

    def catalog(self) -> Path:
        """Make the catalog of views anew."""
        return build_catalog(LakePaths(self._origin().root), _opened)

    def archive_interval_minutes(self) -> int:
        """How often the tape is committed."""
        return int(self._settings().gex_archive_interval_minutes)

    def supervise(self, name: str, run_id: str, tell: Callable[[Episode, int], None]) -> Story:
        """Keep a service alive until it is not wanted any more."""
        place = self._place()
        return supervise(place, service(place, name, self._ports()), run_id=run_id, tell=tell)

    def wanted(self) -> tuple[str, ...] | None:
        """Return the services that runs should watch now; None: the hot store does not answer."""
        place = self._place()
        board = Board(place.redis_url, place.prefix)
        try:
            if not board.answers():
                return None
            return tuple(name for name in SUPERVISED if board.wanted(name))
        finally:
            board.close()

    def supervisor_of(self, name: str) -> str | None:
        """Return the id of the run whose process watches a service now."""
        return supervisor_of(self._place(), name)

    def _settings(self) -> Settings:
        path = Path.cwd() / ".env"
        file = read_env_file(path.read_text(encoding="utf-8")) if path.exists() else {}
        return load(with_env_file(os.environ, file))

    def _origin(self) -> Origin:
        return origin_of(self._settings())

    def _place(self) -> Place:
        settings = self._settings()
        origin = origin_of(settings)
        if settings.gex_redis_url is None:
            raise StartError("Dagster was not told where the hot store is", "Start it by: gex up")
        return Place(
            data=settings.gex_data_dir.absolute(),
            root=origin.root,
            source=origin.source,
            mode=origin.mode,
            prefix=origin.prefix,
            redis_url=settings.gex_redis_url.reveal(),
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


def now_s() -> float:
    """Return the wall time: Dagster's records and the age of leftovers are counted in it."""
    return time.time()  # noqa: TID251 # the one edge of Dagster's processes


@contextmanager
def _opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with DuckDBResource(database=str(path)).get_connection() as connection:
        yield connection
