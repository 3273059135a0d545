"""A date's exposure computed anew from the lake's events, under any convention.

It goes through the lane and the fold that live goes through, from the newest chain images before
the date. Under live's convention it gives what was recorded, to the bit, and says where not. The
rows are a table of their own, gex_recomputed: conventions never mix by accident.
"""

import datetime
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa

from gex_pipeline.archive.rebasis import NO_BASIS, Rebased, Rebasis
from gex_pipeline.errors import NotRecordedError
from gex_pipeline.exposure.convention import GEXC_1, Convention
from gex_pipeline.exposure.lane import Lane, Second
from gex_pipeline.exposure.level_change import Levels
from gex_pipeline.exposure.live import Image
from gex_pipeline.exposure.moment import PUBLISHED, LiveSnapshot, figures, gex_second
from gex_pipeline.exposure.underlying import Underlying
from gex_pipeline.hot.chains import decode_image
from gex_pipeline.lake.columns import schema_of
from gex_pipeline.lake.derived import Derived, commit_derived
from gex_pipeline.lake.images import OWN, newest_image
from gex_pipeline.lake.moments import Moments
from gex_pipeline.lake.parquet import DayWriter
from gex_pipeline.lake.parts import Chain, Manifest, Part, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.lake.told import origin_of, subjects_of
from gex_pipeline.market.events import Event, GexSecond, LevelChange
from gex_pipeline.market.sessions import Calendar, session_date
from gex_pipeline.market.tables import (
    CHAIN_1M,
    GEX,
    GEX_RECOMPUTED,
    LAKE_SCHEMA_VERSION,
    LEVEL_CHANGES,
    OPTION_QUOTES,
    Table,
)

CALENDARS: Final[tuple[Calendar, ...]] = ("equity", "index")
"""Of underlyings that options have."""
_WINDOW: Final = 100_000
_BATCH_ROWS: Final = 20_000

_Key = tuple[str, str, int]


class Recomputed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one tape's date."""

    tape: str
    convention: str
    symbols: tuple[str, ...]
    rows: int
    equal: int
    """Rows that the lake has under the same convention, every field alike."""
    different: int
    """That it has otherwise."""
    unrecorded: int
    """That it does not have."""
    first_different: str = ""
    changes: int = 0
    """Changes of confidence level between the rows."""
    changes_different: int = 0
    """Those of recorded rows that the lake has not, or otherwise, and what it has beside them."""
    basis: Rebased = NO_BASIS
    """What became of the basis of its indexes' futures."""


def recompute(
    paths: LakePaths, date: datetime.date, convention: Convention = GEXC_1
) -> tuple[Recomputed, ...]:
    """Compute a session date anew and keep the rows; return what became of each tape.

    Raises:
        NotRecordedError: the lake holds no option quotes of that date.
    """
    done = tuple(
        _recompute(paths, tape, calendar, date, convention)
        for calendar in CALENDARS
        for tape in paths.tapes()
        if tape.partition(".")[2] == calendar and not tape.startswith(f"{OWN}.")
        if _quoted(paths, tape, date)
    )
    if not done:
        raise NotRecordedError("any symbol", date.isoformat(), "no option quotes of that date")
    return done


def _recompute(
    paths: LakePaths,
    tape: str,
    calendar: Calendar,
    date: datetime.date,
    convention: Convention,
) -> Recomputed:
    chain, own = read_chain(paths, tape), read_chain(paths, f"{OWN}.{calendar}")
    known = {_key(row): row for row in _recorded(paths, own, date)}
    moments = Moments(paths, chain)
    symbols = tuple(dict.fromkeys(key[0] for key in known))
    symbols = symbols or tuple(sorted({*_imaged(paths, own, date), *_quoted(paths, tape, date)}))
    mode = (origin_of(moments, symbols[0]) or ("", ""))[1]
    tables: dict[str, list[pa.Table]] = {symbol: [] for symbol in symbols}
    images = _images(paths, moments, own, symbols, date)
    lane = _lane(moments, symbols, images)
    first = lane.position[1] + 1 if lane.position else 1
    if retired := moments.retired(first, _nodes(chain, date)[-1].last):
        gone = f"the events of {retired[0]} were let go"
        raise NotRecordedError(", ".join(symbols), date.isoformat(), gone)
    before = {image.symbol: image for image in images}
    seconds = _seconds(paths, chain, lane, (date, calendar), before)
    begun = list(itertools.islice(seconds, 1))  # what was before it is known now
    tally = _Tally(
        {key: row for key, row in known.items() if row.convention == convention.id},
        {_key(row): row for row in _changes(paths, own, date) if row.convention == convention.id},
        [row for image in before.values() for row in _image_rows(image.asof_ns, image, convention)],
    )
    basis = Rebasis(paths, tape, date) if convention.id == GEXC_1.id else None
    for rows in _batches(_rows(itertools.chain(begun, seconds), convention, basis)):
        for symbol in symbols:
            ours = [row for row in rows if row.symbol == symbol]
            shared = {"session_date": date, "tape": own.tape, "mode": mode}
            tables[symbol].append(_table(ours, shared, tally.rows))
            tally.take(ours)
    _keep(paths, date, f"{convention.id.replace(':', '-')}.{own.tape}", chain, tables)
    done = tally.result(own.tape, convention.id, symbols)
    return msgspec.structs.replace(done, basis=basis.result()) if basis else done


