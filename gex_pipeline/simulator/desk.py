"""The market as the server tells it: the moment's quotes, what has been told, the send log."""

import datetime
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Ints
from gex_pipeline.market.clock import MarketClock
from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.market.symbology import to_schwab
from gex_pipeline.simulator.chains import as_printed, chain_answer
from gex_pipeline.simulator.fields import equity_fields, forex_fields, future_fields
from gex_pipeline.simulator.frames import Item
from gex_pipeline.simulator.futureoptions import future_option_fields
from gex_pipeline.simulator.instruments import INSTRUMENTS, OPTIONABLE, of_service
from gex_pipeline.simulator.market import Market
from gex_pipeline.simulator.published import Published
from gex_pipeline.simulator.sendlog import SendLog
from gex_pipeline.simulator.services import EQUITIES, FOREX, FUTURES, FUTURES_OPTIONS
from gex_pipeline.simulator.spots import Look
from gex_pipeline.simulator.timeline import Timeline

CHAIN: Final = "CHAIN"
"""Service of chain answers in the send log."""
_INSTRUMENTS: Final = {service: of_service(service) for service in (EQUITIES, FUTURES, FOREX)}


class Desk:
    """Joins market, clock and send log; all of the protocol's parts ask here."""

    def __init__(
        self, market: Market, timeline: Timeline, log: SendLog, mono_ns: Callable[[], int]
    ) -> None:
        self.market = market
        self.timeline = timeline
        self.log = log
        self.mono_ns = mono_ns
        self.is_held = False
        """The stream says nothing new until it is released."""
        self._published: Published | None = None
        self._newest_ns = 0

    def now_ns(self) -> int:
        """Return the market time."""
        return self.timeline.now_ns(self.mono_ns())

    def clock(self) -> MarketClock:
        """Return the market clock that holds now."""
        return self.timeline.clock(self.mono_ns())

    def today(self, ts_ns: int) -> datetime.date:
        """Return the New York date of an instant."""
        return et_datetime(ts_ns).date()

    def published(self, ts_ns: int) -> Published:
        """Return what has been told of the trading date's options."""
        self._newest_ns = max(self._newest_ns, ts_ns)  # what is listed once stays so
        board, told = self.market.board(self._newest_ns), self._published
        if told is None or told.board.day != board.day:
            spots = {} if told is None else told.spots
            told = Published(board)
            told.spots = spots
        elif told.board is not board:
            told = told.on(board)
        self._published = told
        return told

    def look(self, symbol: str, ts_ns: int) -> Look:
        """Return an instrument's market."""
        return self.market.spots.look(INSTRUMENTS[symbol], ts_ns)

    def spot_fields(self, service: str, key: str, ts_ns: int) -> Item | None:
        """Return all stream fields of a key of level one; None: nobody quotes it."""
        if service == FUTURES_OPTIONS:
            return future_option_fields(self.market, key, ts_ns)
        instrument = _INSTRUMENTS[service].get(key)
        if instrument is None or self.market.script.halted(instrument.symbol, ts_ns):
            return None
        look = self.market.spots.look(instrument, ts_ns)
        if service == FUTURES:
            return future_fields(instrument, look, self.market.spots.front(instrument, ts_ns))
        return (
            forex_fields(instrument, look) if service == FOREX else equity_fields(instrument, look)
        )

    def chain(
        self, symbol: str, rows: Ints, ts_ns: int, *, is_cut: bool = False
    ) -> Callable[[], bytes]:
        """Note a chain answer as told, and return what encodes it: that part may use a thread."""
        published = self.published(ts_ns)
        board = published.board
        sheet = published.with_trades(rows, self.market.options(board, rows, ts_ns))
        printed = as_printed(sheet)
        look = self.look(symbol, ts_ns)
        published.tell(rows, printed)
        today = self.today(ts_ns)
        return partial(chain_answer, symbol, board, rows, printed, look, today, is_cut=is_cut)

    def dump(self, symbol: str, *, told: bool) -> bytes:
        """Return a whole chain at full precision: as it was told, or as the market is now.

        Told is what a receiver without a fault holds: each contract's newest values sent, by
        stream or chain, and the underlying's; contracts never told of are left out.
        """
        ts_ns = self.now_ns()
        published = self.published(ts_ns)
        board = published.board
        rows = np.flatnonzero(board.under == OPTIONABLE.index(symbol))
        look = self.look(symbol, ts_ns)
        if not told:
            sheet = self.market.options(board, rows, ts_ns)
            return chain_answer(symbol, board, rows, sheet, look, self.today(ts_ns))
        rows = rows[~np.isnan(published.sheet[rows, 0])]
        look = _as_told(look, published.spots.get(to_schwab(symbol), {}))
        sheet = published.sheet[rows]
        return chain_answer(symbol, board, rows, sheet, look, self.today(ts_ns))


def _as_told(look: Look, fields: dict[str, object]) -> Look:
    """Return the underlying's market with the stream's newest fields where it has any."""
    names = {"1": "bid", "2": "ask", "3": "last", "34": "ts_ms"}
    told = {names[number]: value for number, value in fields.items() if number in names}
    return msgspec.structs.replace(look, **told)
