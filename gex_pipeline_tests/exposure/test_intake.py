"""Intake: what rows become, and the moment they are of."""

import datetime
import math
from typing import Any

import numpy as np
import pytest

from gex_pipeline.errors import MomentError
from gex_pipeline.exposure.chain import CALL, PUT
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline_tests.exposure.builders import (
    ASOF_NS,
    DELAY_NS,
    LATER,
    NAN,
    NEXT,
    Row,
    chain,
    source,
)

FRIDAY = datetime.date(2025, 5, 16)
SATURDAY = datetime.date(2025, 5, 17)


@pytest.mark.parametrize(
    ("kept", "gone"),
    [
        ({"ts": ASOF_NS, "bid": 1.0}, {"ts": ASOF_NS - 1, "volume": 9, "oi": 9, "bid": 9.0}),
        ({"volume": 2, "bid": 1.0}, {"volume": 1, "oi": 9, "bid": 9.0}),
        ({"oi": 2, "bid": 1.0}, {"oi": 1, "bid": 9.0}),
        ({"bid": 2.0, "ask": 3.0}, {"bid": 1.0, "ask": 9.0}),
        ({"bid": 1.0, "ask": 3.0}, {"bid": 1.0, "ask": 2.0}),
        ({"bid": 1.0}, {"bid": NAN}),
        ({"ask": 1.0, "iv": 0.3}, {"ask": 1.0, "iv": 0.2}),
        ({"ask": 1.0, "gamma": 0.3}, {"ask": 1.0, "gamma": 0.2}),
        ({"ask": 1.0, "gamma": 0.3}, {"ask": 1.0, "gamma": NAN}),
    ],
)
@pytest.mark.parametrize("first", [0, 1])
def test_of_repeats_the_newest_stays(
    kept: dict[str, Any], gone: dict[str, Any], first: int
) -> None:
    """The largest (quote time, volume, OI, bid, ask, iv, gamma), whichever row came first."""
    rows = [Row(5000, **kept), Row(5000, **gone)]
    found = clean_chain(source(rows[::-1] if first else rows), ASOF_NS)

    assert found.duplicates == 1
    assert found.contracts == 1
    columns = {"oi": "open_interest", "ts": "ts_quote_ns"}
    for name, value in kept.items():
        assert getattr(found, columns.get(name, name))[CALL, 0] == value


def test_only_the_same_contract_is_a_repeat() -> None:
    """Another side, strike, root or expiry is another contract."""
    found = chain(
        [Row(5000), Row(5000, -1), Row(5005), Row(5000, root="SPX"), Row(5000, expiry=NEXT)]
    )

    assert (found.contracts, found.duplicates) == (5, 0)


@pytest.mark.parametrize("bad", [-999.0, -0.01, math.nan, math.inf, -math.inf])
def test_sentinels_are_missing(bad: float) -> None:
    """No price, volatility or gamma is negative or infinite; no count is below 1 contract."""
    found = chain([Row(5000, bid=bad, ask=bad, iv=bad, gamma=bad, oi=bad, volume=bad)])

    for name in ("bid", "ask", "iv", "gamma"):
        assert math.isnan(getattr(found, name)[CALL, 0])
    assert found.open_interest[CALL, 0] == 0
    assert found.volume[CALL, 0] == 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Row(5000, root="SPX1"), "adjusted"),
        (Row(5000, root="BABA2"), "adjusted"),
        (Row(NAN), "strike"),
        (Row(math.inf), "strike"),
        (Row(0.0), "strike"),
        (Row(-5.0), "strike"),
        (Row(5000, expiry="NaT"), "expiry"),
        (Row(5000, expiry="1969-06-20"), "expiry"),
        (Row(5000, expiry="2400-06-16"), "expiry"),
        (Row(5000, expiry="1993-01-01"), "expiry"),  # a holiday: settles before the calendar
        (Row(5000, root=""), "symbol"),
        (Row(5000, right=0), "symbol"),
    ],
)
def test_what_is_no_contract_is_dropped_and_counted(row: Row, reason: str) -> None:
    """The good row beside it stays; nothing raises."""
    found = chain([Row(5000, oi=7), row])

    assert found.contracts == 1
    assert found.open_interest.sum() == 7
    assert found.dropped == {reason: 1}


