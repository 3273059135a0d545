"""The basis of futures: samples, medians, ages, contracts and what options imply."""

import datetime
import math
from typing import Any

import msgspec
import pytest

from gex_pipeline.exposure.basis import (
    BasisState,
    IndexAt,
    advance,
    basis_row,
    in_hours,
    index_at,
    restored,
)
from gex_pipeline.exposure.moment import figures
from gex_pipeline.exposure.quoted import Book, Taken, taken, with_event
from gex_pipeline.market.events import Basis, Event, Quote, Trade
from gex_pipeline.market.futures import (
    INDEX_OF,
    ROOT_OF_VIEW,
    expiry_ns,
    expiry_of,
    index_of,
    month_of,
    root_of,
)
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline.market.symbology import VIEWS
from gex_pipeline_tests.engine.builders import S, beat, feed, lane_of, told
from gex_pipeline_tests.synthetic import ASOF_NS, DAY, DIVIDEND, RATE, synthetic_chain

BEGIN_NS = et_ns(DAY, 10)
ES = Taken("/ESM25", "/ES", 6021.5)
SPX = IndexAt("SPX", 6000.0, {"M25": 20.0, "U25": 45.0})
OTHER = Taken("/ESU25", "/ES", 6046.0)


def run(
    state: BasisState, first: int, last: int, future: Taken = ES, index: IndexAt = SPX
) -> BasisState:
    """Let seconds pass, both ends in it, all alike."""
    for at in range(first, last + 1):
        state = advance(state, BEGIN_NS + at * S, future, index)
    return state


def row(state: BasisState, at: int, future: Taken = ES, index: IndexAt = SPX) -> Basis:
    """Return what is recorded of a second."""
    return basis_row("/ES", BEGIN_NS + at * S, state, (future, index), "{}")


def said(one: Basis) -> tuple[str | None, float | None, str | None]:
    """Return how the basis came about, the basis, and why there is none."""
    return one.method, one.basis, one.reason


# --- facts of futures -----------------------------------------------------------------------------


def test_views_and_roots_name_their_index() -> None:
    """Each view of the symbology has a root, but those of the Dow."""
    assert set(ROOT_OF_VIEW) == {view for view in VIEWS if not view.endswith("_DJX")}
    assert [index_of(text) for text in ("ES_SPX", "/MES", "/NQZ26", "M2K_RUT")] == [
        "SPX",
        "SPX",
        "NDX",
        "RUT",
    ]
    assert [index_of(text) for text in ("/YM", "YM_DJX", "SPX", "SPY", "/CL")] == [None] * 5
    assert (root_of("/ESZ26"), month_of("/ESZ26"), month_of("/ES")) == ("/ES", "Z26", "")
    assert set(INDEX_OF.values()) == {"SPX", "NDX", "RUT"}


def test_a_contract_settles_on_the_third_friday_at_the_open() -> None:
    """Of June 2026 on Thursday: the Friday is Juneteenth."""
    assert expiry_of("/ESZ26") == datetime.date(2026, 12, 18)
    assert expiry_of("/MNQM26") == datetime.date(2026, 6, 18)
    assert expiry_ns("/ESZ26") == et_ns(datetime.date(2026, 12, 18), 9, 30)


# --- one second after the other -------------------------------------------------------------------


def test_a_live_basis_takes_ten_samples() -> None:
    """The ninth second has none yet, the tenth the median."""
    nine = run(BasisState(), 1, 9)
    assert said(row(nine, 9)) == ("parity", 20.0, None)
    ten = advance(nine, BEGIN_NS + 10 * S, ES, SPX)
    assert said(row(ten, 10)) == ("live", 21.5, None)
    assert (row(ten, 10).samples, row(ten, 10).ts_live_ns) == (10, BEGIN_NS + 10 * S)


def test_the_median_by_hand() -> None:
    """Of 21.5 (x5), 22, 22.5, 23, 30, 21: sorted 21 21.5x5 22 22.5 23 30; the middle two are 21.5.

    After another 23.5 there are eleven, and the middle one is 21.5; after 24 it is 21.75.
    """
    state = BasisState()
    points = [21.5] * 5 + [22, 22.5, 23, 30, 21, 23.5, 24]
    lives = []
    for at, each in enumerate(points):
        state = advance(
            state, BEGIN_NS + at * S, msgspec.structs.replace(ES, mid=6000.0 + each), SPX
        )
        lives.append(state.live)
    assert lives == [None] * 9 + [21.5, 21.5, 21.75]


