"""Synthetic chains as a feed tells them: headers, option quotes, index values and heartbeats."""

import datetime

import msgspec
import numpy as np

from gex_pipeline.exposure.lane import Lane, Second
from gex_pipeline.exposure.underlying import Underlying
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.contracts import OptionContract, Right, format_occ
from gex_pipeline.market.events import ChainHeader, Event, Heartbeat, OptionQuote, Quote, Trade
from gex_pipeline.market.roots import option_root
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.synthetic import ASOF_NS

TAPE = "schwab.index"
S = SECOND_NS


def number(value: float) -> float | None:
    """Return None for NaN, as events have it."""
    return None if np.isnan(value) else float(value)


def quote_of(
    chain: OptionChain, row: int, recv_ns: int, *, streamed: bool = False, seq: int = 0
) -> OptionQuote:
    """Return one row of a chain as an event."""
    expiry: datetime.date = chain.expiry[row].item()
    right: Right = "C" if chain.right[row] > 0 else "P"
    contract = OptionContract(str(chain.root[row]), expiry, right, float(chain.strike[row]))
    return OptionQuote(
        format_occ(contract),
        recv_ns,
        recv_ns,
        seq,
        underlying=option_root(str(chain.root[row])).underlying,
        bid=number(chain.bid[row]),
        ask=number(chain.ask[row]),
        iv=number(chain.iv[row]),
        gamma=number(chain.gamma[row]),
        open_interest=int(chain.open_interest[row]),
        volume=int(chain.volume[row]),
        streamed=streamed,
    )


def header_of(chain: OptionChain, recv_ns: int, *, complete: bool = True) -> ChainHeader:
    """Return the header of the answer that holds the whole chain."""
    return ChainHeader(
        chain.symbol,
        recv_ns,
        recv_ns,
        first_expiry=chain.expiry.min().item(),
        last_expiry=chain.expiry.max().item(),
        contracts=len(chain),
        complete=complete,
        underlying_price=chain.spot,
    )


def spot_of(chain: OptionChain, recv_ns: int) -> list[Event]:
    """Return what a feed says of the underlying's price."""
    symbol, price = chain.symbol, chain.spot
    trade = Trade(symbol, recv_ns, recv_ns, price=price)
    if symbol == "SPX":
        return [trade]
    return [trade, Quote(symbol, recv_ns, recv_ns, bid=price - 0.01, ask=price + 0.01)]


def beat(recv_ns: int, *, connected: bool = True) -> Heartbeat:
    """Return a tape's heartbeat."""
    return Heartbeat("", recv_ns, recv_ns, received=1, connected=connected)


def told(chain: OptionChain, recv_ns: int = ASOF_NS, *, streamed: bool = False) -> list[Event]:
    """Return a whole chain, its underlying's price and a heartbeat, all received at once."""
    quotes: list[Event] = [
        quote_of(chain, row, recv_ns, streamed=streamed) for row in range(len(chain))
    ]
    return [header_of(chain, recv_ns), *quotes, *spot_of(chain, recv_ns), beat(recv_ns)]


def numbered(events: list[Event], first: int = 1) -> tuple[Event, ...]:
    """Return the events with the numbers that a spool would give them."""
    return tuple(msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(events, first))


def lane_of(*symbols: str) -> Lane:
    """Return a fresh lane of the index tape."""
    return Lane(TAPE, {symbol: Underlying(symbol, "simulator", "simulated") for symbol in symbols})


def feed(lane: Lane, events: list[Event]) -> list[Second]:
    """Have a lane take events that follow those it has; return the seconds that they complete."""
    first = lane.position[1] + 1 if lane.position else 1
    return list(lane.take(1, numbered(events, first)))
