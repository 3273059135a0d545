"""The answer of /marketdata/v1/chains, in Schwab's shape."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.market.symbology import to_schwab
from gex_pipeline.simulator.board import Board, Group
from gex_pipeline.simulator.instruments import INSTRUMENTS
from gex_pipeline.simulator.rows import Row, contract_rows
from gex_pipeline.simulator.spots import Look
from gex_pipeline.simulator.valuation import COLUMN, RATE

BODY_LIMIT: Final = 10 * 1000 * 1000
TOO_BIG: Final = {
    "fault": {
        "faultstring": "Body buffer overflow",
        "detail": {"errorcode": "protocol.http.TooBigBody"},
    }
}
TOO_BIG_STATUS: Final = 502
ROW_BYTES: Final = 1200
"""Of a contract in the JSON, about: the limit is judged before anything is encoded."""
_GREEKS: Final = [COLUMN[name] for name in ("iv", "delta", "gamma", "theta", "vega", "rho")]
_DECIMALS: Final = 3


def as_printed(sheet: Floats) -> Floats:
    """Return the quotes with greeks and percent volatility at the 3 decimals of a chain."""
    printed = sheet.copy()
    iv = COLUMN["iv"]
    printed[:, iv] = np.round(sheet[:, iv] * 100, _DECIMALS) / 100
    greeks = _GREEKS[1:]
    printed[:, greeks] = np.round(sheet[:, greeks], _DECIMALS)
    printed[:, COLUMN["theo"]] = np.round(sheet[:, COLUMN["theo"]], _DECIMALS)
    return printed


def chain_answer(  # noqa: PLR0913 # what a chain is made of
    symbol: str,
    board: Board,
    rows: Ints,
    sheet: Floats,
    look: Look,
    today: datetime.date,
    *,
    is_cut: bool = False,
) -> bytes:
    """Return the JSON of the contracts asked for, with the numbers as they stand in `sheet`.

    `is_cut`: it says that it holds only some of them.
    """
    spot = look.last
    maps: dict[int, dict[str, dict[str, list[Row]]]] = {1: {}, -1: {}}
    for group in board.groups:
        first, last = np.searchsorted(rows, (group.first, group.last))
        if group.symbol != symbol or first == last:
            continue
        dates = maps[1], maps[-1]
        _add_group(dates, group, board, rows[first:last], sheet[first:last], today)
    header = _header(symbol, rows.size, spot, look)
    header["isChainTruncated"] = is_cut
    header["callExpDateMap"], header["putExpDateMap"] = maps[1], maps[-1]
    return msgspec.json.encode(header)


def _add_group(
    maps: Sequence[dict[str, dict[str, list[Row]]]],
    group: Group,
    board: Board,
    rows: Ints,
    sheet: Floats,
    today: datetime.date,
) -> None:
    days = (group.expiry.date - today).days
    key = f"{group.expiry.date}:{days}"
    rights = board.right[rows].tolist()
    for row, right in zip(contract_rows(group, board, rows, sheet, days), rights, strict=True):
        strikes = maps[0 if right > 0 else 1].setdefault(key, {})
        strikes.setdefault(str(row.strike_price), []).append(row)


def _header(symbol: str, count: int, spot: float, look: Look) -> dict[str, object]:
    instrument = INSTRUMENTS[symbol]
    is_index = instrument.kind == "index"
    return {
        "symbol": to_schwab(symbol),
        "status": "SUCCESS" if count else "NO_DATA",
        "underlying": underlying(symbol, look),
        "strategy": "SINGLE",
        "interval": 0.0,
        "isDelayed": False,
        "isIndex": is_index,
        "interestRate": round(RATE * 100, 3),
        "underlyingPrice": spot if is_index else _middle(look),
        "volatility": 29.0,
        "daysToExpiration": 0.0,
        "dividendYield": -1.0 if is_index else round(instrument.dividend * 100, 3),
        "numberOfContracts": count,
        "assetMainType": "INDEX" if is_index else "EQUITY",
        "assetSubType": "" if is_index else "ETF",
    }


def underlying(symbol: str, look: Look) -> Mapping[str, object]:
    """Return the underlying's quote as it stands in a chain."""
    change = round(look.last - look.close, 2)
    return {
        "symbol": to_schwab(symbol),
        "description": INSTRUMENTS[symbol].description,
        "change": change,
        "percentChange": round(100 * change / look.close, 2),
        "close": look.close,
        "quoteTime": look.ts_ms,
        "tradeTime": look.ts_ms,
        "bid": look.bid if look.bid is not None else 0.0,
        "ask": look.ask if look.ask is not None else 0.0,
        "last": look.last,
        "mark": look.last,
        "markChange": change,
        "markPercentChange": round(100 * change / look.close, 2),
        "bidSize": look.bid_size if look.bid is not None else 0,
        "askSize": look.ask_size if look.ask is not None else 0,
        "highPrice": look.high,
        "lowPrice": look.low,
        "openPrice": look.open,
        "totalVolume": look.volume,
        "exchangeName": "IND" if look.bid is None else "PAC",
        "fiftyTwoWeekHigh": look.high,
        "fiftyTwoWeekLow": look.low,
        "delayed": False,
    }


def _middle(look: Look) -> float:
    if look.bid is None or look.ask is None:
        return look.last
    return round((look.bid + look.ask) / 2, 4)
