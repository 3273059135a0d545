"""What a tape tells of one underlying: its options' quotes as columns, the rest as events."""

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gex_pipeline.exposure.quotes import QuoteBatch
from gex_pipeline.lake.groups import Span, groups_of, within
from gex_pipeline.lake.moments import Moments
from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.market.events import (
    KINDS,
    ChainHeader,
    Event,
    Gap,
    OptionQuote,
    Quote,
    Trade,
    tag_of,
)
from gex_pipeline.market.tables import EVENT_TABLES, OPTION_QUOTES

_QUOTES: Final = (
    "seq",
    "symbol",
    "ts_event_ns",
    "ts_recv_ns",
    "bid",
    "ask",
    "iv",
    "gamma",
    "last",
    "open_interest",
    "volume",
    "settlement",
    "streamed",
)
_SPOTS: Final[tuple[type[Event], ...]] = (Trade, Quote)
"""Of these the newest is as good as all, unless a gap is open."""
_WHOLE: Final[tuple[type[Event], ...]] = (ChainHeader, Gap)
_OTHERS: Final = (Gap, *(kind for kind in KINDS if kind not in (Gap, OptionQuote)))
_TAPE: Final = ""
"""Symbol of what concerns the whole tape."""


class Told(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Of one underlying; `quotes` and `quote_seq` are rows of its options in order."""

    quotes: QuoteBatch
    quote_seq: Ints
    events: tuple[Event, ...]
    """The others that count, by seq."""
    newest_seq: int
    """Number and receipt of the last event of all; 0: there is none."""
    newest_ns: int


def told_of(moments: Moments, symbol: str, after_seq: int, last_seq: int, *, every: bool) -> Told:
    """Return what the tape tells of an underlying between two numbers, the second one in it.

    `every`: each trade and quote of it, and not only the newest; so it is too with gaps among them.
    """
    span = (after_seq + 1, last_seq)
    seq, quotes = _quotes(_rows(moments, OPTION_QUOTES.name, span, (symbol,), _QUOTES))
    newest = [(int(seq[-1]), int(quotes.ts_recv_ns[-1]))] if seq.size else []
    events: list[Event] = []
    for kind in _OTHERS:
        table = EVENT_TABLES[tag_of(kind)].name
        subjects = (symbol, _TAPE) if kind is Gap else (symbol,)
        fields = kind.__struct_fields__ if kind in (*_SPOTS, *_WHOLE) else ("seq", "ts_recv_ns")
        rows = _rows(moments, table, span, subjects, (*fields, "symbol"))
        own = rows.filter(pc.equal(rows["symbol"], symbol))
        if own.num_rows:
            newest.append((own["seq"][-1].as_py(), own["ts_recv_ns"][-1].as_py()))
        if kind in _SPOTS and not every:
            rows = rows.slice(max(rows.num_rows - 1, 0))
        every = every or (kind is Gap and rows.num_rows > 0)
        if kind in (*_SPOTS, *_WHOLE):
            events += _events(kind, rows)
    newest_seq, newest_ns = max(newest, default=(0, 0))
    return Told(
        quotes=quotes,
        quote_seq=seq,
        events=tuple(sorted(events, key=_seq_of)),
        newest_seq=newest_seq,
        newest_ns=newest_ns,
    )


def origin_of(moments: Moments, symbol: str) -> tuple[str, str] | None:
    """Return source and mode of an underlying's first rows; None: there are none."""
    columns = ("source", "mode", "underlying")
    for path in moments.files(OPTION_QUOTES.name, 1, moments.chain.cursor):
        groups = groups_of(path)
        for group in groups.where(subject=symbol):
            rows = groups.read([group], columns)
            rows = rows.filter(pc.equal(rows["underlying"], symbol))
            if rows.num_rows:
                return rows["source"][0].as_py(), rows["mode"][0].as_py()
    return None


def subjects_of(moments: Moments, table: str, date: datetime.date) -> tuple[str, ...]:
    """Return the symbols of a table's rows of a session date, sorted; of options, underlyings."""
    found: set[str] = set()
    for node in moments.chain.nodes:
        for path in moments.files(table, node.first, node.last) if node.date == date else ():
            groups = groups_of(path)
            ends = {said and said[0] == said[1] and said[0] for said in groups.subject}
            if None in ends or False in ends:  # several in one group, or nothing said
                name = _subject(table)
                ends = set(groups.read(groups.where(), (name,))[name].unique().to_pylist())
            found |= {str(name) for name in ends}
    return tuple(sorted(found))


def _rows(
    moments: Moments,
    table: str,
    span: Span,
    subjects: Sequence[str],
    columns: Sequence[str],
) -> pa.Table:
    """Return rows of a table by seq, of these subjects only."""
    wanted = tuple(dict.fromkeys((*columns, _subject(table))))
    found = [_found(path, span, subjects, wanted) for path in moments.files(table, *span)]
    found = [rows for rows in found if rows is not None]
    if not found:
        return pa.table({name: pa.array([], _EMPTY.get(name, pa.null())) for name in wanted})
    rows = pa.concat_tables(found, promote_options="permissive")
    seq = rows["seq"].to_numpy()
    if (np.diff(seq) < 0).any():
        rows = rows.combine_chunks().take(pa.array(np.argsort(seq, kind="stable")))
    return rows.unify_dictionaries().combine_chunks()


def _found(path: Path, span: Span, subjects: Sequence[str], columns: Sequence[str]) -> Any:
    """Return the rows of one file; None: it has none."""
    groups = groups_of(path)
    name = "underlying" if "underlying" in groups.columns else "symbol"
    wanted = pa.array(subjects)
    found = []
    for group in sorted({g for one in subjects for g in groups.where(seq=span, subject=one)}):
        if groups.subject[group] == (subjects[0], subjects[0]):
            own = [column for column in columns if column != "underlying"]
            found.append(within(groups.read([group], own), span))
        elif _any_in(groups.read([group], ("seq", name)), span, name, wanted):
            rows = groups.read([group], columns)
            found.append(within(rows.filter(pc.is_in(rows[name], wanted)), span))
    return pa.concat_tables(found, promote_options="default") if found else None


def _any_in(rows: pa.Table, span: Span, name: str, wanted: pa.Array) -> bool:
    """Return whether any row counts: a group on the border of two symbols reaches over the day."""
    return bool(within(rows.filter(pc.is_in(rows[name], wanted)), span).num_rows)


_EMPTY: Final = {"seq": pa.int64(), "ts_recv_ns": pa.int64(), "symbol": pa.string()}


def _subject(table: str) -> str:
    return "underlying" if table == OPTION_QUOTES.name else "symbol"


def _quotes(rows: pa.Table) -> tuple[Ints, QuoteBatch]:
    """Return rows of options as a batch, and their numbers."""
    if not rows.num_rows:
        return np.zeros(0, dtype=np.int64), NOTHING
    names = rows["symbol"].combine_chunks()
    if not pa.types.is_dictionary(names.type):
        names = names.dictionary_encode()
    return rows["seq"].to_numpy(), QuoteBatch(
        names=tuple(names.dictionary.to_pylist()),
        name=names.indices.to_numpy().astype(np.int64),
        ts_event_ns=rows["ts_event_ns"].to_numpy(),
        ts_recv_ns=rows["ts_recv_ns"].to_numpy(),
        bid=_floats(rows, "bid"),
        ask=_floats(rows, "ask"),
        iv=_floats(rows, "iv"),
        gamma=_floats(rows, "gamma"),
        last=_floats(rows, "last"),
        open_interest=_floats(rows, "open_interest"),
        volume=_counts(rows, "volume"),
        settlement=_letters(rows),
        streamed=rows["streamed"].to_numpy().astype(bool),
    )


def _floats(rows: pa.Table, name: str) -> Floats:
    return rows[name].to_numpy().astype(np.float64, copy=False)  # type: ignore[no-any-return] # pyarrow


def _counts(rows: pa.Table, name: str) -> Floats:
    return pc.fill_null(rows[name], 0).to_numpy().astype(np.float64)  # type: ignore[no-any-return] # pyarrow


def _letters(rows: pa.Table) -> Any:
    if rows["settlement"].null_count == rows.num_rows:
        return np.zeros(rows.num_rows, dtype="U1")
    coded = pc.fill_null(rows["settlement"], "").combine_chunks().dictionary_encode()
    return np.array(coded.dictionary.to_pylist(), dtype="U1")[coded.indices.to_numpy()]


def _events(kind: type[Event], rows: pa.Table) -> Iterator[Event]:
    names = [name for name in kind.__struct_fields__ if name in rows.column_names]
    for row in rows.select(names).to_pylist():
        yield kind(**row)


def _seq_of(event: Event) -> int:
    return event.seq


NOTHING: Final = QuoteBatch(
    names=(),
    name=np.zeros(0, dtype=np.int64),
    ts_event_ns=np.zeros(0, dtype=np.int64),
    ts_recv_ns=np.zeros(0, dtype=np.int64),
    bid=np.zeros(0),
    ask=np.zeros(0),
    iv=np.zeros(0),
    gamma=np.zeros(0),
    last=np.zeros(0),
    open_interest=np.zeros(0),
    volume=np.zeros(0),
    settlement=np.zeros(0, dtype="U1"),
    streamed=np.zeros(0, dtype=bool),
)
