"""Questions that Schwab would refuse cannot be made."""

import datetime
from typing import Any

import pytest

from gex_pipeline.errors import ChainSymbolError, RequestError, SymbolError
from gex_pipeline.feeds.schwab.requests import (
    MOST_QUOTES,
    ChainRequest,
    ExpirationsRequest,
    QuotesRequest,
)

DAY = datetime.date(2026, 11, 20)
NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("symbol", "said"),
    [
        ("/NQ", "Schwab has no chain of futures options, and so none of /NQ. Name NDX instead"),
        (
            "/ESZ26",
            "none of /ESZ26. Name SPX instead: its levels are shown at the prices of /ESZ26",
        ),
        ("/CL", "none of /CL. Name a share, fund or index instead."),
        ("NQ_NDX", "no option chain of NQ_NDX. Name NDX instead"),
        ("SPXW  261120C06000000", "no option chain of SPXW  261120C06000000. Name a share"),
    ],
)
def test_what_has_no_chain_is_told_with_what_has(symbol: str, said: str) -> None:
    """Futures, views, options: the message names what to ask for."""
    with pytest.raises(ChainSymbolError) as caught:
        ChainRequest(symbol, DAY, DAY)
    assert said in str(caught.value)
    with pytest.raises(ChainSymbolError):
        ExpirationsRequest(symbol)


@pytest.mark.parametrize(
    ("first", "last"), [(DAY, DAY - datetime.timedelta(1)), (NOON, DAY), ("2026-11-20", DAY)]
)
def test_a_window_is_from_one_date_to_a_later_one(first: Any, last: Any) -> None:
    """A moment or a text in the place of a date is what Schwab answers with 400."""
    with pytest.raises(RequestError):
        ChainRequest("SPX", first, last)


def test_quotes_are_of_one_to_so_many_traded_symbols() -> None:
    """None, too many, or a view are refused here."""
    assert QuotesRequest(("SPY", "/NQ", "SPX")).symbols[1] == "/NQ"
    for symbols in ((), ("SPY",) * (MOST_QUOTES + 1)):
        with pytest.raises(RequestError, match="Ask for 1 to"):
            QuotesRequest(symbols)
    with pytest.raises(SymbolError):
        QuotesRequest(("NQ_NDX",))
