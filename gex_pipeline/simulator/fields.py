"""Numbered fields of the streamer's level-one services, as Schwab sends them."""

import datetime
from typing import Final

import numpy as np

from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.market.sessions import et_datetime, et_ns
from gex_pipeline.market.symbology import to_schwab
from gex_pipeline.simulator.board import Board
from gex_pipeline.simulator.instruments import INSTRUMENTS, Front, Instrument
from gex_pipeline.simulator.rows import description
from gex_pipeline.simulator.spots import Look
from gex_pipeline.simulator.valuation import COLUMN

_DIRECT: Final = {
    2: "bid", 3: "ask", 4: "last", 7: "close", 8: "volume", 9: "open_interest", 10: "iv",
    16: "bid_size", 17: "ask_size", 18: "last_size", 28: "delta", 29: "gamma", 30: "theta",
    31: "vega", 32: "rho", 34: "theo", 35: "spot", 37: "mark", 38: "quote_ms", 39: "trade_ms",
}  # fmt: skip
_DERIVED: Final = (11, 19, 25, 45)
"""Intrinsic, net change, time value, mark change."""
NUMBERED: Final = tuple(sorted((*_DIRECT, *_DERIVED)))
WHOLE: Final = frozenset({8, 9, 16, 17, 18, 38, 39})
COLUMN_OF: Final = {number: COLUMN[name] for number, name in _DIRECT.items()}
_IV, _SPOT = 10, 35
_GREEKS: Final = (28, 29, 30, 31, 32, 34)
_DECIMALS: Final = 8
_ABSENT: Final = -999.0
_PLACE: Final = {number: place for place, number in enumerate(NUMBERED)}


def as_streamed(sheet: Floats) -> Floats:
    """Return the quotes with greeks at the 8 decimals of quotes and stream, spot at its cent."""
    streamed = sheet.copy()
    columns = [COLUMN_OF[number] for number in _GREEKS]
    streamed[:, columns] = np.round(sheet[:, columns], _DECIMALS)
    iv, spot = COLUMN["iv"], COLUMN["spot"]
    streamed[:, iv] = np.round(sheet[:, iv] * 100, _DECIMALS) / 100
    streamed[:, spot] = np.round(sheet[:, spot], 2)
    return streamed


def option_numbers(board: Board, rows: Ints, sheet: Floats) -> Floats:
    """Return the fields that change, a column per number of `NUMBERED`; nothing known is -999."""
    col = {name: sheet[:, place] for name, place in COLUMN.items()}
    intrinsic = board.right[rows] * (col["spot"] - board.strike[rows])
    numbers = np.empty((rows.size, len(NUMBERED)))
    for number, column in COLUMN_OF.items():
        numbers[:, _PLACE[number]] = sheet[:, column]
    numbers[:, _PLACE[_IV]] = np.round(col["iv"] * 100, _DECIMALS)
    derived = (
        intrinsic,
        col["last"] - col["close"],
        col["last"] - np.maximum(intrinsic, 0),
        col["mark"] - col["close"],
    )
    for number, values in zip(_DERIVED, derived, strict=True):
        numbers[:, _PLACE[number]] = np.round(values, 2)
    return np.where(np.isnan(numbers), _ABSENT, numbers)


def option_terms(board: Board, row: int, today: datetime.date) -> dict[str, object]:
    """Return the fields that stay the same all day."""
    group = board.groups[int(board.group[row])]
    date, root = group.expiry.date, group.expiry.root
    instrument = INSTRUMENTS[group.symbol]
    is_index = instrument.kind == "index"
    right, strike = int(board.right[row]), float(board.strike[row])
    under = to_schwab(group.symbol)
    settles = et_datetime(group.settle_ns).date()
    return {
        "1": description(root, date, strike, right),
        "12": date.year,
        "13": 100.0,
        "14": 2,
        "20": strike,
        "21": "C" if right > 0 else "P",
        "22": under,
        "23": date.month,
        "24": f"100 {under}{'(Cash)' if is_index else ''}",
        "26": date.day,
        "27": (date - today).days,
        "33": "Normal",
        "36": group.expiry.kind,
        "40": "O",
        "41": "OPR",
        "42": et_ns(settles, 16) // 1_000_000,
        "43": "A" if group.am_settled else "P",
        "48": not is_index,
        "49": root,
        "55": "E" if is_index else "A",
    }


def equity_fields(instrument: Instrument, look: Look) -> dict[str, object]:
    """Return all fields of an index or fund; an index has no bid, ask and sizes."""
    change = round(look.last - look.close, 4)
    fields: dict[str, object] = {
        "3": look.last,
        "8": look.volume,
        "10": look.high,
        "11": look.low,
        "12": look.close,
        "15": instrument.description,
        "17": look.open,
        "18": change,
        "32": "Normal",
        "33": look.last,
        "34": look.ts_ms,
        "35": look.ts_ms,
        "42": round(100 * change / look.close, 8),
    }
    if look.bid is None:
        return fields | {"13": "0", "25": "Index"}
    return fields | {
        "1": look.bid,
        "2": look.ask,
        "4": 100 * look.bid_size,
        "5": 100 * look.ask_size,
        "6": "P",
        "7": "P",
        "9": 100 * look.last_size,
        "13": "P",
        "14": True,
        "16": "P",
        "25": "NYSE Arca",
        "29": look.last,
        "30": 100 * look.last_size,
        "36": look.ts_ms,
        "37": look.ts_ms,
        "38": look.ts_ms,
    }


def future_fields(instrument: Instrument, look: Look, front: Front) -> dict[str, object]:
    """Return all fields of a future, asked for by its root."""
    change = round(look.last - look.close, 4)
    return {
        "1": look.bid,
        "2": look.ask,
        "3": look.last,
        "4": look.bid_size,
        "5": look.ask_size,
        "6": "?",
        "7": "?",
        "8": look.volume,
        "9": look.last_size,
        "10": look.ts_ms,
        "11": look.ts_ms,
        "12": look.high,
        "13": look.low,
        "14": look.close,
        "15": "@",
        "16": instrument.description,
        "17": "?",
        "18": look.open,
        "19": change,
        "20": round(change / look.close, 8),
        "21": "XCME",
        "22": "Normal",
        "24": look.last,
        "25": instrument.tick,
        "26": instrument.tick * instrument.multiplier,
        "27": instrument.symbol,
        "28": "D,D",
        "30": True,
        "31": instrument.multiplier,
        "32": True,
        "33": look.close,
        "34": front.symbol,
        "35": et_ns(front.expiry, 9, 30) // 1_000_000,
        "37": look.ts_ms,
        "38": look.ts_ms,
        "39": True,
    }


def forex_fields(instrument: Instrument, look: Look) -> dict[str, object]:
    """Return all fields of a pair of currencies; nobody counts what is traded."""
    change = round(look.last - look.close, 6)
    return {
        "1": look.bid,
        "2": look.ask,
        "3": look.last,
        "4": 100_000 * look.bid_size,
        "5": 100_000 * look.ask_size,
        "6": 0,
        "7": 0,
        "8": look.ts_ms,
        "9": look.ts_ms,
        "10": look.high,
        "11": look.low,
        "12": look.close,
        "13": "T",
        "14": instrument.description,
        "15": look.open,
        "16": change,
        "17": round(100 * change / look.close, 8),
        "18": "GFT",
        "19": 5 if instrument.tick < 0.001 else 3,
        "20": "Normal",
        "21": instrument.tick,
        "25": True,
        "29": look.last,
    }