def test_the_adapters_own_drops_are_carried_on() -> None:
    """Counts of one reason add up."""
    rows = [Row(5000), Row(5000, root="SPX1")]
    found = clean_chain(source(rows, dropped={"adjusted": 2, "multiplier": 3, "symbol": 0}))

    assert found.dropped == {"adjusted": 3, "multiplier": 3}


def test_lines_are_in_canonical_order() -> None:
    """By expiry, root and strike; a line holds a strike's call and put, a gap is not listed."""
    found = chain(
        [
            Row(5005, -1, "SPXW", LATER, oi=1),
            Row(5000, 1, "SPXW", LATER, oi=2),
            Row(5005, 1, "SPXW", LATER, oi=3),
            Row(4000, 1, "SPX", LATER, oi=4),
            Row(6000, -1, "SPXW", NEXT, oi=5),
        ]
    )

    assert [(g.expiry, g.root) for g in found.groups] == [
        (NEXT, "SPXW"),
        (LATER, "SPX"),
        (LATER, "SPXW"),
    ]
    assert found.strike.tolist() == [6000, 4000, 5000, 5005]
    assert found.group.tolist() == [0, 1, 2, 2]
    assert found.group_start.tolist() == [0, 1, 2, 4]
    assert found.open_interest.tolist() == [[0, 4, 2, 3], [5, 0, 0, 1]]
    assert found.listed.tolist() == [[False, True, True, True], [True, False, False, True]]
    assert found.strikes.tolist() == [4000, 5000, 5005, 6000]
    assert found.strike_id.tolist() == [3, 0, 1, 2]
    assert np.isnan(found.bid[~found.listed]).all()


def test_terms_of_the_groups() -> None:
    """The root decides settlement, style and tick; a holiday moves the settlement date."""
    good_friday, thursday = datetime.date(2025, 4, 18), datetime.date(2025, 4, 17)
    rows = [Row(5000, root=root, expiry=good_friday) for root in ("SPX", "SPXW", "SPY", "XSP")]
    found = clean_chain(source(rows), et_ns(thursday, 9))

    assert {g.settle_date for g in found.groups} == {thursday}
    assert [g.settle_ns for g in found.groups] == [
        et_ns(thursday, 9, 30),
        *[et_ns(thursday, 16)] * 3,
    ]
    assert [(g.root, g.european, g.tick) for g in found.groups] == [
        ("SPX", True, 0.05),
        ("SPXW", True, 0.05),
        ("SPY", False, 0.01),
        ("XSP", True, 0.01),
    ]


@pytest.mark.parametrize("letters", [("", "P"), ("P", ""), ("P", "P")])
def test_a_vendors_settlement_letter_is_the_groups(letters: tuple[str, str]) -> None:
    """Stated on one row, it holds for all of the root and expiry."""
    rows = [Row(5000 + i, root="SPX", settlement=letter) for i, letter in enumerate(letters)]
    found = chain(rows)

    assert len(found.groups) == 1
    assert found.groups[0].settle_ns == et_ns(LATER, 16)


@pytest.mark.parametrize("spot", [math.nan, math.inf, -math.inf, 0.0, -5.0])
def test_no_spot(spot: float) -> None:
    """What is no price of the underlying is missing."""
    assert math.isnan(chain([Row(5000)], spot=spot).spot)


def test_the_moment_given_wins() -> None:
    """Over quote times and the download time."""
    found = clean_chain(source([Row(5000, bid=1, ask=2, ts=5)]), 123)

    assert (found.asof_ns, found.asof_rule) == (123, "given")


