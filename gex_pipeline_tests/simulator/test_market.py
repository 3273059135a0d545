"""One market: every price, volatility and greek of a moment belongs to the same state."""

import datetime

import msgspec
import numpy as np
import pytest

from gex_pipeline.market.sessions import et_ns, next_trading_day
from gex_pipeline.options.implied_vol import implied_vol
from gex_pipeline.simulator.board import Board
from gex_pipeline.simulator.instruments import INSTRUMENTS, OPTIONABLE, front_contract
from gex_pipeline.simulator.market import Market
from gex_pipeline.simulator.valuation import COLUMN, RATE, value

FRIDAY = datetime.date(2026, 11, 20)
OPEN_NS = et_ns(FRIDAY, 9, 31)
NOON_NS = et_ns(FRIDAY, 12)
YEAR_NS = 525_600 * 60 * 10**9


@pytest.fixture(scope="module")
def market() -> Market:
    """A small market."""
    return Market(seed=1, contracts=2000)


def sheet(market: Market, ts_ns: int) -> tuple[Board, dict[str, np.ndarray]]:
    """Return all options at a moment, by field."""
    board = market.board(ts_ns)
    values = market.options(board, np.arange(len(board)), ts_ns)
    return board, {name: values[:, place] for name, place in COLUMN.items()}


def test_the_same_seed_is_the_same_market(market: Market) -> None:
    """Asked in another order by another object, any moment is the same to the bit."""
    again = Market(seed=1, contracts=2000)
    again.board(et_ns(next_trading_day(FRIDAY), 15))

    for ts_ns in (NOON_NS, OPEN_NS):
        one, two = sheet(market, ts_ns)[1], sheet(again, ts_ns)[1]
        assert all(np.array_equal(one[name], two[name], equal_nan=True) for name in COLUMN)
    other = Market(seed=2, contracts=2000)
    assert sheet(other, NOON_NS)[1]["spot"][0] != sheet(market, NOON_NS)[1]["spot"][0]


def test_instruments_agree_with_one_another(market: Market) -> None:
    """A fund is a fixed part of its index, a future its index with carry, micros the same."""
    looks = {name: market.spots.look(INSTRUMENTS[name], NOON_NS) for name in INSTRUMENTS}
    carry = np.exp((RATE - 0.013) * (et_ns(datetime.date(2026, 12, 18), 9, 30) - NOON_NS) / YEAR_NS)

    assert looks["SPY"].last == pytest.approx(looks["SPX"].last * 668 / 6700, abs=0.011)
    assert looks["QQQ"].last == pytest.approx(looks["NDX"].last * 596 / 24500, abs=0.011)
    assert looks["/ES"].last == pytest.approx(looks["SPX"].last * carry, abs=0.26)
    assert looks["/MES"].bid == looks["/ES"].bid
    assert looks["/MNQ"].ask == looks["/NQ"].ask
    assert 8 < looks["VIX"].last < 60
    assert all(look.low <= look.last <= look.high for look in looks.values())


def test_volatility_rises_as_the_market_falls(market: Market) -> None:
    """VIX goes against SPX, minute by minute."""
    times = range(OPEN_NS, et_ns(FRIDAY, 15), 60 * 10**9)
    spx, vix = (
        np.log([market.spots.price(INSTRUMENTS[name], ts_ns) for ts_ns in times])
        for name in ("SPX", "VIX")
    )

    assert np.corrcoef(np.diff(spx), np.diff(vix))[0, 1] < -0.99


def test_price_volatility_and_greeks_are_one_model(market: Market) -> None:
    """The mid's implied volatility is the printed one, within what the tick can say."""
    board, col = sheet(market, NOON_NS)
    mid = (col["bid"] + col["ask"]) / 2
    t = (board.settle_ns[board.group] - NOON_NS) / YEAR_NS
    dividend = np.array([INSTRUMENTS[name].dividend for name in OPTIONABLE])[board.under]
    with np.errstate(invalid="ignore"):
        forward = col["spot"] * np.exp((RATE - dividend) * t)
        out = (board.right * (board.strike - forward) > 0) & (mid > 1) & (t > 0)
        own = implied_vol(
            mid / np.exp(-RATE * t), forward, board.strike, t, board.right.astype(float)
        )
    slack = 0.5 * (col["ask"] - col["bid"])[out] / (100 * col["vega"][out])

    assert np.count_nonzero(out) > 300
    assert np.all(np.abs(own - col["iv"])[out] <= slack + 1e-6)


def test_delta_and_gamma_are_the_slopes_of_the_price(market: Market) -> None:
    """A bump of spot moves the model's price by delta and gamma."""
    board, rows = market.board(NOON_NS), np.arange(len(market.board(NOON_NS)))
    moment = market.moment(NOON_NS)
    calm = msgspec.structs.replace(
        board, ref=np.full(len(board.ref), 0.2), table=board.table * 0 + 1
    )

    def at(bump: float) -> np.ndarray:
        return value(calm, rows, msgspec.structs.replace(moment, spot=moment.spot * (1 + bump)))

    step = 1e-4
    up, mid, down = at(step), at(0), at(-step)
    theo, width = COLUMN["theo"], moment.spot[board.under] * step
    live = ~np.isnan(mid[:, COLUMN["iv"]]) & ~calm.american
    slope = (up[:, theo] - down[:, theo]) / (2 * width)
    bend = (up[:, theo] - 2 * mid[:, theo] + down[:, theo]) / width**2
    assert np.allclose(slope[live], mid[live, COLUMN["delta"]], atol=2e-3)
    assert np.allclose(bend[live], mid[live, COLUMN["gamma"]], atol=2e-5)


