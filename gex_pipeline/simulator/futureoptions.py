"""Options on the front E-mini futures: any strike of a step, by one model on the future's price."""

import re
import zlib
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.market.sessions import et_ns
from gex_pipeline.options import black76
from gex_pipeline.simulator.frames import Item
from gex_pipeline.simulator.instruments import INSTRUMENTS, Front, Instrument
from gex_pipeline.simulator.market import Market
from gex_pipeline.simulator.noise import uniform
from gex_pipeline.simulator.spots import Look, quoted
from gex_pipeline.simulator.valuation import RATE

_KEY: Final = re.compile(r"\./(?P<root>ES|NQ)(?P<month>[HMUZ]\d\d)(?P<right>[CP])(?P<strike>\d+)")
_STEP: Final = {"/ES": 5, "/NQ": 10}
_REACH: Final = 0.3
"""Strikes are listed so far from the future."""
_YEAR_NS: Final = 365 * 86_400 * 1_000_000_000
_SHORTEST: Final = 1 / (365 * 1440)
_VOL, _TILT, _LEAST_VOL = 0.15, -0.8, 0.04
_SMALL_TICK, _LARGE_TICK, _LARGE_FROM = 0.05, 0.25, 5.0
_SLOT_MS: Final = 2000
_SALT: Final = 61


class _Contract(msgspec.Struct, frozen=True):
    future: Instrument
    front: Front
    right: int
    strike: float
    dice: int
    """Key of its noise."""


def future_option_fields(market: Market, key: str, ts_ns: int) -> Item | None:
    """Return all fields of an option such as ./ESZ26C6700; None: it is not listed."""
    ts_ns = market.script.quoted_ns(ts_ns)
    at_ns = quoted(ts_ns, "cme")[1]
    contract = _listed(market, key, at_ns)
    if contract is None or market.script.halted(contract.future.symbol, ts_ns):
        return None
    look = market.spots.look(contract.future, at_ns)
    exact = market.spots.price(contract.future, at_ns)
    prices = _prices(market, contract, at_ns, [exact, look.open, look.high, look.low, look.close])
    theo, *day = prices
    opened, first, second, close = (_on_tick(price) for price in day)
    bid, ask, sizes = _quote(theo, contract, look)
    last = bid if sizes[3] < 0.5 and bid > 0 else ask
    return {
        "1": bid,
        "2": ask,
        "3": last,
        "4": 1 + int(40 * sizes[0] ** 2),
        "5": 1 + int(40 * sizes[1] ** 2),
        "6": "?",
        "7": "?",
        "8": int(look.volume * 2e-4 * sizes[4]),
        "9": 1 + int(5 * sizes[2] ** 3),
        "10": look.ts_ms,
        "11": look.ts_ms,
        "12": max(opened, first, second, last),
        "13": min(opened, first, second, last),
        "14": close,
        "15": "?",
        "16": f"{contract.future.description} Option",
        "17": opened,
        "18": 10 + int(3000 * sizes[5] ** 2),
        "19": round((bid + ask) / 2, 4),
        "20": _tick(theo),
        "21": _tick(theo) * contract.future.multiplier,
        "22": contract.future.multiplier,
        "23": close,
        "24": contract.front.symbol,
        "25": contract.strike,
        "26": et_ns(contract.front.expiry, 9, 30) // 1_000_000,
        "27": "A",
        "28": "C" if contract.right > 0 else "P",
        "29": "Normal",
        "30": "@",
        "31": "XCME",
    }


def _listed(market: Market, key: str, at_ns: int) -> _Contract | None:
    named = _KEY.fullmatch(key)
    if named is None:
        return None
    future = INSTRUMENTS[f"/{named['root']}"]
    front = market.spots.front(future, at_ns)
    strike = int(named["strike"])
    reach = abs(np.log(strike / market.spots.price(future, at_ns))) if strike else np.inf
    is_listed = reach < _REACH and strike % _STEP[future.symbol] == 0
    if front.symbol != f"{future.symbol}{named['month']}" or not is_listed:
        return None
    right = 1 if named["right"] == "C" else -1
    return _Contract(future, front, right, float(strike), zlib.crc32(key.encode()))


def _prices(market: Market, contract: _Contract, at_ns: int, levels: list[float]) -> list[float]:
    """Return what the option is worth now at some prices of its future."""
    years = (et_ns(contract.front.expiry, 9, 30) - at_ns) / _YEAR_NS
    t = np.array(max(years, _SHORTEST))
    future, strike = np.array(levels), np.array(contract.strike)
    tilt = 1 + _TILT * np.log(strike / future) / np.sqrt(t + 0.05)
    sigma = np.maximum(_VOL * market.spots.vol_level(at_ns) * tilt, _LEAST_VOL)
    right = np.array(float(contract.right))
    prices: list[float] = black76.price(future, strike, t, RATE, sigma, right).tolist()
    return prices


def _quote(theo: float, contract: _Contract, look: Look) -> tuple[float, float, list[float]]:
    """Return bid, ask and the numbers that sizes come from."""
    slot = look.ts_ms // _SLOT_MS
    dice: list[float] = uniform(_SALT, contract.dice, slot, np.arange(4)).tolist()
    lasting: list[float] = uniform(_SALT, contract.dice, np.arange(2)).tolist()
    tick = _tick(theo)
    bid = max(round(np.floor(theo / tick) * tick, 4), 0.0)
    return float(bid), round(float(bid) + tick, 4), [*dice, *lasting]


def _tick(price: float) -> float:
    return _LARGE_TICK if price >= _LARGE_FROM else _SMALL_TICK


def _on_tick(price: float) -> float:
    return round(round(price / _tick(price)) * _tick(price), 4)
