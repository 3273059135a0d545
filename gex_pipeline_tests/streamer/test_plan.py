"""What is streamed: fixed symbols, then the contracts with most gamma, each underlying alike."""

import datetime

import msgspec
import pytest

from gex_pipeline.feeds.schwab.answers import ChainPart, read_part
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
from gex_pipeline.market.sessions import et_ns
from gex_pipeline.settings import load
from gex_pipeline.streamer.plan import choose, is_worth_changing, make_plan, rank

CONTRACT = "SPXW  261120C07000000"
DAY = datetime.date(2026, 11, 20)
NEXT = datetime.date(2026, 11, 23)
NOW_NS = et_ns(DAY, 10)


def part(*rows: tuple[datetime.date, float, float, float]) -> ChainPart:
    """SPX at 7000 with calls of (expiry, strike, IV in percent, open interest)."""
    dates: dict[str, dict[str, list[object]]] = {}
    for day, strike, iv, held in rows:
        symbol = f"SPXW  {day:%y%m%d}C{round(strike * 1000):08d}"
        contract = {"symbol": symbol, "volatility": iv, "openInterest": held, "multiplier": 100}
        dates.setdefault(f"{day}:0", {})[str(strike)] = [contract]
    answer = {"symbol": "$SPX", "isIndex": True, "underlyingPrice": 7000.0, "callExpDateMap": dates}
    return read_part(msgspec.json.encode(answer), DAY, NEXT)


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


def test_gamma_times_what_is_open_ranks_and_distance_discounts() -> None:
    """At the money above far away, much open interest above little, expired nothing."""
    yesterday = DAY - datetime.timedelta(days=1)
    rows = (
        (NEXT, 7000.0, 12.0, 100.0),
        (NEXT, 7005.0, 12.0, 5000.0),
        (NEXT, 9000.0, 12.0, 5000.0),
        (yesterday, 7000.0, 12.0, 9999.0),
    )

    names, weights = rank(part(*rows), NOW_NS)

    weight = dict(zip((name[6:] for name in names), weights.tolist(), strict=True))
    assert weight["261123C07005000"] > weight["261123C07000000"] > weight["261123C09000000"]
    assert weight["261119C07000000"] == 0


@pytest.mark.parametrize("iv", [-999.0, 0.0, 7805.0])
def test_without_open_interest_and_volatility_the_distance_decides(iv: float) -> None:
    """A chain of a closed market still has an order."""
    names, weights = rank(part((NEXT, 7000.0, iv, 0.0), (NEXT, 7300.0, iv, 0.0)), NOW_NS)

    assert names[0].endswith("07000000")
    assert weights[0] > weights[1] > 0


def test_no_spot_no_rank() -> None:
    """An empty answer ranks nothing."""
    names, weights = rank(read_part(b'{"symbol": "$SPX"}', DAY, DAY), NOW_NS)

    assert (names, weights.size) == ([], 0)


def test_each_underlying_has_its_share_and_leaves_what_it_does_not_need() -> None:
    """Five places for two: one has a single contract, the other takes the rest."""
    ranked = {"SPX": {f"s{n}": 1000.0 - n for n in range(9)}, "SPY": {"y": 1.0, "dead": 0.0}}

    assert choose(ranked, 5) == ["s0", "y", "s1", "s2", "s3"]
    assert choose(ranked, 0) == []
    assert choose({"SPX": {"b": 1.0, "a": 1.0}}, 9) == ["a", "b"]


def test_a_few_new_contracts_are_not_worth_new_images() -> None:
    """More than one in twenty is; the first ones always are."""
    held = [str(n) for n in range(100)]

    assert is_worth_changing([], ["a"])
    assert not is_worth_changing([], [])
    assert not is_worth_changing(held, [*held[5:], "a", "b", "c", "d", "e"])
    assert is_worth_changing(held, [*held[6:], "a", "b", "c", "d", "e", "f"])
