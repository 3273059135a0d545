"""REST answers as typed facts: one window of a chain with all that Schwab says of each contract."""

import datetime
import math
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from gex_pipeline.feeds.document import decode_document
from gex_pipeline.feeds.numbers import Number, number
from gex_pipeline.feeds.schwab.chains import read_chain
from gex_pipeline.feeds.schwab.updates import count_chain
from gex_pipeline.market.arrays import Texts
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.events import ChainHeader, Event, OptionQuote

_ABSENT = -999.0
_BIGGEST = 1e15
_PERCENT = 100.0
_THOUSANDTHS = 1000


class _Row(msgspec.Struct, frozen=True, rename="camel"):
    """What a contract has beside the columns of an OptionChain."""

    symbol: str | None = None
    bid_size: Number = None
    ask_size: Number = None
    last: Number = None
    last_size: Number = None
    mark: Number = None
    delta: Number = None
    theta: Number = None
    vega: Number = None
    rho: Number = None


class _Header(msgspec.Struct, frozen=True, rename="camel"):
    is_delayed: bool | None = None
    is_chain_truncated: bool | None = None
    interest_rate: Number = None
    dividend_yield: Number = None
    call_exp_date_map: dict[str, dict[str, list[_Row]]] | None = None
    put_exp_date_map: dict[str, dict[str, list[_Row]]] | None = None


class _Expiration(msgspec.Struct, frozen=True, rename="camel"):
    expiration_date: datetime.date


class _Expirations(msgspec.Struct, frozen=True, rename="camel"):
    expiration_list: list[_Expiration] = []


class ChainPart(msgspec.Struct, frozen=True, eq=False):
    """One window of a chain as it was answered."""

    chain: OptionChain
    first: datetime.date
    last: datetime.date
    complete: bool
    """False: Schwab cut it short."""
    delayed: bool
    interest_rate: float | None
    """A fraction a year."""
    dividend_yield: float | None
    rows: dict[str, _Row]
    answer: bytes = b""
    """As it came."""
    listed: int = 0
    """Contracts that the answer lists, counted apart from what was made of them."""

    def events(self, ts_recv_ns: int) -> Iterator[Event]:
        """Yield the header, then a quote of every contract."""
        spot = finite(self.chain.spot)
        yield ChainHeader(
            symbol=self.chain.symbol,
            ts_event_ns=self.chain.ts_source_ns or ts_recv_ns,
            ts_recv_ns=ts_recv_ns,
            first_expiry=self.first,
            last_expiry=self.last,
            contracts=len(self.chain),
            complete=self.complete,
            underlying_price=spot,
            interest_rate=self.interest_rate,
            dividend_yield=self.dividend_yield,
            delayed=self.delayed,
        )
        for index, symbol in enumerate(occ_symbols(self.chain).tolist()):
            yield self._quote(index, symbol, spot, ts_recv_ns)

    def _quote(self, index: int, symbol: str, spot: float | None, ts_recv_ns: int) -> OptionQuote:
        chain, row = self.chain, self.rows.get(symbol, _NO_ROW)
        open_interest, volume = chain.open_interest[index], chain.volume[index]
        settlement = str(chain.settlement[index])
        return OptionQuote(
            symbol=symbol,
            ts_event_ns=int(chain.ts_quote_ns[index]) or chain.ts_source_ns or ts_recv_ns,
            ts_recv_ns=ts_recv_ns,
            underlying=chain.symbol,
            bid=finite(chain.bid[index]),
            ask=finite(chain.ask[index]),
            bid_size=size_of(row.bid_size),
            ask_size=size_of(row.ask_size),
            last=known(row.last),
            last_size=size_of(row.last_size),
            mark=known(row.mark),
            iv=finite(chain.iv[index]),
            delta=known(row.delta),
            gamma=finite(chain.gamma[index]),
            theta=known(row.theta),
            vega=known(row.vega),
            rho=known(row.rho),
            open_interest=int(open_interest) if open_interest >= 0 else None,
            volume=int(volume) if volume >= 0 else None,
            underlying_price=spot,
            settlement=settlement if settlement in ("A", "P") else None,  # type: ignore[arg-type] # one of the two, or None
            streamed=False,
        )


_NO_ROW = _Row()


def read_part(data: bytes, first: datetime.date, last: datetime.date) -> ChainPart:
    """Return the part of a chain in one /chains answer.

    Raises:
        ChainFileError: no such JSON.
    """
    header = decode_document(data, _Header, "a Schwab chain JSON")
    dividend = known(header.dividend_yield)
    return ChainPart(
        chain=read_chain(data),
        first=first,
        last=last,
        complete=not header.is_chain_truncated,
        delayed=bool(header.is_delayed),
        interest_rate=_fraction(known(header.interest_rate)),
        dividend_yield=None if dividend is None or dividend < 0 else _fraction(dividend),
        rows=dict(_rows(header)),
        answer=data,
        listed=count_chain(data) or 0,
    )


def missing_header(symbol: str, window: Sequence[datetime.date], ts_recv_ns: int) -> ChainHeader:
    """Return what a tape says of a window that could not be had."""
    return ChainHeader(
        symbol,
        ts_recv_ns,
        ts_recv_ns,
        first_expiry=window[0],
        last_expiry=window[-1],
        contracts=0,
        complete=False,
    )


def read_expirations(data: bytes) -> tuple[datetime.date, ...]:
    """Return the expirations of one /expirationchain answer, each once, in order.

    Raises:
        ChainFileError: no such JSON.
    """
    answer = decode_document(data, _Expirations, "a Schwab expiration chain JSON")
    return tuple(sorted({each.expiration_date for each in answer.expiration_list}))


def occ_symbols(chain: OptionChain) -> Texts:
    """Return every contract's canonical symbol, a row each."""
    roots = np.char.ljust(chain.root, 6) if len(chain) else chain.root
    days = chain.expiry.astype("datetime64[D]").astype(str).tolist()
    rights = ["C" if right > 0 else "P" for right in chain.right.tolist()]
    thousandths = np.rint(chain.strike * _THOUSANDTHS).astype(np.int64).tolist()
    parts = zip(roots.tolist(), days, rights, thousandths, strict=True)
    return np.array(
        [
            f"{root}{day[2:4]}{day[5:7]}{day[8:]}{right}{strike:08d}"
            for root, day, right, strike in parts
        ],
        dtype="U21",
    )


def _rows(header: _Header) -> Iterator[tuple[str, _Row]]:
    for dates in (header.call_exp_date_map, header.put_exp_date_map):
        for strikes in (dates or {}).values():
            for rows in strikes.values():
                yield from ((row.symbol, row) for row in rows if row.symbol)


def finite(value: float) -> float | None:
    """Return a number, or None for NaN, the infinities and what no field can hold."""
    return float(value) if abs(value) < _BIGGEST else None  # NaN compares as False


def known(value: Number) -> float | None:
    """Return a number, or None for Schwab's -999 and all that is none."""
    given = number(value)
    return None if math.isnan(given) or given == _ABSENT else finite(given)


def size_of(value: Number) -> float | None:
    """Return a number that is not negative, or None."""
    given = known(value)
    return None if given is None or given < 0 else given


def _fraction(percent: float | None) -> float | None:
    return None if percent is None else percent / _PERCENT