def test_samples_older_than_thirty_seconds_do_not_count() -> None:
    """A step of 10 points: the median moves with the majority, and after 30 s nothing is old."""
    state = run(BasisState(), 1, 40)
    higher = msgspec.structs.replace(ES, mid=6031.5)
    steps = []
    for at in range(41, 71):
        state = advance(state, BEGIN_NS + at * S, higher, SPX)
        assert len(state.samples) == 30
        steps.append(state.live)
    assert steps == [21.5] * 14 + [26.5] + [31.5] * 15


@pytest.mark.parametrize(
    ("future", "index"),
    [(Taken(), SPX), (ES, IndexAt("SPX", None, SPX.parity))],
    ids=["halted future", "index without a value"],
)
def test_without_new_samples_the_last_basis_grows_old(future: Taken, index: IndexAt) -> None:
    """Live while ten samples are young, then last, after 300 s what options imply."""
    state = run(BasisState(), 1, 30)
    found = {}
    for at in range(31, 400):
        state = advance(state, BEGIN_NS + at * S, future, index)
        found[at] = said(row(state, at, future, index))
    assert found[50] == ("live", 21.5, None)  # samples 21 to 30
    assert found[51] == ("last", 21.5, None)
    assert found[350] == ("last", 21.5, None)
    assert found[351] == ("parity", 20.0, None)


def test_an_old_basis_stands_for_a_day_where_options_imply_none() -> None:
    """After 24 hours it is none: too_old."""
    silent = IndexAt("SPX", 6000.0, {})
    state = run(BasisState(), 1, 30)
    day = 86_400
    for at, expected in (
        (30 + 300, ("last", 21.5, None)),
        (30 + 301, ("last", 21.5, None)),
        (30 + day, ("last", 21.5, None)),
        (31 + day, (None, None, "too_old")),
    ):
        assert said(row(state, at, Taken(), silent)) == expected


def test_a_roll_leaves_nothing_of_the_other_contract() -> None:
    """Null with the reason until ten seconds of the new one; or what options imply for it."""
    no_options = IndexAt("SPX", 6000.0, {})
    state = run(BasisState(), 1, 30)
    rolled = advance(state, BEGIN_NS + 31 * S, OTHER, no_options)
    assert said(row(rolled, 31, OTHER, no_options)) == (None, None, "roll")
    assert said(row(rolled, 31, OTHER)) == ("parity", 45.0, None)
    assert (rolled.contract, len(rolled.samples)) == ("/ESU25", 1)
    assert said(row(run(rolled, 32, 39, OTHER), 39, OTHER, no_options)) == (None, None, "roll")
    assert said(row(run(rolled, 32, 40, OTHER), 40, OTHER)) == ("live", 46.0, None)


def test_a_contract_that_is_not_told_is_the_one_before() -> None:
    """A source that says nothing of it for a while starts nothing anew."""
    state = run(run(BasisState(), 1, 9), 10, 10, msgspec.structs.replace(ES, contract=None))
    assert (state.contract, state.live) == ("/ESM25", 21.5)


@pytest.mark.parametrize(
    ("future", "index", "reason"),
    [
        (Taken(), SPX, "no_future"),
        (ES, IndexAt("SPX", None, {}), "no_index"),
        (ES, SPX, "never_measured"),
    ],
)
def test_why_there_never_was_one(future: Taken, index: IndexAt, reason: str) -> None:
    """Of the first second; options imply nothing."""
    index = msgspec.structs.replace(index, parity={})
    state = run(BasisState(), 1, 1, future, index)
    assert said(row(state, 1, future, index)) == (None, None, reason)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        (et_ns(DAY, 9, 30), False),
        (et_ns(DAY, 9, 30) + S, True),
        (et_ns(DAY, 16), True),
        (et_ns(DAY, 16) + S, False),
        (et_ns(datetime.date(2025, 7, 3), 13), True),
        (et_ns(datetime.date(2025, 7, 3), 13) + S, False),
        (et_ns(datetime.date(2025, 7, 4), 11), False),
        (et_ns(datetime.date(2025, 6, 7), 11), False),
    ],
)
def test_hours(moment: int, inside: bool) -> None:
    """A second belongs to regular hours by its end; half days end at 13:00."""
    assert in_hours(moment) is inside