def test_the_newest_two_sided_quote_is_the_moment() -> None:
    """One-sided and crossed quotes may be newer: they say nothing."""
    ts = ASOF_NS
    rows = [
        Row(5000, bid=1, ask=2, ts=ts - 5),
        Row(5005, bid=1, ask=1, ts=ts - 3),
        Row(5010, bid=0, ask=2, ts=ts - 2),
        Row(5015, bid=3, ask=2, ts=ts - 1),
        Row(5020, ts=ts),
    ]
    found = clean_chain(source(rows))

    assert (found.asof_ns, found.asof_rule) == (ts - 3, "given")


def test_no_quote_is_newer_than_its_answer() -> None:
    """A vendor's clock ahead of ours does not take us into the future."""
    rows = [Row(5000, bid=1, ask=2, ts=ASOF_NS + 60 * SECOND_NS)]

    assert clean_chain(source(rows, ts_source_ns=ASOF_NS)).asof_ns == ASOF_NS
    unknown = clean_chain(source(rows, ts_source_ns=0))
    assert unknown.asof_ns == ASOF_NS + 60 * SECOND_NS


@pytest.mark.parametrize(
    ("symbol", "downloaded", "moment", "rule"),
    [
        ("SPX", et_ns(FRIDAY, 10, 45), et_ns(FRIDAY, 10, 30), "session"),
        ("SPX", et_ns(FRIDAY, 16, 20), et_ns(FRIDAY, 16, 5), "session"),
        ("AAPL", et_ns(FRIDAY, 16, 20), et_ns(FRIDAY, 16), "last_close"),
        ("SPX", et_ns(SATURDAY, 20, 9), et_ns(FRIDAY, 16, 15), "last_close"),
        ("SPY", et_ns(SATURDAY, 20, 9), et_ns(FRIDAY, 16, 15), "last_close"),
        ("AAPL", et_ns(SATURDAY, 20, 9), et_ns(FRIDAY, 16), "last_close"),
        ("SPX", et_ns(FRIDAY, 9, 40), et_ns(FRIDAY - datetime.timedelta(1), 16, 15), "last_close"),
        ("SPX", et_ns(FRIDAY, 9, 45), et_ns(FRIDAY, 9, 30), "session"),
        (
            "SPX",
            et_ns(datetime.date(2024, 11, 30), 12),
            et_ns(datetime.date(2024, 11, 29), 13, 15),
            "last_close",
        ),
        (
            "AAPL",
            et_ns(datetime.date(2024, 11, 30), 12),
            et_ns(datetime.date(2024, 11, 29), 13),
            "last_close",
        ),
    ],
)
def test_the_download_time_tells_the_moment(
    symbol: str, downloaded: int, moment: int, rule: str
) -> None:
    """A quarter of an hour before in session, else the quote close before that."""
    found = clean_chain(source([Row(5000, bid=1, ask=2)], symbol=symbol, ts_source_ns=downloaded))

    assert (found.asof_ns, found.asof_rule) == (moment, rule)


def test_no_moment_is_an_error_with_its_cure() -> None:
    """Neither quote nor download time: the caller must say it, and then it works."""
    undated = source([Row(5000, bid=1, ask=2)], ts_source_ns=0)

    with pytest.raises(MomentError, match="--as-of"):
        clean_chain(undated)
    assert clean_chain(undated, ASOF_NS).contracts == 1


def test_no_row_is_a_chain_of_nothing() -> None:
    """It has no groups and no lines, and still its moment."""
    found = clean_chain(source([], ts_source_ns=ASOF_NS + DELAY_NS))

    assert (found.contracts, found.groups, found.asof_ns) == (0, (), ASOF_NS)
    assert found.open_interest.shape == (2, 0)


def test_calls_and_puts_have_their_rows() -> None:
    """Row 0 is calls, row 1 puts."""
    found = chain([Row(5000, 1, oi=3), Row(5000, -1, oi=4)])

    assert found.open_interest[CALL].tolist() == [3]
    assert found.open_interest[PUT].tolist() == [4]