class _Tally:
    """Counts rows and holds them, and the changes of level between them, against the lake's."""

    def __init__(
        self,
        known: dict[_Key, GexSecond],
        changes: dict[_Key, LevelChange],
        before: list[GexSecond],
    ) -> None:
        self.rows = 0
        self._known, self._changes = known, changes
        self._levels = Levels(before)
        self._equal = self._different = self._unrecorded = 0
        self._changed = self._changed_otherwise = 0
        self._first = ""

    def take(self, rows: Sequence[GexSecond]) -> None:
        for row in rows:
            self.rows += 1
            theirs = self._known.get(_key(row))
            if theirs is None:
                self._unrecorded += 1
            elif theirs == row:
                self._equal += 1
            else:
                self._different += 1
                self._first = self._first or _difference(row, theirs)
        for change in self._levels.changes(rows):
            self._changed += 1
            same = self._changes.pop(_key(change), None) == change
            self._changed_otherwise += not same and _key(change) in self._known

    def result(self, tape: str, convention: str, symbols: tuple[str, ...]) -> Recomputed:
        return Recomputed(
            tape=tape,
            convention=convention,
            symbols=symbols,
            rows=self.rows,
            equal=self._equal,
            different=self._different,
            unrecorded=self._unrecorded,
            first_different=self._first,
            changes=self._changed,
            changes_different=self._changed_otherwise + len(self._changes),
        )


def _images(
    paths: LakePaths, moments: Moments, own: Chain, symbols: tuple[str, ...], date: datetime.date
) -> list[Image]:
    """Return the newest images from before the date."""
    first = _nodes(moments.chain, date)[0].first
    _, began_ns = moments.next_place(first) or (first, 0)
    images = [
        decode_image(found.image)
        for symbol in symbols
        if (found := newest_image(paths, own, symbol, began_ns - 1)) is not None
    ]
    return [image for image in images if moments.chain.tape in image.positions]


def _lane(moments: Moments, symbols: tuple[str, ...], images: list[Image]) -> Lane:
    """Return the lane as it was when the date began."""
    lane = Lane(
        moments.chain.tape,
        {symbol: _underlying(moments, symbol, images) for symbol in symbols},
    )
    lane.resume(images, 0)
    if lane.position is None and images:  # of the others nothing lies further back
        lane.position = min(image.positions[lane.tape] for image in images)
    return lane


def _underlying(moments: Moments, symbol: str, images: list[Image]) -> Underlying:
    like = next((image for image in images if image.symbol == symbol), None)
    if like is not None:
        return Underlying(symbol, like.source, like.mode)
    source, mode = origin_of(moments, symbol) or ("", "")
    return Underlying(symbol, source, "real" if mode == "live" else mode)


def _seconds(
    paths: LakePaths,
    chain: Chain,
    lane: Lane,
    of: tuple[datetime.date, Calendar],
    before: dict[str, Image],
) -> Iterator[Second]:
    """Yield the date's seconds; of those before it the last of each symbol goes to `before`."""
    date, calendar = of
    after = lane.position[1] if lane.position else 0
    last = _nodes(chain, date)[-1].last
    for stretch in recorded(paths, chain, after_seq=after, through_seq=last, window=_WINDOW):
        for second in lane.take(stretch.epoch, tuple(stretch.events)):
            if session_date(second.ts_ns, calendar) == date:
                yield second
            else:
                before |= {image.symbol: image for image in second.images}


def _rows(
    seconds: Iterable[Second], convention: Convention, basis: Rebasis | None
) -> Iterator[GexSecond]:
    for second in seconds:
        folded = [(image, _figures(image, convention)) for image in second.images]
        for image, snapshots in folded:
            yield from _second_rows(second.ts_ns, image, snapshots)
        if basis is not None:
            basis.take(second, folded)


