"""Books of price levels, whole each time: at the top what level one quotes, below it less."""

import zlib
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.frames import Item, Told
from gex_pipeline.simulator.instruments import INSTRUMENTS
from gex_pipeline.simulator.noise import uniform
from gex_pipeline.simulator.services import NASDAQ_BOOK, NYSE_BOOK, OPTIONS_BOOK
from gex_pipeline.simulator.valuation import COLUMN

PACE_NS: Final = 1_000_000_000
"""Market time between two books of one key."""
_SHARE_MAKERS: Final = ("NSDQ", "ARCX", "BATX", "EDGX", "IEXG", "MEMX", "MIAX", "NYSE", "BATY", "G")
_OPTION_MAKERS: Final = (
    "CBOE", "PHLX", "ISEX", "AMEX", "BATS", "EDGX", "MIAX", "BOSX", "XBXO", "MERC", "GMNI", "S",
)  # fmt: skip
_AGE_MS: Final = 900
"""Quotes of market makers are up to so old."""
_SALT: Final = 71
_SIDES: Final = (("2", -1), ("3", 1))
"""Field numbers of bids and asks, and which way their prices go."""


class Top(msgspec.Struct, frozen=True):
    """What a book is built from: the quotes of level one."""

    prices: tuple[float, float]
    """Bid and ask; 0: nobody."""
    sizes: tuple[int, int]
    tick: float
    ts_ms: int


class _Depth(msgspec.Struct, frozen=True):
    """How books of a service look."""

    levels: int
    lot: int
    makers: tuple[str, ...]


_DEPTH: Final = {
    NYSE_BOOK: _Depth(8, 100, _SHARE_MAKERS),
    NASDAQ_BOOK: _Depth(8, 100, tuple(name.lower() for name in _SHARE_MAKERS)),
    OPTIONS_BOOK: _Depth(3, 1, _OPTION_MAKERS),
}


class BookTeller:
    """Each key's whole book where it has changed, at most once a market second."""

    def __init__(self, desk: Desk, service: str) -> None:
        self._desk = desk
        self._service = service
        self._listed = {
            each.vendor_name: each for each in INSTRUMENTS.values() if each.book == service
        }
        self._told: dict[str, tuple[int, Top]] = {}

    def forget(self, keys: Sequence[str]) -> None:
        """Make the next telling of these keys come at once."""
        for key in keys:
            self._told.pop(key, None)

    def tell(self, keys: Sequence[str], fields: frozenset[int], ts_ns: int) -> Told:
        """Return the books that are due; keys that nobody quotes are silent."""
        due = [key for key in keys if self._is_due(key, ts_ns)]
        tops = (
            self._option_tops(due, ts_ns)
            if self._service == OPTIONS_BOOK
            else self._tops(due, ts_ns)
        )
        told = []
        for key, top in tops.items():
            before = self._told.get(key)
            if before is not None and before[1] == top:
                continue
            self._told[key] = ts_ns, top
            book = book_fields(top, _DEPTH[self._service], zlib.crc32(key.encode()))
            told.append((key, {name: book[name] for name in book if int(name) in fields}))
        return told

    def _is_due(self, key: str, ts_ns: int) -> bool:
        before = self._told.get(key)
        return before is None or ts_ns - before[0] >= PACE_NS

    def _tops(self, keys: Sequence[str], ts_ns: int) -> dict[str, Top]:
        tops = {}
        for key in keys:
            instrument = self._listed.get(key)
            if instrument is None or self._desk.market.script.halted(instrument.symbol, ts_ns):
                continue
            look = self._desk.look(instrument.symbol, ts_ns)
            prices = look.bid or 0.0, look.ask or 0.0
            sizes = 100 * look.bid_size, 100 * look.ask_size
            tops[key] = Top(prices, sizes, instrument.tick, look.ts_ms)
        return tops

    def _option_tops(self, keys: Sequence[str], ts_ns: int) -> dict[str, Top]:
        board = self._desk.published(ts_ns).board
        keys = [key for key in keys if key in board.row_of]
        if not keys:
            return {}
        rows = np.array([board.row_of[key] for key in keys], dtype=np.int64)
        sheet = self._desk.market.options(board, rows, ts_ns)
        names = ("bid", "ask", "bid_size", "ask_size", "quote_ms")
        quotes = sheet[:, [COLUMN[name] for name in names]].tolist()
        ticks = board.tick[rows].tolist()
        return {
            key: Top((bid, ask), (int(bids), int(asks)), tick, int(ts_ms))
            for key, (bid, ask, bids, asks, ts_ms), tick in zip(keys, quotes, ticks, strict=True)
        }


def book_fields(top: Top, depth: _Depth, dice: int) -> Item:
    """Return all fields of a book."""
    book: Item = {"1": top.ts_ms}
    for place, (number, way) in enumerate(_SIDES):
        noise = uniform(_SALT, dice, top.ts_ms, place, np.arange(depth.levels * 4))
        book[number] = _levels(top, place, way, depth, noise.reshape(depth.levels, 4).tolist())
    return book


def _levels(top: Top, place: int, way: int, depth: _Depth, noise: list[list[float]]) -> list[Item]:
    """Return one side's levels, the best first; none where nobody quotes."""
    price, size = top.prices[place], top.sizes[place]
    levels: list[Item] = []
    for number, (step, amount, spread, age) in enumerate(noise):
        if number:
            price = round(price + way * top.tick * (1 + int(4 * step**3)), 4)
            size = depth.lot * (1 + int(9 * amount**2))
        if price <= 0:
            break
        makers = _makers(size // depth.lot, depth, spread)
        quoted_ms = _since_midnight(top.ts_ms) - int(_AGE_MS * age)
        levels.append(
            {
                "0": price,
                "1": size,
                "2": len(makers),
                "3": [
                    {"0": name, "1": lots * depth.lot, "2": max(quoted_ms - 7 * rank, 0)}
                    for rank, (name, lots) in enumerate(makers)
                ],
            }
        )
    return levels


def _makers(lots: int, depth: _Depth, spread: float) -> list[tuple[str, int]]:
    """Return who holds a level's lots, the largest first."""
    count = 1 + int(spread * min(lots, len(depth.makers)))
    count = min(count, lots, len(depth.makers))
    first = int(spread * 997) % len(depth.makers)
    names = [depth.makers[(first + rank) % len(depth.makers)] for rank in range(count)]
    each, rest = divmod(lots, count)
    return [(name, each + (rest if rank == 0 else 0)) for rank, name in enumerate(names)]


def _since_midnight(ts_ms: int) -> int:
    moment = et_datetime(ts_ms * 1_000_000)
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000 + ts_ms % 1000
