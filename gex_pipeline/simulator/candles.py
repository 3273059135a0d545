"""Candles of a market minute: about the very prices that level one tells in it."""

from collections.abc import Sequence
from typing import Final

from gex_pipeline.market.sessions import SECOND_NS, et_datetime, et_ns
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.frames import Item, Told
from gex_pipeline.simulator.instruments import Instrument, of_service
from gex_pipeline.simulator.services import CHART_EQUITY, CHART_FUTURES, EQUITIES, FUTURES
from gex_pipeline.simulator.spots import quoted

MINUTE_NS: Final = 60 * SECOND_NS
_LEVEL_ONE: Final = {CHART_EQUITY: EQUITIES, CHART_FUTURES: FUTURES}
_COUNTED_FROM: Final = 7
"""New York hour of the equities' candle 0."""
_DAY_S: Final = 86_400
_LATE: Final = 5
"""So many candles are caught up with; over a longer absence, as over a close, only the first."""


class CandleTeller:
    """Each minute's candle once it is over, numbered per connection; there is no first image."""

    def __init__(self, desk: Desk, service: str) -> None:
        self._desk = desk
        self._service = service
        self._instruments = of_service(_LEVEL_ONE[service])
        self._minute: dict[str, int] = {}
        """The one that is being made, by key."""
        self._count = 0

    def forget(self, keys: Sequence[str]) -> None:
        """Begin with the minute that runs."""
        for key in keys:
            self._minute.pop(key, None)

    def tell(self, keys: Sequence[str], fields: frozenset[int], ts_ns: int) -> Told:
        """Return the candles that have become whole; keys that nobody quotes are silent."""
        return [
            (key, self._item(candle, fields))
            for key in keys
            for candle in self._whole(key, ts_ns // MINUTE_NS)
        ]

    def _whole(self, key: str, minute: int) -> list[Item]:
        since = self._minute.setdefault(key, minute)
        self._minute[key] = minute
        instrument = self._instruments.get(key)
        if instrument is None or minute <= since:
            return []
        over = range(since, minute if minute - since <= _LATE else since + 1)
        candles = (self._candle(instrument, each * MINUTE_NS) for each in over)
        return [candle for candle in candles if candle is not None]

    def _candle(self, instrument: Instrument, from_ns: int) -> Item | None:
        spots, script = self._desk.market.spots, self._desk.market.script
        last_ns = from_ns + MINUTE_NS - 1
        is_open = quoted(from_ns, instrument.calendar)[1] == from_ns
        if not is_open or script.halted(instrument.symbol, last_ns):
            return None
        first, last = spots.look(instrument, from_ns), spots.look(instrument, last_ns)
        low, high = spots.reach(instrument, from_ns, last_ns)
        prices = (first.last, high, low, last.last, max(last.volume - first.volume, 0))
        ms = from_ns // 1_000_000
        if self._service == CHART_FUTURES:
            return {"1": ms, **dict(zip("23456", prices, strict=True))}
        opens_ns = et_ns(et_datetime(from_ns).date(), _COUNTED_FROM)
        number = (from_ns - opens_ns) // MINUTE_NS
        day = from_ns // SECOND_NS // _DAY_S
        return {"1": number, **dict(zip("23456", prices, strict=True)), "7": ms, "8": day}

    def _item(self, candle: Item, fields: frozenset[int]) -> Item:
        asked = {number: value for number, value in candle.items() if int(number) in fields}
        self._count += 1
        return asked | {"seq": self._count - 1}
