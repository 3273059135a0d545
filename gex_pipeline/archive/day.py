"""End of day: what dates of what tapes are over, and their parts made day files, oldest first.

A date is over when its tape holds a later one, or when market time has passed the calendar's roll
by a grace and the lake has all that hot store and spool hold of the tape. Should more of it come
later all the same, the date is pending again and a longer manifest takes the shorter one's place.
"""

import datetime
import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol, get_args

import msgspec

from gex_pipeline.errors import InputError, LakeError
from gex_pipeline.lake.days import Day, compact, days_of
from gex_pipeline.lake.durable import locked, make_folders
from gex_pipeline.lake.parts import Chain, Manifest, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.sessions import SECOND_NS, Calendar, session_date

GRACE_NS: Final = 60 * SECOND_NS
"""Market time behind the roll: what was received before it is on the tape by then."""
_CALENDARS: Final = frozenset(get_args(Calendar))

log = logging.getLogger(__name__)


class Held(Protocol):
    """Where a tape's frames are."""

    def is_archived(self, tape: str, cursor: int) -> bool:
        """Return whether hot store and spool hold nothing behind a seq."""
        ...


class Problem(msgspec.Struct, frozen=True):
    """A day that could not be finished; its parts are as they were."""

    tape: str
    date: datetime.date | None
    words: str


class Finished(msgspec.Struct, frozen=True):
    """What one end of day did."""

    manifests: tuple[Manifest, ...] = ()
    problems: tuple[Problem, ...] = ()


def pending_days(
    held: Held, paths: LakePaths, now_ns: int, *, grace_ns: int = GRACE_NS
) -> tuple[Day, ...]:
    """Return the days that are over and not finished, oldest first.

    A tape whose chain is broken has none; `end_of_day` says why.
    """
    found: list[Day] = []
    for tape in paths.tapes():
        try:
            chain = read_chain(paths, tape)
        except LakeError:
            continue
        found += _pending(held, chain, now_ns - grace_ns)
    return tuple(sorted(found, key=lambda day: (day.date, day.tape)))


def end_of_day(
    held: Held,
    paths: LakePaths,
    now_ns: int,
    *,
    tables: Path | None = None,
    stop_percent: float = 0.0,
    grace_ns: int = GRACE_NS,
) -> Finished | None:
    """Finish all pending days; None: another end of day of this root is at work.

    Tapes do not wait for one another: where one has a problem, the others go on. Below
    `stop_percent` of free disk space nothing is begun. `tables`: where day files go, if not to the
    lake itself.
    """
    with locked(paths.days_lock, wait=False) as mine:
        if not mine:
            return None
        manifests: list[Manifest] = []
        problems = list(_broken(paths))
        for day in pending_days(held, paths, now_ns, grace_ns=grace_ns):
            if any(each.tape == day.tape for each in problems):
                continue
            try:
                _check_disk(tables or paths.root, stop_percent)
                manifests.append(compact(paths, day, tables))
            except (LakeError, OSError) as error:
                log.exception("%s of %s was not finished", day.tape, day.date)
                problems.append(Problem(day.tape, day.date, str(error)))
        return Finished(tuple(manifests), tuple(problems))


def is_over(tape: str, date: datetime.date, now_ns: int) -> bool:
    """Return whether an instant belongs to a later trading date of the tape's calendar."""
    calendar = tape.rpartition(".")[2]
    try:
        today = session_date(now_ns, calendar if calendar in _CALENDARS else "equity")  # type: ignore[arg-type] # checked
    except InputError:  # outside of the calendar's table
        return False
    return today > date


def _pending(held: Held, chain: Chain, now_ns: int) -> Iterable[Day]:
    days = days_of(chain)
    for day in days[:-1]:
        if not day.finished:
            yield day
    for day in days[-1:]:
        over = not day.finished and is_over(chain.tape, day.date, now_ns)
        if over and held.is_archived(chain.tape, chain.cursor):
            yield day


def _broken(paths: LakePaths) -> Iterable[Problem]:
    for tape in paths.tapes():
        try:
            read_chain(paths, tape)
        except LakeError as error:
            yield Problem(tape, None, str(error))


def _check_disk(folder: Path, stop_percent: float) -> None:
    make_folders(folder)
    usage = shutil.disk_usage(folder)
    free = 100 * usage.free / usage.total
    if free < stop_percent:
        raise OSError(
            f"{free:.1f}% of the disk of {folder} is free, and below {stop_percent:g}% no day is"
            " finished: the parts stay. Free some space."
        )
