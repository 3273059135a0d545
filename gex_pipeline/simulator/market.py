"""The market itself: any instrument and option at any moment, from one seed."""

import datetime
from collections import OrderedDict
from functools import partial
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.market.sessions import (
    et_datetime,
    is_trading_day,
    previous_trading_day,
    quote_close_ns,
    session_date,
)
from gex_pipeline.simulator.assembly import (
    Lines,
    assemble,
    programme_lines,
    share_of,
    thinned,
)
from gex_pipeline.simulator.board import Board
from gex_pipeline.simulator.instruments import INSTRUMENTS, OPTIONABLE
from gex_pipeline.simulator.listings import PROGRAMMES, Programme
from gex_pipeline.simulator.mishaps import Blank, Void
from gex_pipeline.simulator.origin import Origin, origin_lines
from gex_pipeline.simulator.relisting import relisted
from gex_pipeline.simulator.script import Script, Span
from gex_pipeline.simulator.spots import Spots, quoted, resets
from gex_pipeline.simulator.valuation import Moment, theoretical, value

_OPTIONS_RESET: Final = (3, 30)
_KEPT_BOARDS: Final = 2


class Market:
    """All prices of one seed; an origin moves levels and one chain onto a real chain's."""

    def __init__(
        self,
        seed: int,
        contracts: int | None = None,
        origin: Origin | None = None,
        script: Script | None = None,
    ) -> None:
        self.seed = seed
        self.script = script or Script()
        self.spots = Spots(seed, self.script)
        self._contracts = contracts
        self._origin = origin
        self._boards: OrderedDict[tuple[datetime.date, tuple[Span, ...]], Board] = OrderedDict()
        if origin is not None:
            self.spots.move_to(INSTRUMENTS[origin.symbol], origin.spot, origin.ts_ns)

    def board(self, ts_ns: int) -> Board:
        """Return the contracts of the trading date that an instant belongs to, as then listed."""
        day = session_date(ts_ns, "index")
        key = day, self.script.listings(ts_ns)
        board = self._boards.get(key)
        if board is None:
            board = self._boards[key] = self._assembled(*key)
            while len(self._boards) > _KEPT_BOARDS:
                self._boards.popitem(last=False)
        return board

    def options(self, board: Board, rows: Ints, ts_ns: int) -> Floats:
        """Return the options' quotes at an instant: a column per field of valuation.FIELDS."""
        return value(board, rows, self.moment(ts_ns))

    def moment(self, ts_ns: int) -> Moment:
        """Return what options need to know of an instant."""
        void = [act.symbol for act in self.script.running(Void, ts_ns)]
        is_blank = self.script.runs(Blank, ts_ns)
        ts_ns = self.script.quoted_ns(ts_ns)
        hours, at_ns = quoted(ts_ns, "index")
        spot_ns = quoted(at_ns, "equity")[1]
        known = is_trading_day(et_datetime(ts_ns).date())
        return Moment(
            ts_ns=at_ns,
            spot=np.array(
                [self.spots.price(INSTRUMENTS[name], spot_ns, options=True) for name in OPTIONABLE]
            ),
            dividend=np.array([INSTRUMENTS[name].dividend for name in OPTIONABLE]),
            vol_level=self.spots.vol_level(spot_ns, options=True),
            part_of_day=(at_ns - hours.open_ns) / (hours.close_ns - hours.open_ns),
            reset=known and resets(ts_ns, _OPTIONS_RESET),
            interest_known=known and not is_blank,
            void=np.array(["" in void or name in void for name in OPTIONABLE]),
        )

    def _assembled(self, day: datetime.date, listings: tuple[Span, ...]) -> Board:
        lines = [
            line for programme in PROGRAMMES for line in self._listed(programme, day, listings)
        ]
        board = assemble(day, self.seed, lines)
        closed_ns = quote_close_ns(previous_trading_day(day), late=True) - 1
        prices = np.round(theoretical(board, self.moment(closed_ns)), 2)
        return msgspec.structs.replace(board, prev_close=prices)

    def _listed(
        self, programme: Programme, day: datetime.date, listings: tuple[Span, ...]
    ) -> list[Lines]:
        instrument = INSTRUMENTS[programme.symbol]
        closes = partial(self.spots.closes, instrument)
        listed = programme_lines(programme, instrument.factor, day, closes)
        if self._origin is not None and self._origin.symbol == programme.symbol:
            listed = origin_lines(self._origin, programme, listed, day)
        if self._contracts is not None:
            listed = thinned(listed, day, max(share_of(programme, self._contracts), 2))
        return relisted(listed, programme.symbol, day, listings)
