"""What is streamed in any case, and what is wrong with what was named."""

import pytest

from gex_pipeline.feeds.schwab.fields import (
    CHART_EQUITY,
    CHART_FUTURES,
    EQUITIES,
    FOREX,
    FUTURES,
    FUTURES_OPTIONS,
    NASDAQ_BOOK,
    NYSE_BOOK,
    OPTIONS,
    OPTIONS_BOOK,
)
from gex_pipeline.settings import load
from gex_pipeline.streamer.plan import make_plan

CONTRACT = "SPXW  261120C07000000"


def test_every_spelling_is_taken_and_the_usual_symbols_are_there() -> None:
    """Underlyings, SCHWAB_SYMBOLS, /ES, /NQ and VIX, each once, in Schwab's words at the end."""
    plan, problems = make_plan(("$SPX", "SPY"), ("MNQ", "spy", "VIX"), 100)

    assert problems == ()
    assert plan.chains == ("SPX", "SPY")
    # six of level one, six candles, SPY's book at both exchanges
    assert (plan.fixed, plan.option_room) == (14, 86)
    keys = plan.keys(["X"])
    assert keys[EQUITIES] == ["$SPX", "SPY", "$VIX"]
    assert keys[FUTURES] == ["/MNQ", "/ES", "/NQ"]
    assert keys[OPTIONS] == ["X"]


def test_every_problem_is_told_with_its_cure() -> None:
    """All at once: no symbol, no chain, not traded, no room."""
    plan, problems = make_plan(("SPX", "?", "/NQ"), ("NQ_NDX", "!"), 4)

    assert plan.chains == ("SPX",)
    assert len(problems) == 5
    assert sum("GEX_SYMBOLS" in problem for problem in problems) == 2
    assert any("no chain of futures options" in problem for problem in problems)
    assert any("Name NDX instead" in problem for problem in problems)
    assert any("NQ_NDX, which is not traded" in problem for problem in problems)
    assert any("leaves no room" in problem for problem in problems)


def test_candles_and_books_come_with_what_is_streamed() -> None:
    """Books of shares are asked of both exchanges; of an index or a future Schwab has none."""
    plan, problems = make_plan(("SPX",), ("SPY", "BRK.B", "MNQ"), 100)

    keys = plan.keys(())
    assert problems == ()
    assert keys[CHART_EQUITY] == keys[EQUITIES] == ["$SPX", "SPY", "BRK/B", "$VIX"]
    assert keys[CHART_FUTURES] == keys[FUTURES]
    assert keys[NYSE_BOOK] == keys[NASDAQ_BOOK] == ["SPY", "BRK/B"]
    assert keys[OPTIONS_BOOK] == keys[FOREX] == keys[FUTURES_OPTIONS] == []
    assert plan.fixed == sum(map(len, keys.values()))


def test_books_of_the_symbols_that_are_named_for_it() -> None:
    """SCHWAB_LEVEL2_SYMBOLS: their books alone, an option's too, and a future gets streamed."""
    plan, problems = make_plan(("SPX",), ("SPY",), 100, ("QQQ", "/YM", CONTRACT, "?", "NQ_NDX"))

    keys = plan.keys(())
    assert keys[NYSE_BOOK] == ["QQQ"]
    assert keys[OPTIONS_BOOK] == [CONTRACT]
    assert keys[FUTURES] == ["/YM", "/ES", "/NQ"]
    assert keys[EQUITIES] == ["$SPX", "SPY", "$VIX"]
    assert ["SCHWAB_LEVEL2_SYMBOLS" in problem for problem in problems] == [True, True]


def test_currencies_options_on_futures_and_single_options_where_they_are_named() -> None:
    """Each in its service; all of them count against the limit."""
    named = ("EURUSD", "./OGG26C4240", CONTRACT)
    plan, problems = make_plan(("SPX",), named, 20)

    keys = plan.keys(plan.options)
    assert problems == ()
    assert (keys[FOREX], keys[FUTURES_OPTIONS]) == (["EUR/USD"], ["./OGG26C4240"])
    assert keys[OPTIONS] == keys[OPTIONS_BOOK] == [CONTRACT]
    assert (plan.least, plan.fixed, plan.option_room) == (7, 12, 8)
    assert plan.held == {"index", "cme"}


def test_the_usual_symbols_leave_room_for_options() -> None:
    """Most of the limit is theirs."""
    settings = load({})
    plan, _ = make_plan(
        settings.gex_symbols, settings.schwab_symbols, 500, settings.schwab_level2_symbols
    )

    assert plan.option_room >= 450


@pytest.mark.parametrize(
    ("chains", "read"),
    [
        (("SPX",), {"index", "cme"}),
        (("SPY", "NDX"), {"equity", "index", "cme"}),
        (("SPY",), {"equity"}),
        (("VIX",), {"index"}),
    ],
)
def test_whose_tapes_an_engine_reads(chains: tuple[str, ...], read: set[str]) -> None:
    """That of its futures where an index has some; the others may be trimmed when sent."""
    assert make_plan(chains, (), 100)[0].computed == read