def test_outside_regular_hours_nothing_is_measured() -> None:
    """After the close the future moves and the index does not: the last basis stays."""
    close_ns = et_ns(DAY, 16)
    state = BasisState()
    for at in range(-30, 31):
        away = msgspec.structs.replace(ES, mid=6021.5 + 10 * max(at, 0))
        state = advance(state, close_ns + at * S, away, SPX)
    assert (state.live, state.ts_live_ns) == (21.5, close_ns)


def test_the_state_comes_back_from_the_recorded_rows() -> None:
    """At any second, through rolls and holes, and whatever is asked for behind it is the same."""
    state, rows, states = BasisState(), [], []
    for at in range(1, 200):
        future = ES if at < 90 else OTHER
        if at % 7 == 0 or 120 < at < 150:
            future = Taken()
        index = IndexAt("SPX", None if at % 11 == 0 else 6000.0 + math.sin(at), SPX.parity)
        state = advance(state, BEGIN_NS + at * S, future, index)
        rows.append(row(state, at, future, index))
        states.append(state)
    for at in range(1, 199):
        again = restored(rows[max(0, at - 62) : at])["/ES"]
        assert again == states[at - 1], at


# --- what is quoted -------------------------------------------------------------------------------


def quote(symbol: str, at: float, mid: float = 6021.5, **fields: Any) -> Quote:
    """Return a quote that is a half wide."""
    ts_ns = BEGIN_NS + int(at * S)
    return Quote(symbol, ts_ns, ts_ns, **({"bid": mid - 0.25, "ask": mid + 0.25} | fields))


def sale(symbol: str, at: float, volume: int) -> Trade:
    """Return a sale with the day's volume."""
    ts_ns = BEGIN_NS + int(at * S)
    return Trade(symbol, ts_ns, ts_ns, price=6000.0, volume=volume)


def book_of(*events: Event) -> Book:
    """Return the book after events."""
    book: Book = {}
    for event in events:
        book = with_event(book, event)
    return book


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([quote("/ES", 0, contract="/ESM25")], Taken("/ESM25", "/ES", 6021.5)),
        ([quote("/ES", 0)], Taken(None, "/ES", 6021.5)),
        ([quote("/ES", 0, contract="/MESM25")], Taken(None, "/ES", 6021.5)),
        ([quote("/ES", -5)], Taken(None, "/ES", 6021.5)),
        ([quote("/ES", -5.1)], Taken()),
        ([quote("/ES", 0, bid=None)], Taken()),
        ([quote("/ES", 0, bid=0.0)], Taken()),
        ([quote("/ES", 0, bid=6022.0, ask=6021.0)], Taken()),
        ([quote("/MES", 0, contract="/MESM25")], Taken("/ESM25", "/MES", 6021.5)),
        ([quote("/ES", -9), quote("/MES", 0, 6022.0)], Taken(None, "/MES", 6022.0)),
        ([quote("/ES", 0), quote("/MES", 0, 6022.0)], Taken(None, "/ES", 6021.5)),
        ([quote("/ESM25", 0)], Taken("/ESM25", "/ESM25", 6021.5)),
        ([quote("/ES", 0, 6020.0), quote("/ESM25", 0)], Taken(None, "/ES", 6020.0)),
        ([quote("/ES", -9, 6020.0), quote("/ESM25", 0)], Taken("/ESM25", "/ESM25", 6021.5)),
        ([quote("/MESM25", 0)], Taken("/ESM25", "/MESM25", 6021.5)),
        ([quote("/ESU25", 0, 6046.0), quote("/ESM25", 0)], Taken("/ESM25", "/ESM25", 6021.5)),
        (
            [
                quote("/ESU25", 0, 6046.0),
                quote("/ESM25", 0),
                sale("/ESM25", -3, 10),
                sale("/ESU25", -30, 11),
            ],
            Taken("/ESU25", "/ESU25", 6046.0),
        ),
        (
            [
                quote("/ESU25", 0, 6046.0),
                quote("/ESM25", 0),
                sale("/ESM25", -3, 10),
                sale("/ESU25", -61, 11),
            ],
            Taken("/ESM25", "/ESM25", 6021.5),
        ),
        ([quote("/ESU25", 0, 6046.0), quote("/ESM25", -9), sale("/ESM25", -8, 5)], Taken()),
        ([quote("/NQ", 0), sale("/ES", 0, 5)], Taken()),
    ],
)
def test_whose_quote_counts_for_a_root(events: list[Event], expected: Taken) -> None:
    """Its own, else its front contract's, else its micro's; fresh, two-sided; none other."""
    assert taken(book_of(*events), "/ES", BEGIN_NS) == expected