def _image_rows(ts_ns: int, image: Image, convention: Convention) -> Iterator[GexSecond]:
    return _second_rows(ts_ns, image, _figures(image, convention))


def _figures(image: Image, convention: Convention) -> dict[str, LiveSnapshot]:
    return figures(image, PUBLISHED, final=True, convention=convention)


def _second_rows(
    ts_ns: int, image: Image, snapshots: dict[str, LiveSnapshot]
) -> Iterator[GexSecond]:
    for scope in PUBLISHED:
        yield gex_second(ts_ns, image, snapshots[scope])


def _batches(rows: Iterable[GexSecond]) -> Iterator[list[GexSecond]]:
    batch: list[GexSecond] = []
    for row in rows:
        batch.append(row)
        if len(batch) >= _BATCH_ROWS:
            yield batch
            batch = []
    yield batch


def _recorded(paths: LakePaths, own: Chain, date: datetime.date) -> Iterator[GexSecond]:
    """Yield the rows that the lake has of a date, without their place on the tape."""
    for event in _own_events(paths, own, date, GEX):
        if isinstance(event, GexSecond):
            yield msgspec.structs.replace(event, seq=0)


def _changes(paths: LakePaths, own: Chain, date: datetime.date) -> Iterator[LevelChange]:
    """Yield the changes of level that the lake has of a date, likewise."""
    for event in _own_events(paths, own, date, LEVEL_CHANGES):
        if isinstance(event, LevelChange):
            yield msgspec.structs.replace(event, seq=0)


def _own_events(paths: LakePaths, own: Chain, date: datetime.date, table: Table) -> Iterator[Event]:
    nodes = _nodes(own, date)
    if not nodes:
        return
    first, last = nodes[0].first, nodes[-1].last
    for stretch in recorded(
        paths, own, after_seq=first - 1, through_seq=last, tables={table.name}, window=_WINDOW
    ):
        yield from stretch.events


def _quoted(paths: LakePaths, tape: str, date: datetime.date) -> tuple[str, ...]:
    """Return the underlyings that a tape has option quotes of."""
    return subjects_of(Moments(paths, read_chain(paths, tape)), OPTION_QUOTES.name, date)


def _imaged(paths: LakePaths, own: Chain, date: datetime.date) -> tuple[str, ...]:
    """Return the underlyings that live kept chains of, on the date or the one before."""
    before = max((node.date for node in own.nodes if node.date < date), default=date)
    moments = Moments(paths, own)
    return tuple(s for day in (before, date) for s in subjects_of(moments, CHAIN_1M.name, day))


def _nodes(chain: Chain, date: datetime.date) -> list[Part | Manifest]:
    return [node for node in chain.nodes if node.date == date]


def _key(row: GexSecond | LevelChange) -> _Key:
    return row.symbol, row.scope, row.ts_recv_ns


def _difference(ours: GexSecond, theirs: GexSecond) -> str:
    names = ours.__struct_fields__
    found = [name for name in names if getattr(ours, name) != getattr(theirs, name)]
    return f"{ours.symbol} {ours.scope} {ours.ts_recv_ns}: {', '.join(found)}"


def _table(rows: list[GexSecond], shared: dict[str, Any], after: int) -> pa.Table:
    """Return rows as the table has them; they count from 1 in each file, and no tape has them."""
    schema = schema_of(GEX_RECOMPUTED)
    fixed = shared | {"source": OWN, "epoch": 0}
    columns = {
        name: [fixed[name]] * len(rows) if name in fixed else [getattr(row, name) for row in rows]
        for name in schema.names
    }
    columns["seq"] = list(range(after + 1, after + 1 + len(rows)))
    return pa.table(columns, schema=schema)


def _keep(
    paths: LakePaths,
    date: datetime.date,
    key: str,
    chain: Chain,
    tables: dict[str, list[pa.Table]],
) -> None:
    """Write the rows, symbol by symbol, in the place of those of the same key."""
    made_from = f"{chain.tape}:{_nodes(chain, date)[-1].last}"

    def write(path: Path) -> None:
        with DayWriter(GEX_RECOMPUTED, path, made_from=made_from) as writer:
            for symbol in sorted(tables):
                for rows in tables[symbol]:
                    writer.write(rows)

    record = Derived(
        table=GEX_RECOMPUTED.name,
        key=key,
        date=date,
        file=f"{GEX_RECOMPUTED.name}/date={date}/{key}-{made_from.replace(':', '-')}.parquet",
        rows=sum(rows.num_rows for several in tables.values() for rows in several),
        bytes=0,
        made_from=made_from,
        schema=LAKE_SCHEMA_VERSION,
    )
    commit_derived(paths, record, write)
