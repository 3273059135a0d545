"""Counts by minute, settlements, tails of killed owners, and what closes."""

from collections import Counter

import pytest

from gex_pipeline.market.events import LEVEL_ONE, SOURCE_SEQUENCE, BookUpdate, Gap, Quote
from gex_pipeline.quality.closing import TapeDay, breaks_of, covered_minutes
from gex_pipeline.quality.ledger import (
    MINUTE_NS,
    Entry,
    Ledger,
    Line,
    counted,
    lines_of,
    table_of,
)
from gex_pipeline.quality.spans import holes, length, merged, without
from gex_pipeline.quality.tails import Mark, Tails

NOON_NS = 1_795_194_000_000_000_000
"""A whole minute."""
assert NOON_NS % MINUTE_NS == 0


ONE_MORE = Counter({Entry(NOON_NS, "trades", "received"): 1})


def day(**facts: object) -> TapeDay:
    """A tape's day of one minute that closes: 5 received, 3 written, 1 conflated, 1 rejected."""
    counts = {"received": 5, "written": 3, "conflated": 1, "rejected": 1}
    fields: dict[str, object] = {
        "tape": "schwab.index",
        "stage": "parts",
        "first_ns": NOON_NS,
        "last_ns": NOON_NS + MINUTE_NS - 1,
        "rows": Counter({(NOON_NS, "trades"): 3}),
        "entries": Counter({Entry(NOON_NS, "trades", o, ""): n for o, n in counts.items()}),  # type: ignore[arg-type] # texts and fields of a test
        "unsettled": [],
        "doubtful": [],
    }
    return TapeDay(**fields | facts)  # type: ignore[arg-type] # texts and fields of a test


def test_counts_add_up_by_minute_and_leave_when_they_are_settled() -> None:
    """Two parts of a minute; a new minute is settled alone when it is the older."""
    ledger = Ledger()
    ledger.add("received", "trades", NOON_NS + 5)
    ledger.add("received", "trades", NOON_NS + 7, 2)
    ledger.add("rejected", "trades", NOON_NS + 7, reason="symbol")
    ledger.add("received", "quotes", NOON_NS + MINUTE_NS)
    ledger.add("written", "quotes", NOON_NS, 0)

    old = ledger.settle(NOON_NS + MINUTE_NS, before_ns=NOON_NS + MINUTE_NS)
    new = ledger.settle(NOON_NS + 2 * MINUTE_NS)

    assert [(c.ts_minute_ns, c.table, c.outcome, c.reason, c.events) for c in old] == [
        (NOON_NS, "trades", "received", "", 3),
        (NOON_NS, "trades", "rejected", "symbol", 1),
    ]
    assert [(c.table, c.events) for c in new] == [("quotes", 1)]
    assert ledger.settle(NOON_NS) == []
    assert ledger.received == 4


def test_a_line_says_what_is_missing() -> None:
    """Received 5, told of 4: one is missing; told of more: less than none."""
    entries = [
        (Entry(0, "quotes", "received"), 3),
        (Entry(0, "quotes", "received"), 2),
        (Entry(0, "quotes", "written"), 3),
        (Entry(0, "quotes", "rejected", "a"), 1),
    ]
    (line,) = lines_of(entries).values()

    assert line == Line(5, 3, 0, 1)
    assert line.missing == 1


def test_a_day_that_closes() -> None:
    """Also against the capture, which counted the same."""
    again = Counter({(NOON_NS, "trades"): 5})

    assert breaks_of(day(), again, [(0, NOON_NS + MINUTE_NS)]) == ([], [])


@pytest.mark.parametrize(
    ("facts", "stage", "by"),
    [
        ({"rows": Counter({(NOON_NS, "trades"): 2})}, "parts", -1),
        ({"rows": Counter({(NOON_NS, "trades"): 3, (NOON_NS, "quotes"): 4})}, "parts", 4),
        (
            {"entries": day().entries + Counter({Entry(NOON_NS, "trades", "received"): 1})},
            "socket",
            -1,
        ),
    ],
)
def test_what_does_not_close_is_named(facts: dict[str, object], stage: str, by: int) -> None:
    """A row too few, rows that nobody wrote, an update that went nowhere."""
    found, inside = breaks_of(day(**facts), None, [])

    assert [(each.stage, each.by, each.minute_ns) for each in found] == [(stage, by, NOON_NS)]
    assert inside == []


