"""Columns of one underlying's contracts: a stable row each, changed in constant time.

Rows are written through memoryviews, which costs a third of writing through numpy, and lie side by
side: what one event changes is in two lines of the cache and not in a dozen. They are read as whole
columns, copied, which is what a fold needs.
"""

import math
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar, cast

import numpy as np

from gex_pipeline.errors import CalendarError
from gex_pipeline.exposure.live import Layout, Rows, lay_out
from gex_pipeline.exposure.quotes import Last, QuoteBatch, last_of
from gex_pipeline.exposure.trades import ANEW, Standing, trades_of
from gex_pipeline.market import sessions
from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.market.events import OptionQuote
from gex_pipeline.market.symbology import calendar_of

_Cell = TypeVar("_Cell")
_FIRST_CAPACITY: Final = 1024
_MINUTE_NS: Final = 60 * sessions.SECOND_NS
_EMPTY: Final[dict[str, Any]] = {
    "bid": np.nan,
    "ask": np.nan,
    "iv": np.nan,
    "gamma": np.nan,
    "open_interest": 0.0,
    "volume": 0.0,
    "quote_ns": 0,
    "seen_ns": 0,
    "changed_ns": 0,
    "streamed": False,
    "bought": 0.0,
    "sold": 0.0,
}
"""What row 0, which is no contract, and a fresh row hold."""
_ROW: Final = np.dtype(
    [(name, np.array(empty).dtype) for name, empty in _EMPTY.items()], align=True
)


class _Cells(Protocol[_Cell]):
    """A memoryview over an array of numbers of one type, which typing takes for bytes."""

    def __getitem__(self, row: int, /) -> _Cell: ...
    def __setitem__(self, row: int, value: _Cell, /) -> None: ...


