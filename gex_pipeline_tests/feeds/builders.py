"""Small chain files in every dialect, made up by hand: no number in them is anybody's quote."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

CSV_NAME = "S&P 500 INDEX,Last: 4697.2402,Change:  8.5602"
CSV_DATE = '"Date: January 7, 2024 at 10:52 AM EST",Bid: 4645.23,Ask: 4753.8999,Size: 1*1,Volume: 0'
CSV_SIDE = "Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest"
CSV_COLUMNS = f"Expiration Date,Calls,{CSV_SIDE},Strike,Puts,{CSV_SIDE}"
CSV_PREAMBLE = ("", CSV_NAME, CSV_DATE)

DAT_NAME = "^SPX (S&P 500 INDEX),3117.86,+20.12"
DAT_DATE = "Jun 22 2020 @ 20:42 ET,Bid,3117.8,Ask,3117.9,Size,1x1,Vol,0"
DAT_SIDE = "Last Sale,Net,Bid,Ask,Vol,IV,Delta,Gamma,Open Int"
DAT_COLUMNS = f"Expiration Date,Calls,{DAT_SIDE},Strike,Puts,{DAT_SIDE}"
DAT_PREAMBLE = (DAT_NAME, DAT_DATE)

OLD_SIDE = "Last Sale,Net,Bid,Ask,Vol,Open Int"
OLD_COLUMNS = f"Calls,{OLD_SIDE},Puts,{OLD_SIDE},"


def table_row(
    strike: str = "4700",
    *,
    root: str = "SPXW",
    day: str = "240119",
    printed: str = "Fri Jan 19 2024",
    call: str = "50.1,0.5,50,51,7,0.12,0.51,0.0031,1200",
    put: str = "49.1,-0.5,48,49.5,9,0.13,-0.49,0.0032,800",
) -> str:
    """Return a row of eleven columns a side: call, strike, put."""
    digits = f"{round(float(strike) * 1000):08d}"
    return f"{printed},{root}{day}C{digits},{call},{float(strike):.2f},{root}{day}P{digits},{put}"


def table_file(
    *rows: str,
    preamble: Sequence[str] = CSV_PREAMBLE,
    columns: str = CSV_COLUMNS,
    line_end: str = "\n",
    end: str | None = None,
) -> bytes:
    """Return a quote table; `end` is what follows the last row, a line end by default."""
    lines = [*preamble, columns, *(rows or (table_row(),))]
    return (line_end.join(lines) + (line_end if end is None else end)).encode()


def delayed_option(option: str = "RUT231020C01800000", **fields: Any) -> dict[str, Any]:
    """Return one option of the Cboe JSON."""
    plain = {
        "bid": 40.5,
        "bid_size": 7.0,
        "ask": 41.1,
        "iv": 0.1871,
        "open_interest": 120.0,
        "volume": 3.0,
        "delta": 0.52,
        "gamma": 0.0041,
        "last_trade_time": None,
    }
    return {"option": option, **plain, **fields}


def delayed_file(*options: Mapping[str, Any], **fields: Any) -> bytes:
    """Return a Cboe JSON; `fields` replace those of "data" and of the document."""
    data = {"options": list(options) or [delayed_option()], "current_price": 1806.1, "seqno": 7}
    top = {"timestamp": "2023-09-21 03:17:42", "symbol": "_RUT"}
    data |= {key: value for key, value in fields.items() if key not in top}
    top |= {key: value for key, value in fields.items() if key in top}
    return json.dumps({**top, "data": data}).encode()


def schwab_contract(symbol: str = "SPXW  250520C05660000", **fields: Any) -> dict[str, Any]:
    """Return one contract of a Schwab chain, fields that we ignore included."""
    plain = {
        "putCall": "CALL" if symbol[12:13] == "C" else "PUT",
        "symbol": symbol,
        "bid": 76.0,
        "ask": 77.4,
        "totalVolume": 35,
        "quoteTimeInLong": 1746824397889,
        "volatility": 18.658,
        "delta": 0.509,
        "gamma": 0.002,
        "openInterest": 44,
        "theoreticalVolatility": 29.0,
        "strikePrice": 5660.0,
        "expirationDate": "2025-05-20T20:00:00.000+00:00",
        "multiplier": 100.0,
        "settlementType": "P",
        "optionRoot": symbol[:6].strip(),
        "nonStandard": False,
        "mini": False,
    }
    return {**plain, **fields}


def schwab_file(*contracts: Mapping[str, Any], key: str = "2025-05-20:9", **fields: Any) -> bytes:
    """Return a Schwab chain; contracts go to the map of their side, several to one strike too."""
    maps: dict[str, dict[str, dict[str, list[Any]]]] = {"CALL": {}, "PUT": {}}
    for contract in contracts or (schwab_contract(),):
        strikes = maps[str(contract["putCall"])].setdefault(key, {})
        strikes.setdefault(str(contract["strikePrice"]), []).append(contract)
    answer = {
        "symbol": "$SPX",
        "status": "SUCCESS",
        "isIndex": True,
        "underlyingPrice": 5659.91,
        "volatility": 29.0,
        "isChainTruncated": False,
        "underlying": None,
        "callExpDateMap": maps["CALL"],
        "putExpDateMap": maps["PUT"],
    }
    return json.dumps(answer | fields).encode()