def test_a_micro_takes_the_big_one_s() -> None:
    """And says so by `quoted`; the contract is the micro's own."""
    book = book_of(quote("/ES", 0, contract="/ESM25"))
    assert taken(book, "/MES", BEGIN_NS) == Taken("/MESM25", "/ES", 6021.5)


# --- an index -------------------------------------------------------------------------------------


def test_what_options_imply_is_their_forward_where_the_future_settles() -> None:
    """Of a chain with F = S exp((r - q) T): near that, drawn out from the last forward.

    Expiries are ten days, the future's is the fourteenth; those of autumn lie too far out.
    """
    chain = synthetic_chain(3000, 10)
    lane = lane_of("SPX")
    (second,) = feed(lane, [*told(chain), beat(ASOF_NS + S)])
    image = second.images[0]
    index = index_at(image, figures(image, ("all",), final=True)["all"], second.ts_ns)

    assert index.price == 6000.0
    years = (expiry_ns("/ESM25") - ASOF_NS) / (365 * 86_400 * SECOND_NS)
    exact = 6000 * math.expm1((RATE - DIVIDEND) * years)
    assert index.parity == {"M25": pytest.approx(exact, rel=0.03)}


@pytest.mark.parametrize(
    ("forwards", "carry"),
    [
        (((-0.01, 0.002), (0.01, 0.004)), 0.003),
        (((-0.01, 0.002), (0.0, 0.0025), (0.01, 0.004)), 0.0025),
        (((0.01, 0.003), (0.02, 0.004)), 0.003 * 0.05 / 0.06),
        (((-0.03, 0.001), (-0.02, 0.003)), 0.003 * 0.05 / 0.03),
        (((-0.0376, 0.001),), None),
        ((), None),
    ],
)
def test_the_carry_between_forwards_and_beside_them(
    forwards: tuple[tuple[float, float], ...], carry: float | None
) -> None:
    """Linear between two; proportional to time outside, up to 4 times the latest; else none.

    The future settles in 0.05 years; forwards are so far from that, with so much log(F/S).
    """
    chain = synthetic_chain(600, 4)
    (second,) = feed(lane_of("SPX"), [*told(chain), beat(ASOF_NS + S)])
    image = second.images[0]
    snapshot = figures(image, ("all",), final=True)["all"]
    june = (expiry_ns("/ESM25") - ASOF_NS) / (365 * 86_400 * SECOND_NS)
    assert june == pytest.approx(0.05, abs=0.001)
    rows = tuple(
        msgspec.structs.replace(
            snapshot.expiries[at],
            years=june + apart * june / 0.05,
            forward=6000 * math.exp(log),
            forward_method="parity",
        )
        for at, (apart, log) in enumerate(forwards)
    )
    others = tuple(
        msgspec.structs.replace(row, forward_method="neighbour") for row in snapshot.expiries
    )
    by_hand = msgspec.structs.replace(snapshot, expiries=rows + others)
    parity = index_at(image, by_hand, second.ts_ns).parity
    expected = None if carry is None else pytest.approx(6000 * math.expm1(carry), rel=1e-9)
    assert parity.get("M25") == expected


@pytest.mark.parametrize(
    ("late_s", "priced", "implied"), [(5, True, True), (6, False, True), (61, False, False)]
)
def test_an_index_that_stands_still_gives_no_samples(
    late_s: int, priced: bool, implied: bool
) -> None:
    """Its value counts for 5 s, its options' forwards for a minute."""
    chain = synthetic_chain(600, 8)
    lane = lane_of("SPX")
    seconds = feed(lane, [*told(chain), *(beat(ASOF_NS + at * S) for at in range(1, 63))])
    second = seconds[late_s]
    image = second.images[0]
    index = index_at(image, figures(image, ("all",), final=True)["all"], second.ts_ns)
    assert (index.price is not None, bool(index.parity)) == (priced, implied)
