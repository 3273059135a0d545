"""The answer of /marketdata/v1/quotes, in Schwab's shape: 8-decimal greeks."""

from typing import Final

import msgspec
import numpy as np

from gex_pipeline.market.sessions import et_datetime
from gex_pipeline.market.symbology import to_schwab
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.fields import as_streamed
from gex_pipeline.simulator.frames import Item
from gex_pipeline.simulator.futureoptions import future_option_fields
from gex_pipeline.simulator.instruments import INSTRUMENTS
from gex_pipeline.simulator.rows import description
from gex_pipeline.simulator.valuation import COLUMN

_BY_NAME: Final = {each.vendor_name: symbol for symbol, each in INSTRUMENTS.items()}
_MAIN_TYPE: Final = {
    "index": "INDEX",
    "volatility": "INDEX",
    "share": "EQUITY",
    "future": "FUTURE",
    "forex": "FOREX",
}
_FUTURE_OPTION: Final = {
    "bidPrice": "1",
    "askPrice": "2",
    "lastPrice": "3",
    "bidSize": "4",
    "askSize": "5",
    "totalVolume": "8",
    "lastSize": "9",
    "quoteTime": "10",
    "tradeTime": "11",
    "highPrice": "12",
    "lowPrice": "13",
    "closePrice": "14",
    "openPrice": "17",
    "openInterest": "18",
    "mark": "19",
    "tick": "20",
    "tickAmount": "21",
    "securityStatus": "29",
}
"""Names of /quotes, and the numbers of the stream's fields."""
_FUTURE_OPTION_TERMS: Final = {
    "description": "16",
    "multiplier": "22",
    "underlying": "24",
    "strikePrice": "25",
    "expirationDate": "26",
    "contractType": "28",
    "exchange": "30",
    "exchangeName": "31",
}
_ABSENT: Final = -999.0


def quotes_answer(desk: Desk, names: list[str]) -> bytes:
    """Return the quotes of everything known, and the names that are not."""
    ts_ns = desk.now_ns()
    board = desk.published(ts_ns).board
    script = desk.market.script
    found: dict[str, object] = {}
    invalid = []
    for name in names:
        if name in _BY_NAME and not script.halted(_BY_NAME[name], ts_ns):
            symbol, quote = _instrument(desk, _BY_NAME[name], ts_ns)
            found[symbol] = quote
        elif name in board.row_of:
            found[name] = _option(desk, name, ts_ns)
        elif fields := future_option_fields(desk.market, name, ts_ns):
            found[name] = _future_option(name, fields)
        else:
            invalid.append(name)
    if invalid:
        found["errors"] = {"invalidSymbols": invalid}
    return msgspec.json.encode(found)


def _instrument(desk: Desk, symbol: str, ts_ns: int) -> tuple[str, dict[str, object]]:
    """Return a quote under its name: a future's is the contract that its root stands for."""
    instrument, look = INSTRUMENTS[symbol], desk.look(symbol, ts_ns)
    name = instrument.vendor_name
    if instrument.kind == "future":
        name = desk.market.spots.front(instrument, ts_ns).symbol
    change = round(look.last - look.close, 4)
    quote: dict[str, object] = {
        "closePrice": look.close,
        "highPrice": look.high,
        "lastPrice": look.last,
        "lowPrice": look.low,
        "netChange": change,
        "netPercentChange": round(100 * change / look.close, 8),
        "openPrice": look.open,
        "securityStatus": "Normal",
        "totalVolume": look.volume,
        "tradeTime": look.ts_ms,
    }
    if look.bid is not None:
        quote |= {
            "askPrice": look.ask,
            "askSize": look.ask_size,
            "bidPrice": look.bid,
            "bidSize": look.bid_size,
            "lastSize": look.last_size,
            "mark": look.last,
            "quoteTime": look.ts_ms,
        }
    return name, {
        "assetMainType": _MAIN_TYPE[instrument.kind],
        "realtime": True,
        "symbol": name,
        "quote": quote,
        "reference": {"description": instrument.description},
    }


def _future_option(name: str, fields: Item) -> dict[str, object]:
    quote = {field: fields[number] for field, number in _FUTURE_OPTION.items()}
    reference = {field: fields[number] for field, number in _FUTURE_OPTION_TERMS.items()}
    return {
        "assetMainType": "FUTURE_OPTION",
        "realtime": True,
        "symbol": name,
        "quote": quote,
        "reference": reference,
    }


def _option(desk: Desk, name: str, ts_ns: int) -> dict[str, object]:
    published = desk.published(ts_ns)
    board = published.board
    row = board.row_of[name]
    rows = np.array([row])
    market = desk.market.options(board, rows, ts_ns)
    values = as_streamed(published.with_trades(rows, market))[0]
    known = np.where(np.isnan(values), _ABSENT, values).tolist()
    col = {field: known[place] for field, place in COLUMN.items()}
    group = board.groups[int(board.group[row])]
    date = group.expiry.date
    strike, right = float(board.strike[row]), int(board.right[row])
    quote = {
        "askPrice": col["ask"],
        "askSize": int(col["ask_size"]),
        "bidPrice": col["bid"],
        "bidSize": int(col["bid_size"]),
        "closePrice": col["close"],
        **{field: col[field] for field in ("delta", "gamma", "theta", "vega", "rho", "mark")},
        "lastPrice": col["last"],
        "lastSize": int(col["last_size"]),
        "openInterest": int(col["open_interest"]),
        "quoteTime": int(col["quote_ms"]),
        "securityStatus": "Normal",
        "theoreticalOptionValue": col["theo"],
        "totalVolume": int(col["volume"]),
        "tradeTime": int(col["trade_ms"]),
        "underlyingPrice": col["spot"],
        "volatility": col["iv"] if col["iv"] == _ABSENT else round(col["iv"] * 100, 8),
    }
    reference = {
        "contractType": "C" if right > 0 else "P",
        "daysToExpiration": (date - et_datetime(ts_ns).date()).days,
        "description": description(group.expiry.root, date, strike, right),
        "expirationDay": date.day,
        "expirationMonth": date.month,
        "expirationType": group.expiry.kind,
        "expirationYear": date.year,
        "multiplier": 100.0,
        "settlementType": "A" if group.am_settled else "P",
        "strikePrice": strike,
        "underlying": to_schwab(group.symbol),
    }
    return {
        "assetMainType": "OPTION",
        "realtime": True,
        "symbol": name,
        "quote": quote,
        "reference": reference,
    }