class Columns:
    """Contracts in the order in which they appeared; a contract keeps its row for the day."""

    def __init__(self, symbol: str) -> None:
        self.since_ns = 0
        """A quote that was received before is not the day's: no trade is judged by it."""
        self._symbol = symbol
        self._calendar = calendar_of(symbol)
        self._row_of: dict[str, int] = {}
        self._contracts: tuple[str, ...] = ()
        self._settlements: list[str] = []
        self._stated: tuple[str, ...] = ()
        """They, as of the layout: whatever changes them unmakes it."""
        self._layout: Layout | None = None
        self._view(_empty(_FIRST_CAPACITY))

    def __len__(self) -> int:
        return len(self._settlements)

    @property
    def contracts(self) -> tuple[str, ...]:
        """OCC symbols, of row 1 and on."""
        if len(self._contracts) != len(self._row_of):
            self._contracts = tuple(self._row_of)
        return self._contracts

    @property
    def settlements(self) -> tuple[str, ...]:
        """What the vendor says of each: "A", "P" or ""."""
        if self._layout is None or len(self._stated) != len(self._settlements):
            self._stated = tuple(self._settlements)
        return self._stated

    @property
    def layout(self) -> Layout:
        """Where the rows stand in the chain; made anew only when contracts came or went."""
        if self._layout is None:
            self._layout = lay_out(self._symbol, self.contracts, self.settlements)
        return self._layout

    def write(self, event: OptionQuote) -> None:
        """Write what an event says into its contract's row."""
        row = self._row_of.get(event.symbol)
        if row is None:
            row = self._append(event.symbol, event.settlement or "")
        elif event.settlement and event.settlement != self._settlements[row - 1]:
            self._settlements[row - 1] = event.settlement
            self._layout = None
        volume = event.volume or 0.0
        if volume != self._volume[row]:
            self._count(row, volume, event.last)
            self._volume[row] = volume
        bid, ask, iv, gamma = event.bid, event.ask, event.iv, event.gamma
        bid = bid if bid is not None and bid >= 0 else math.nan  # a call each would cost as much
        ask = ask if ask is not None and ask >= 0 else math.nan
        if bid != self._bid[row] or ask != self._ask[row]:
            self._changed_ns[row] = event.ts_recv_ns
            self._bid[row] = bid
            self._ask[row] = ask
        self._iv[row] = iv if iv is not None and iv >= 0 else math.nan
        self._gamma[row] = gamma if gamma is not None and gamma >= 0 else math.nan
        held = event.open_interest
        if held or (held == 0 and self._open_interest[row] and self._trades(event.ts_recv_ns)):
            self._open_interest[row] = held
        self._quote_ns[row] = event.ts_event_ns
        self._seen_ns[row] = event.ts_recv_ns
        self._streamed[row] = event.streamed

    def _trades(self, ts_ns: int) -> bool:
        """Whether no open interest is believed at a moment: while the market is closed it is not.

        Vendors blank it then, on weekends above all, and what stood before still holds.
        """
        return _open_in(ts_ns // _MINUTE_NS, self._calendar)

    def _count(self, row: int, volume: float, last: float | None) -> None:
        """Count a change of the day's volume by side: exposure/trades.py has the rule."""
        stood = self._volume[row]
        if volume > stood:
            bid, ask = self._bid[row], self._ask[row]
            if last is None or last <= 0 or not bid < ask or self._seen_ns[row] < self.since_ns:
                return
            if last >= ask:
                self._bought[row] += volume - stood
            elif last <= bid:
                self._sold[row] += volume - stood
        elif volume < ANEW * stood:
            self._bought[row] = self._sold[row] = 0.0

    def write_many(self, batch: QuoteBatch) -> None:
        """Write what a batch says, as writing its events one after the other would."""
        if not len(batch):
            return
        row = self._rows_of(batch)
        self._settle(row, batch)
        arrays = self._arrays
        bid, ask = _prices(batch.bid), _prices(batch.ask)
        last = last_of(row, bid, ask, arrays["bid"], arrays["ask"])
        self._count_many(batch, last)
        moved = last.changed >= 0
        at, changed = last.row[moved], last.changed[moved]
        arrays["bid"][at], arrays["ask"][at] = bid[changed], ask[changed]
        arrays["changed_ns"][at] = batch.ts_recv_ns[changed]
        arrays["iv"][last.row] = _prices(batch.iv[last.newest])
        arrays["gamma"][last.row] = _prices(batch.gamma[last.newest])
        self._hold(batch, last)
        arrays["volume"][last.row] = batch.volume[last.newest]
        arrays["quote_ns"][last.row] = batch.ts_event_ns[last.newest]
        arrays["seen_ns"][last.row] = batch.ts_recv_ns[last.newest]
        arrays["streamed"][last.row] = batch.streamed[last.newest]

    def _hold(self, batch: QuoteBatch, last: Last) -> None:
        """Take over the last open interest of each row that is believed."""
        held = batch.open_interest[last.order]
        told_of, none = ~np.isnan(held), np.flatnonzero(held == 0)
        if none.size:
            minute = batch.ts_recv_ns[last.order[none]] // _MINUTE_NS
            minutes, of = np.unique(minute, return_inverse=True)
            trades = [_open_in(each, self._calendar) for each in minutes.tolist()]
            told_of[none] = np.array(trades)[of]
        places = np.maximum.reduceat(np.where(told_of, np.arange(held.size), -1), last.start)
        told = places >= 0
        self._arrays["open_interest"][last.row[told]] = held[places[told]]

    def _count_many(self, batch: QuoteBatch, last: Last) -> None:
        arrays = self._arrays
        before = Standing(*(arrays[name] for name in Standing.__struct_fields__))
        trades = trades_of(batch, last, before, self.since_ns)
        if trades is not None:
            for name, more in (("bought", trades.bought), ("sold", trades.sold)):
                arrays[name][trades.anew] = 0.0
                arrays[name][: more.size] += more

    def _rows_of(self, batch: QuoteBatch) -> Ints:
        """Return the row of each event; contracts that are new get theirs as they appear."""
        occurs = np.zeros(len(batch.names), dtype=bool)
        occurs[batch.name] = True
        rows, at = np.zeros(occurs.size, dtype=np.int64), np.flatnonzero(occurs)
        row_of, names = self._row_of.get, batch.names
        rows[at] = [row_of(names[name], 0) for name in at.tolist()]
        new, first = np.unique(batch.name[rows[batch.name] == 0], return_index=True)
        for name in new[np.argsort(first)].tolist():
            rows[name] = self._row_of.get(names[name]) or self._append(names[name], "")
        return rows[batch.name]

    def _settle(self, row: Ints, batch: QuoteBatch) -> None:
        """Take over the last settlement that the batch states of each contract."""
        stated = np.flatnonzero(batch.settlement != "")
        known = np.array([self._settlements[at - 1] for at in row[stated].tolist()], dtype="U1")
        if (known == batch.settlement[stated]).all():
            return
        rows, from_end = np.unique(row[stated][::-1], return_index=True)
        letters = batch.settlement[stated[stated.size - 1 - from_end]]
        for at, letter in zip(rows.tolist(), letters.tolist(), strict=True):
            if letter != self._settlements[at - 1]:
                self._settlements[at - 1] = letter
                self._layout = None

    def copy(self) -> Rows:
        """Return the rows as they are now."""
        size = len(self) + 1
        return Rows(**{name: array[:size].copy() for name, array in self._arrays.items()})

    def load(
        self,
        contracts: tuple[str, ...],
        settlements: tuple[str, ...],
        rows: Rows,
        layout: Layout | None = None,
    ) -> None:
        """Take over the rows of an image, in its order, and its layout."""
        self._row_of = {contract: row for row, contract in enumerate(contracts, 1)}
        self._contracts = contracts
        self._settlements = list(settlements)
        self._stated = settlements
        size = rows.bid.size
        table = _empty(size + max(_FIRST_CAPACITY, size))
        for name in _EMPTY:
            table[name][:size] = getattr(rows, name)
        self._layout = layout
        self._view(table)

    def begin_day(self, since_ns: int, alive: Bools) -> None:
        """Keep the contracts that are `alive`, a flag a row; what is older than `since_ns` is old.

        Volume and its sides count from zero again, and no stream vouches for a quote of the day
        before.
        """
        keep = np.flatnonzero(alive)
        contracts, rows = self.contracts, self.copy()
        old = rows.seen_ns < since_ns
        for counted in (rows.volume, rows.bought, rows.sold):
            counted[old] = 0.0
        rows.streamed[old] = False
        at = np.concatenate(([0], keep + 1))
        self.load(
            tuple(contracts[row] for row in keep.tolist()),
            tuple(self._settlements[row] for row in keep.tolist()),
            Rows(**{name: getattr(rows, name)[at] for name in _EMPTY}),
        )

    def _append(self, contract: str, settlement: str) -> int:
        row = len(self) + 1
        if row >= self._table.size:
            self._view(np.concatenate((self._table, _empty(self._table.size))))
        self._row_of[contract] = row
        self._settlements.append(settlement)
        self._layout = None
        return row

    def _view(self, table: np.ndarray) -> None:
        """Go on with this table of rows."""
        self._table = table
        self._arrays: dict[str, Any] = {name: table[name] for name in _EMPTY}
        views = {name: memoryview(cast("bytes", array)) for name, array in self._arrays.items()}
        self._bid: _Cells[float] = cast("_Cells[float]", views["bid"])
        self._ask: _Cells[float] = cast("_Cells[float]", views["ask"])
        self._iv: _Cells[float] = cast("_Cells[float]", views["iv"])
        self._gamma: _Cells[float] = cast("_Cells[float]", views["gamma"])
        self._open_interest: _Cells[float] = cast("_Cells[float]", views["open_interest"])
        self._volume: _Cells[float] = cast("_Cells[float]", views["volume"])
        self._quote_ns: _Cells[int] = cast("_Cells[int]", views["quote_ns"])
        self._seen_ns: _Cells[int] = cast("_Cells[int]", views["seen_ns"])
        self._changed_ns: _Cells[int] = cast("_Cells[int]", views["changed_ns"])
        self._streamed: _Cells[bool] = cast("_Cells[bool]", views["streamed"])
        self._bought: _Cells[float] = cast("_Cells[float]", views["bought"])
        self._sold: _Cells[float] = cast("_Cells[float]", views["sold"])


def _empty(size: int) -> np.ndarray:
    """Return so many rows that hold nothing."""
    return np.full(size, np.array(tuple(_EMPTY.values()), dtype=_ROW))


def _prices(values: Floats) -> Floats:
    """Return what is no price as NaN, as the intake of files does."""
    return np.where(values < 0, np.nan, values)


@lru_cache(maxsize=4096)
def _open_in(minute: int, calendar: sessions.Calendar) -> bool:
    """Return whether a calendar is in session throughout a minute: sessions end with minutes.

    Of years that it does not cover nobody knows: what is said is believed.
    """
    try:
        return sessions.in_session(minute * _MINUTE_NS, calendar)
    except CalendarError:
        return True
