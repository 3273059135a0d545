"""The contracts in a chain answer: one row of Schwab's JSON each."""

import datetime
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.market.sessions import et_datetime, quote_close_ns
from gex_pipeline.market.symbology import to_schwab
from gex_pipeline.simulator.board import Board, Group
from gex_pipeline.simulator.instruments import INSTRUMENTS
from gex_pipeline.simulator.valuation import COLUMN

_ABSENT: Final = -999.0


class Row(msgspec.Struct, rename="camel"):
    """One contract: Schwab's 52 keys in its order."""

    put_call: str
    symbol: str
    description: str
    exchange_name: str
    bid: float
    ask: float
    last: float
    mark: float
    bid_size: int
    ask_size: int
    bid_ask_size: str
    last_size: int
    high_price: float
    low_price: float
    open_price: float
    close_price: float
    total_volume: int
    trade_time_in_long: int
    quote_time_in_long: int
    net_change: float
    volatility: float
    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float
    open_interest: int
    time_value: float
    theoretical_option_value: float
    theoretical_volatility: float
    option_deliverables_list: list[dict[str, object]]
    strike_price: float
    expiration_date: str
    days_to_expiration: int
    expiration_type: str
    last_trading_day: int
    multiplier: float
    settlement_type: str
    deliverable_note: str
    percent_change: float
    mark_change: float
    mark_percent_change: float
    intrinsic_value: float
    extrinsic_value: float
    option_root: str
    exercise_type: str
    high52_week: float = msgspec.field(name="high52Week")
    low52_week: float = msgspec.field(name="low52Week")
    non_standard: bool = False
    penny_pilot: bool = True
    in_the_money: bool = False
    mini: bool = False


def contract_rows(group: Group, board: Board, rows: Ints, sheet: Floats, days: int) -> list[Row]:
    """Return the contracts of one group as Schwab lists them."""
    numbers = np.where(np.isnan(sheet), _ABSENT, sheet)
    col = {name: numbers[:, place] for name, place in COLUMN.items()}
    right, strike = board.right[rows], board.strike[rows]
    intrinsic = np.round(right * (col["spot"] - strike), 2)
    change = np.round(col["last"] - col["close"], 2)
    mark_change = np.round(col["mark"] - col["close"], 2)
    base = np.maximum(col["close"], 0.01)
    high = np.maximum(col["last"], col["close"])
    low = np.minimum(col["last"], col["close"])
    iv = np.where(np.isnan(sheet[:, COLUMN["iv"]]), _ABSENT, np.round(col["iv"] * 100, 10))
    bid_size, ask_size = _whole(col["bid_size"]), _whole(col["ask_size"])
    n = rows.size
    under = to_schwab(group.symbol)
    is_index = INSTRUMENTS[group.symbol].kind == "index"
    texts = _texts(group, board, rows)
    listed = map(
        Row,
        ["CALL" if side > 0 else "PUT" for side in right.tolist()],
        [board.occ[row] for row in rows.tolist()],
        texts,
        ["OPR"] * n,
        col["bid"].tolist(),
        col["ask"].tolist(),
        col["last"].tolist(),
        col["mark"].tolist(),
        bid_size,
        ask_size,
        [f"{bid}X{ask}" for bid, ask in zip(bid_size, ask_size, strict=True)],
        _whole(col["last_size"]),
        high.tolist(),
        low.tolist(),
        [0.0] * n,
        col["close"].tolist(),
        _whole(col["volume"]),
        _whole(col["trade_ms"]),
        _whole(col["quote_ms"]),
        change.tolist(),
        iv.tolist(),
        *(col[name].tolist() for name in ("delta", "gamma", "theta", "vega", "rho")),
        _whole(col["open_interest"]),
        np.round(col["last"] - np.maximum(intrinsic, 0), 2).tolist(),
        col["theo"].tolist(),
        [29.0] * n,  # Schwab's own placeholder
        [[{"symbol": under, "assetType": "STOCK", "deliverableUnits": group.deliverable}]] * n,
        strike.tolist(),
        [_instant(group)] * n,
        [days] * n,
        [group.expiry.kind] * n,
        [_last_trading_ms(group)] * n,
        [100.0] * n,
        ["A" if group.am_settled else "P"] * n,
        [f"{group.deliverable:g} {under}{'(Cash)' if is_index else ''}"] * n,
        np.round(100 * change / base, 2).tolist(),
        mark_change.tolist(),
        np.round(100 * mark_change / base, 2).tolist(),
        intrinsic.tolist(),
        np.round(col["mark"] - intrinsic, 2).tolist(),
        [group.expiry.root] * n,
        ["E" if is_index else "A"] * n,
        high.tolist(),
        low.tolist(),
        [group.deliverable != 100] * n,
        [not is_index] * n,
        (intrinsic > 0).tolist(),
    )
    return list(listed)


def description(root: str, expiry: datetime.date, strike: float, right: int) -> str:
    """Return how Schwab describes a contract: SPXW 12/08/2025 6880.00 C."""
    return f"{root} {expiry:%m/%d/%Y} {strike:.2f} {'C' if right > 0 else 'P'}"


def _texts(group: Group, board: Board, rows: Ints) -> list[str]:
    terms = zip(board.strike[rows].tolist(), board.right[rows].tolist(), strict=True)
    return [description(group.expiry.root, group.expiry.date, *each) for each in terms]


def _whole(column: Floats) -> list[int]:
    whole: list[int] = column.astype(np.int64).tolist()
    return whole


def _instant(group: Group) -> str:
    close = datetime.datetime.fromtimestamp(_close_ns(group) // 1_000_000_000, datetime.UTC)
    return close.strftime("%Y-%m-%dT%H:%M:%S.000+00:00")


def _last_trading_ms(group: Group) -> int:
    return _close_ns(group) // 1_000_000


def _close_ns(group: Group) -> int:
    return quote_close_ns(et_datetime(group.settle_ns).date(), late=False)