def test_put_call_parity_holds(market: Market) -> None:
    """Call less put is the discounted distance from forward to strike, within both spreads."""
    board, col = sheet(market, NOON_NS)
    mid, width = (col["bid"] + col["ask"]) / 2, col["ask"] - col["bid"]
    group = next(g for g in board.groups if g.expiry.root == "SPXW" and g.expiry.date > FRIDAY)
    calls, puts = (np.arange(group.first + offset, group.last, 2) for offset in (0, 1))
    t = (group.settle_ns - NOON_NS) / YEAR_NS
    spot = col["spot"][group.first]
    due = spot * np.exp(-0.013 * t) - board.strike[calls] * np.exp(-RATE * t)

    assert np.all(board.right[calls] == 1)
    assert np.all(np.abs(mid[calls] - mid[puts] - due) <= (width[calls] + width[puts]) / 2)


def test_quotes_stand_on_ticks_and_far_puts_have_no_bid() -> None:
    """Bid below ask, dimes from three dollars on, nobody bids for what is worth nothing."""
    market = Market(seed=1)
    board, col = sheet(market, NOON_NS)
    live = ~np.isnan(col["iv"])
    index = live & ~board.american & (col["theo"] > 3.2)

    assert np.all(col["bid"][live] < col["ask"][live])
    assert np.allclose(col["bid"][index] * 10, np.rint(col["bid"][index] * 10), atol=1e-6)
    assert 0.02 < np.mean(col["bid"][live] == 0) < 0.4
    assert len(board) > 50_000


def test_a_0dte_option_decays_by_exact_time(market: Market) -> None:
    """At an unchanged market the price at the money follows the root of the minutes left."""
    board = market.board(OPEN_NS)
    group = next(g for g in board.groups if g.expiry.root == "SPXW" and g.expiry.date == FRIDAY)
    moment = market.moment(OPEN_NS)
    rows = np.arange(group.first, group.last)
    row = rows[[np.argmin(np.abs(board.strike[rows] - moment.spot[0]))]]
    board = msgspec.structs.replace(board, strike=np.full(len(board), moment.spot[0]))

    def theo(hour: int, minute: int) -> float:
        later = msgspec.structs.replace(moment, ts_ns=et_ns(FRIDAY, hour, minute))
        return float(value(board, row, later)[0, COLUMN["theo"]])

    assert theo(15, 56) / theo(15, 44) == pytest.approx(0.5, abs=0.01)


def test_open_interest_is_fixed_and_volume_grows(market: Market) -> None:
    """Through the day no open interest moves and no volume falls; the next day differs."""
    (board, first), (_, later) = sheet(market, OPEN_NS), sheet(market, et_ns(FRIDAY, 15))
    monday, after = sheet(market, et_ns(next_trading_day(FRIDAY), 10))
    shared = [
        (row, monday.row_of[name]) for name, row in board.row_of.items() if name in monday.row_of
    ]
    before_rows, after_rows = np.array(shared).T

    assert np.array_equal(first["open_interest"], later["open_interest"])
    assert np.all(later["volume"] >= first["volume"])
    assert later["volume"].sum() > 5 * first["volume"].sum()
    assert not np.array_equal(
        first["open_interest"][before_rows], after["open_interest"][after_rows]
    )


def test_am_settled_options_are_dead_after_the_open(market: Market) -> None:
    """On the third Friday SPX has settled at 09:30, SPXW has not; both are listed."""
    board, col = sheet(market, OPEN_NS)
    roots = np.array([g.expiry.root for g in board.groups])[board.group]
    today = np.array([g.expiry.date == FRIDAY for g in board.groups])[board.group]

    assert np.all(col["ask"][today & (roots == "SPX")] == 0)
    assert np.all(np.isnan(col["gamma"][today & (roots == "SPX")]))
    assert np.all(col["ask"][today & (roots == "SPXW")] > 0)


def test_each_date_lists_new_contracts_and_drops_only_the_expired() -> None:
    """Over a week nothing vanishes before its expiry, and every date has births."""
    market = Market(seed=3)
    day, known = FRIDAY, set(market.board(OPEN_NS).occ)
    for _ in range(5):
        expired = f"{day:%y%m%d}"
        day = next_trading_day(day)
        now = set(market.board(et_ns(day, 10)).occ)
        assert {name[6:12] for name in known - now} == {expired}
        assert now - known
        known = now


def test_the_resets_before_the_open(market: Market) -> None:
    """From 03:30 to 09:30 volatilities and volumes are 0; on a Saturday open interest is."""
    col = sheet(market, et_ns(FRIDAY, 3, 30))[1]
    assert not col["iv"].any()
    assert not col["volume"].any()
    assert sheet(market, et_ns(FRIDAY, 3, 29))[1]["iv"].any()
    saturday = sheet(market, et_ns(FRIDAY + datetime.timedelta(days=1), 12))[1]
    assert not saturday["open_interest"].any()


@pytest.mark.parametrize(
    ("day", "symbol"),
    [((2026, 11, 20), "/ESZ26"), ((2026, 12, 14), "/ESH27"), ((2026, 12, 11), "/ESZ26")],
)
def test_the_front_contract(day: tuple[int, int, int], symbol: str) -> None:
    """The quarterly contract, until the Monday before it expires."""
    assert front_contract("/ES", datetime.date(*day)).symbol == symbol


def test_a_smaller_market_keeps_to_its_total() -> None:
    """`contracts` bounds the whole; every underlying keeps a part of it."""
    board = Market(seed=1, contracts=300).board(OPEN_NS)

    assert 280 <= len(board) <= 300
    assert set(board.under.tolist()) == {0, 1, 2, 3}
