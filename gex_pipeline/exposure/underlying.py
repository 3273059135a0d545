"""The state of one underlying: what its tape has said so far, changed by one event at a time."""

import datetime
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure.columns import Columns
from gex_pipeline.exposure.gaps import Lost, opened, still_open
from gex_pipeline.exposure.live import Image, Spot, asof_ns, spot_ns
from gex_pipeline.exposure.quotes import QuoteBatch
from gex_pipeline.exposure.windows import Window, answered
from gex_pipeline.market import sessions
from gex_pipeline.market.events import (
    SOURCE_SEQUENCE,
    ChainHeader,
    Event,
    Gap,
    OptionQuote,
    Quote,
    Trade,
)

Position = tuple[int, int]
"""(epoch, seq) of the last event that is in."""

_RESET: Final = (3, 30)
"""Vendors reset volume and volatility between 03:30 and the open, New York."""


class Underlying:
    """One symbol's contracts, spot and chain windows; `dirty` once anything changed."""

    def __init__(self, symbol: str, source: str, mode: str) -> None:
        self.symbol = symbol
        self.dirty = False
        self.day: datetime.date | None = None
        """Trading date of the figures."""
        self.ts_recv_ns = 0
        self.columns = Columns(symbol)
        self._source, self._mode = source, mode
        self._spot = Spot()
        self._windows: tuple[Window, ...] = ()
        self._gaps: tuple[Lost, ...] = ()

    def take(self, event: Event) -> None:
        """Take in an event of this underlying or of one of its options."""
        self.ts_recv_ns = event.ts_recv_ns
        self.dirty = True
        match event:
            case OptionQuote():
                self.columns.write(event)
            case Trade(price=price):
                self._spot = msgspec.structs.replace(
                    self._spot, last=price, last_ns=event.ts_recv_ns
                )
            case Quote():
                self._spot = msgspec.structs.replace(
                    self._spot,
                    bid=_number(event.bid),
                    ask=_number(event.ask),
                    quote_ns=event.ts_recv_ns,
                )
            case ChainHeader():
                self._take_header(event)
            case Gap():
                self.take_gap(event)
        if self._gaps and isinstance(event, Trade | Quote | ChainHeader):
            self._close_gaps()

    def noted(self, ts_recv_ns: int) -> None:
        """Note that quotes were written into its columns, the newest of them received then."""
        self.ts_recv_ns = ts_recv_ns
        self.dirty = True

    def take_quotes(self, batch: QuoteBatch) -> None:
        """Take in many events of its options at once."""
        self.dirty = True
        self.columns.write_many(batch)

    def take_gap(self, gap: Gap) -> None:
        """Take in that something was not seen; ours, or the whole tape's.

        Of a gap in the tape's numbers whoever reads the tape knows better: it may be there. The
        source's own numbers are those of candles, of which no figure is made.
        """
        if gap.filled_by is None and gap.first_seq is None and gap.cause != SOURCE_SEQUENCE:
            self.lose(Lost(gap.ts_from_ns, gap.ts_to_ns, gap.cause))

    def lose(self, gap: Lost) -> None:
        """Take in that events are missing."""
        self.dirty = True
        self._gaps = opened(self._gaps, gap)
        self._close_gaps()

    def image(
        self, market_ns: int, watched_ns: int, heard_ns: int, positions: dict[str, Position]
    ) -> Image:
        """Return a consistent copy for the figures of a market time."""
        return Image(
            symbol=self.symbol,
            source=self._source,
            mode=self._mode,
            contracts=self.columns.contracts,
            settlements=self.columns.settlements,
            layout=self.columns.layout,
            rows=self.columns.copy(),
            spot=self._spot,
            asof_ns=asof_ns(market_ns, self.symbol),
            watched_ns=watched_ns,
            heard_ns=heard_ns,
            ts_recv_ns=self.ts_recv_ns,
            windows=self._windows,
            positions=positions,
            gaps=self._gaps,
        )

    def restore(self, image: Image) -> None:
        """Go on from an image."""
        self.columns.load(image.contracts, image.settlements, image.rows, image.layout)
        self._spot, self._windows, self._gaps = image.spot, image.windows, image.gaps
        self.ts_recv_ns = image.ts_recv_ns
        self._begin(sessions.et_datetime(image.asof_ns).date())
        self.dirty = True

    def roll(self, day: datetime.date) -> None:
        """Begin a trading date, at its open: yesterday's expiries go, and so does its volume."""
        if self.day is not None and day > self.day:
            groups = self.columns.layout.chain.groups
            alive = np.zeros(len(self.columns), dtype=bool)
            layout = self.columns.layout
            kept = np.array([group.settle_date >= day for group in groups], dtype=bool)
            rows = layout.row[:, kept[layout.chain.group]]
            alive[rows[rows > 0] - 1] = True
            self.columns.begin_day(sessions.et_ns(day, *_RESET), alive)
        self._begin(day)
        self._close_gaps()

    def _begin(self, day: datetime.date) -> None:
        self.day = day
        self.columns.since_ns = sessions.et_ns(day, *_RESET)

    def _close_gaps(self) -> None:
        """Forget the gaps since whose end all that counts has been received again."""
        alive = [w for w in self._windows if self.day is None or w.last_expiry >= self.day]
        received_ns = [window.ts_recv_ns if window.complete else 0 for window in alive] or [0]
        self._gaps = still_open(self._gaps, min(*received_ns, spot_ns(self._spot)))

    def _take_header(self, header: ChainHeader) -> None:
        """Take in what came with an answer of the chain."""
        new = Window(header.first_expiry, header.last_expiry, header.complete, header.ts_recv_ns)
        self._windows = answered(self._windows, new)
        if header.underlying_price is not None:
            self._spot = msgspec.structs.replace(
                self._spot, stated=header.underlying_price, stated_ns=header.ts_recv_ns
            )


def figures_due(market_ns: int) -> bool:
    """Return whether figures may be computed: not from the reset at 03:30 to the open."""
    moment = sessions.et_datetime(market_ns)
    if not sessions.is_trading_day(moment.date()):
        return True
    resetting = (moment.hour, moment.minute) >= _RESET
    return not resetting or market_ns >= sessions.regular_open_ns(moment.date())


def _number(value: float | None) -> float:
    return np.nan if value is None else value
