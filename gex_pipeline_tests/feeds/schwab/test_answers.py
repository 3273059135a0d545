"""REST chains to a header and whole quotes."""

import datetime
from typing import Any

import msgspec

from gex_pipeline.feeds.schwab.answers import occ_symbols, read_expirations, read_part
from gex_pipeline.market.codec import decode_events, encode_events
from gex_pipeline.market.events import ChainHeader, OptionQuote

DAY = datetime.date(2025, 5, 20)
RECV_NS = 1_747_000_000_000_000_000
CALL = {
    "putCall": "CALL", "symbol": "SPXW  250520C05660000", "bid": 76, "ask": 77.4, "last": 78.9,
    "mark": 76.7, "bidSize": 7, "askSize": 8, "lastSize": 1, "totalVolume": 35,
    "quoteTimeInLong": 1_746_824_397_889, "volatility": 18.658, "delta": 0.509, "gamma": 0.002,
    "theta": -3.454, "vega": 3.928, "rho": 0.852, "openInterest": 12, "strikePrice": 5660,
    "multiplier": 100, "settlementType": "P", "optionRoot": "SPXW",
}  # fmt: skip


def answer(*contracts: dict[str, Any], **header: Any) -> bytes:
    """A /chains answer with these contracts on one expiry."""
    strikes = {str(index): [contract] for index, contract in enumerate(contracts)}
    fields = {
        "symbol": "$SPX",
        "isIndex": True,
        "interestRate": 4.25,
        "dividendYield": -1,
        "underlyingPrice": 5659.91,
        "callExpDateMap": {"2025-05-20:9": strikes},
    }
    return msgspec.json.encode(fields | header)


def test_a_header_and_a_quote_with_all_that_schwab_says() -> None:
    """Percent leave as fractions, -1 is no yield, and rows say that they were asked for."""
    header, quote = read_part(answer(CALL), DAY, DAY).events(RECV_NS)

    assert header == ChainHeader(
        "SPX",
        1_746_824_397_889_000_000,
        RECV_NS,
        first_expiry=DAY,
        last_expiry=DAY,
        contracts=1,
        complete=True,
        underlying_price=5659.91,
        interest_rate=0.0425,
    )
    assert quote == OptionQuote(
        "SPXW  250520C05660000",
        1_746_824_397_889_000_000,
        RECV_NS,
        underlying="SPX",
        bid=76,
        ask=77.4,
        bid_size=7,
        ask_size=8,
        last=78.9,
        last_size=1,
        mark=76.7,
        iv=18.658 / 100,
        delta=0.509,
        gamma=0.002,
        theta=-3.454,
        vega=3.928,
        rho=0.852,
        open_interest=12,
        volume=35,
        underlying_price=5659.91,
        settlement="P",
        streamed=False,
    )


def test_absent_greeks_are_none_and_a_cut_chain_says_so() -> None:
    """-999 is no number; isChainTruncated makes the part incomplete; a frame can hold it all."""
    absent = CALL | {"volatility": -999.0, "gamma": -999.0, "delta": "NaN", "theta": -999.0}

    part = read_part(answer(absent, isChainTruncated=True), DAY, DAY)
    events = list(part.events(RECV_NS))

    assert not part.complete
    quote = events[1]
    assert isinstance(quote, OptionQuote)
    assert (quote.iv, quote.gamma, quote.delta, quote.theta) == (None, None, None, None)
    assert decode_events(encode_events(events)) == events


def test_symbols_are_canonical_whatever_the_answer_spelled() -> None:
    """A strike with a tenth of a cent, a short root: OCC's 21 characters."""
    put = CALL | {"symbol": "SPX250520P00000500"}

    chain = read_part(answer(CALL, put), DAY, DAY).chain

    assert occ_symbols(chain).tolist() == ["SPXW  250520C05660000", "SPX   250520P00000500"]


def test_an_answer_without_contracts_is_an_empty_part() -> None:
    """NO_DATA is a header with no rows."""
    part = read_part(b'{"symbol": "SPY", "status": "NO_DATA"}', DAY, DAY)

    (header,) = part.events(RECV_NS)

    assert isinstance(header, ChainHeader)
    assert (header.symbol, header.contracts, header.underlying_price) == ("SPY", 0, None)


def test_expirations_come_once_and_in_order() -> None:
    """AM and PM of one day are one date."""
    days = ("2025-07-22", "2025-07-21", "2025-07-22")
    data = msgspec.json.encode({"expirationList": [{"expirationDate": day} for day in days]})

    assert read_expirations(data) == (datetime.date(2025, 7, 21), datetime.date(2025, 7, 22))