def test_inside_a_told_gap_it_is_told_apart() -> None:
    """Numbers of that minute are known to be lost."""
    broken = day(rows=Counter(), doubtful=[(NOON_NS + 5, NOON_NS + 6)])

    found, inside = breaks_of(broken, None, [])

    assert found == []
    assert [each.by for each in inside] == [-3]


def test_the_capture_is_compared_where_it_covers_the_minute() -> None:
    """Half a minute of it proves nothing; outside the tape's own time nothing has to be covered."""
    again = Counter({(NOON_NS, "trades"): 4})
    half = [(0, NOON_NS + MINUTE_NS // 2)]

    assert breaks_of(day(), again, half) == ([], [])
    (found,) = breaks_of(day(), again, [(0, NOON_NS + MINUTE_NS)])[0]
    assert (found.stage, found.by) == ("capture", -1)
    early = day(last_ns=NOON_NS + MINUTE_NS // 2 - 1)
    assert covered_minutes(early, half) == {NOON_NS}


def test_a_killed_owner_leaves_a_tail() -> None:
    """Settled through 10, killed at 14, the next owner's two gaps at 15 and 20 are one restart."""
    tails = Tails()
    tails.open.add("trades", NOON_NS)
    settled = tails.settled(Mark(10, NOON_NS + 1))
    tails.open.add("trades", NOON_NS + 2)
    tails.restarted(Mark(15, NOON_NS + 50), NOON_NS + 2)
    tails.open.add("trades", NOON_NS + 60)
    tails.restarted(Mark(20, NOON_NS + 70), NOON_NS + 50)

    assert settled == {(NOON_NS, "trades"): 1}
    (closed,), opened = tails.closed, tails.open
    assert [closed.holds(seq) for seq in (10, 11, 14, 15)] == [False, True, True, False]
    told = closed.told(0)
    assert (told.after_seq, told.before_seq, told.events) == (10, 15, {"trades": 1})
    assert (told.from_ns, told.to_ns) == (NOON_NS + 1, NOON_NS + 50)
    assert opened.after == Mark(15, NOON_NS + 50)
    assert tails.settled(Mark(30, NOON_NS + 80)) == {(NOON_NS, "trades"): 1}


def test_an_owner_that_counts_no_more_does_not_close() -> None:
    """Events of two minutes behind the last settlement."""
    tails = Tails()
    tails.settled(Mark(10, NOON_NS))
    tails.open.add("trades", NOON_NS + 1, 3)
    tails.open.add("quotes", NOON_NS + MINUTE_NS + 1, 4)

    found, _ = breaks_of(day(unsettled=[tails.open.told(0)]), None, [])

    assert [(each.stage, each.by, each.first_seq) for each in found] == [("socket", 7, 11)]


def test_spans() -> None:
    """Merged, subtracted, measured; and the holes of closed ranges."""
    assert merged([(5, 7), (1, 3), (3, 4), (6, 9), (8, 8)]) == [(1, 4), (5, 9)]
    assert without((0, 10), [(2, 3), (5, 20)]) == [(0, 2), (3, 5)]
    assert without((0, 10), [(0, 10)]) == []
    assert without((4, 4), []) == []
    assert length([(0, 4), (2, 6)]) == 6
    assert holes([(3, 5), (7, 7)], 1, 9) == [(1, 2), (6, 6), (8, 9)]


def test_a_book_made_of_a_quote_is_no_update() -> None:
    """The quote is counted; the book of a feed that has books is one."""
    top, book = (
        BookUpdate(
            "/NQ", 1, 1, bid_prices=(1.0,), bid_sizes=(1.0,), ask_prices=(), ask_sizes=(), venue=at
        )
        for at in (LEVEL_ONE, "CME")
    )
    quote = Quote("/NQ", 1, 1, bid=1.0, bid_size=1.0)
    gap = Gap("SPY", 1, 1, ts_from_ns=0, ts_to_ns=1, cause=SOURCE_SEQUENCE)

    assert (table_of(top), table_of(book), table_of(gap)) == (None, "depth", None)
    assert counted([quote, top, quote, top, gap]) == {"quotes": 2}
    assert counted([top, book, book]) == {"depth": 2}
