"""What every option is quoted at, at one moment: price, volatility and greeks from one model.

Black-76 on the forward of the moment's spot; so price, implied volatility and greeks agree up to
the tick. Columns are those of `FIELDS`, floats, NaN where there is nothing to say.
"""

from typing import Final

import msgspec
import numpy as np
from scipy.special import ndtr

from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.market.roots import LARGE_TICK
from gex_pipeline.options import black76
from gex_pipeline.simulator.board import Board
from gex_pipeline.simulator.interest import traded
from gex_pipeline.simulator.noise import uniform
from gex_pipeline.simulator.smile import T_MIN, volatility

RATE: Final = 0.0425
"""Continuous, of the whole market."""
FIELDS: Final = (
    "bid", "ask", "bid_size", "ask_size", "last", "last_size", "mark", "volume", "open_interest",
    "iv", "delta", "gamma", "theta", "vega", "rho", "theo", "spot", "quote_ms", "trade_ms",
    "close",
)  # fmt: skip
COLUMN: Final = {name: place for place, name in enumerate(FIELDS)}
_YEAR_NS: Final = 525_600 * 60 * 1_000_000_000
_SLOT_MS: Final = 2000
_TICK_CHANGES_AT: Final = 3.0
"""Dollars; from here on index options move by dimes."""
_SIZE_SALT, _WIDTH_SALT = 31, 32
_MODELLED: Final = np.array(
    [COLUMN[name] for name in ("iv", "delta", "gamma", "theta", "vega", "rho")]
)
_QUOTED: Final = np.array(
    [COLUMN[name] for name in ("bid", "ask", "bid_size", "ask_size", "mark", "theo")]
)


class Moment(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The state of the market that options need, at one instant."""

    ts_ns: int
    """Market time of the newest quotes."""
    spot: Floats
    """Per underlying of instruments.OPTIONABLE."""
    dividend: Floats
    vol_level: float
    """Multiplies every volatility."""
    part_of_day: float
    """0 at the open, 1 at the close."""
    reset: bool
    """Between 03:30 and the open: volumes and volatilities are 0."""
    interest_known: bool
    """False on days without trading."""
    void: Bools
    """Per underlying: neither volatility nor greeks are known."""


def value(board: Board, rows: Ints, moment: Moment) -> Floats:
    """Return a row per contract asked for, a column per field of `FIELDS`, unrounded greeks."""
    model = _model(board, rows, moment)
    columns = model | _market(board, rows, model["theo"], moment)
    sheet = np.column_stack([columns[name] for name in FIELDS])
    dead = board.settle_ns[board.group[rows]] <= moment.ts_ns
    sheet[np.ix_(dead, _MODELLED)] = np.nan
    sheet[np.ix_(dead, _QUOTED)] = 0.0
    if moment.reset:
        sheet[:, (COLUMN["volume"], COLUMN["iv"])] = 0.0
    sheet[np.ix_(moment.void[board.under[rows]], _MODELLED)] = np.nan
    return sheet


def theoretical(board: Board, moment: Moment) -> Floats:
    """Return the model's price of every contract; 0 where it has settled."""
    theo = _model(board, np.arange(len(board)), moment)["theo"]
    return np.where(board.settle_ns[board.group] > moment.ts_ns, theo, 0.0)


def _model(board: Board, rows: Ints, moment: Moment) -> dict[str, Floats]:
    group, strike, right = board.group[rows], board.strike[rows], board.right[rows].astype(float)
    under = board.under[rows]
    spot, dividend = moment.spot[under], moment.dividend[under]
    years = (board.settle_ns - moment.ts_ns) / _YEAR_NS
    t = np.maximum(years[group], T_MIN)
    forward = spot * np.exp((RATE - dividend) * t)
    curve = volatility(board.table, group, np.log(strike / forward), board.ref[group], t)
    sigma = moment.vol_level * curve
    price = black76.price(forward, strike, t, RATE, sigma, right)
    floor = np.where(board.american[rows], np.maximum(right * (spot - strike), 0.0), 0.0)
    terms = _Terms(spot, forward, strike, t, sigma, right, dividend)
    return _greeks(terms) | {"theo": np.maximum(price, floor), "iv": sigma, "spot": spot}


class _Terms(msgspec.Struct, frozen=True, eq=False):
    spot: Floats
    forward: Floats
    strike: Floats
    t: Floats
    sigma: Floats
    right: Floats
    dividend: Floats


def _greeks(x: _Terms) -> dict[str, Floats]:
    """Return greeks by spot: theta a calendar day, vega a volatility point, rho a rate point."""
    d = black76.d1(x.forward, x.strike, x.t, x.sigma)
    d2 = d - x.sigma * np.sqrt(x.t)
    paid, discount = np.exp(-x.dividend * x.t), np.exp(-RATE * x.t)
    bell = x.spot * paid * black76.density(d)
    with_spot = x.right * paid * ndtr(x.right * d)
    with_cash = x.right * x.strike * discount * ndtr(x.right * d2)
    decay = x.dividend * x.spot * with_spot - RATE * with_cash
    return {
        "delta": with_spot,
        "gamma": bell / (x.spot**2 * x.sigma * np.sqrt(x.t)),
        "theta": (decay - bell * x.sigma / (2 * np.sqrt(x.t))) / 365,
        "vega": bell * np.sqrt(x.t) / 100,
        "rho": with_cash * x.t / 100,
    }


def _market(board: Board, rows: Ints, theo: Floats, moment: Moment) -> dict[str, Floats]:
    """Return the quotes, sizes and volumes around the model's prices."""
    identity = board.identity[rows]
    slot = moment.ts_ns // (_SLOT_MS * 1_000_000)
    now_ms = float(moment.ts_ns // 1_000_000)
    bid, ask = _spread(board.tick[rows], theo, uniform(_WIDTH_SALT, identity, slot))
    mark = np.round((bid + ask) / 2, 4)
    sizes = 1 + np.floor(80 * uniform(_SIZE_SALT, identity, slot) ** 3)
    volume = traded(board.day_volume[rows], moment.part_of_day, identity)
    untraded = volume == 0
    return {
        "bid": bid,
        "ask": ask,
        "bid_size": np.where(bid > 0, sizes, 0.0),
        "ask_size": 1 + np.floor(80 * uniform(_SIZE_SALT, slot, identity) ** 3),
        "last": np.where(untraded, board.prev_close[rows], np.maximum(mark, board.tick[rows])),
        "last_size": np.where(untraded, 0.0, np.minimum(sizes, np.maximum(volume, 1.0))),
        "mark": mark,
        "volume": volume,
        "open_interest": board.open_interest[rows] * moment.interest_known,
        "quote_ms": np.full(rows.size, now_ms),
        "trade_ms": np.where(untraded, 0.0, now_ms),
        "close": board.prev_close[rows],
    }


def _spread(small_tick: Floats, theo: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Return bid and ask on the ticks; nobody bids for what is worth less than half a tick."""
    is_large = small_tick == LARGE_TICK
    tick = np.where(is_large & (theo >= _TICK_CHANGES_AT), 2 * small_tick, small_tick)
    half = 0.5 * (tick + 0.006 * theo * (0.7 + 0.6 * noise))
    bid = np.maximum(np.round((theo - half) / tick), 0.0) * tick
    ask = np.maximum(np.round((theo + half) / tick) * tick, bid + tick)
    return np.round(bid, 2), np.round(ask, 2)
