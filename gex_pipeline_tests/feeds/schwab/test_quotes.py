"""Answers of /quotes: real ones, a future by its root, and what is none."""

from pathlib import Path

import msgspec
import pytest

from gex_pipeline.errors import ChainFileError
from gex_pipeline.feeds.schwab.quotes import read_quotes
from gex_pipeline.market.events import OptionQuote, Quote, Trade

OPTION = "NVDA  250307P00095000"
QUOTE = {"bidPrice": 1.0, "askPrice": 1.25, "lastPrice": 1.1, "quoteTime": 5, "tradeTime": 4}


@pytest.mark.samples
def test_real_answers(samples: Path) -> None:
    """A share, an option with 8 decimals of gamma, an index without a quote."""
    folder = samples / "schwab"
    (quote, trade) = read_quotes((folder / "quote_NVDA.json").read_bytes(), ["NVDA"], 9).events[
        "NVDA"
    ]
    assert isinstance(quote, Quote)
    assert isinstance(trade, Trade)
    assert (quote.bid, quote.ask, trade.price, trade.streamed) == (123.2, 123.22, 123.2291, False)
    (option,) = read_quotes((folder / "quote_NVDA_option.json").read_bytes(), [OPTION], 9).events[
        OPTION
    ]
    assert isinstance(option, OptionQuote)
    assert (option.gamma, option.open_interest) == (0.00614904, 1449)
    assert option.iv == pytest.approx(0.7707295226)
    (index,) = read_quotes((folder / "quote_SPX.json").read_bytes(), ["SPX"], 9).events["SPX"]
    assert isinstance(index, Trade)
    assert (index.price, index.volume) == (6071.17, None)


def test_a_future_is_answered_under_its_contract() -> None:
    """/ES under /ESZ26, told as such; the contract by its own name; an unknown one by none."""
    answer = {
        "/ESZ26": {"realtime": False, "quote": QUOTE},
        "errors": {"invalidSymbols": ["ZZZZ"]},
    }
    data = msgspec.json.encode(answer)

    found = read_quotes(data, ["/ES", "/ESZ26", "/NQ", "ZZZZ"], 9)

    root, contract = found.events["/ES"][0], found.events["/ESZ26"][0]
    assert isinstance(root, Quote)
    assert isinstance(contract, Quote)
    assert (root.symbol, root.contract, root.bid) == ("/ES", "/ESZ26", 1.0)
    assert (contract.symbol, contract.contract) == ("/ESZ26", None)
    assert found.delayed == {"/ES", "/ESZ26"}
    assert found.unknown == ("ZZZZ",)
    assert "/NQ" not in found.events  # left out, which is not to be unknown


def test_numbers_that_are_none_are_null() -> None:
    """-999 and texts of no number, in an option."""
    name = "SPXW  261120C07000000"
    quote = {"volatility": -999.0, "gamma": "NaN", "bidPrice": 0.0, "openInterest": 3}
    data = msgspec.json.encode({name: {"quote": quote, "reference": {"settlementType": "P"}}})

    (option,) = read_quotes(data, [name], 9).events[name]

    assert isinstance(option, OptionQuote)
    assert (option.iv, option.gamma, option.bid, option.open_interest) == (None, None, 0.0, 3)
    assert (option.settlement, option.underlying, option.ts_event_ns) == ("P", "SPX", 9)


@pytest.mark.parametrize("data", [b"<html>", b"[]", b'{"SPY": {"quote": 3}}'])
def test_what_is_no_answer_is_told(data: bytes) -> None:
    """A page of a proxy, another shape, a quote that is none."""
    with pytest.raises(ChainFileError):
        read_quotes(data, ["SPY"], 9)
