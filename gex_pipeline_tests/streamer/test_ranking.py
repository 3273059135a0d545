"""Which contracts are streamed: most gamma first, each underlying alike, moved without churn."""

import datetime

import msgspec
import numpy as np
import pytest

from gex_pipeline.feeds.schwab.answers import ChainPart, read_part
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.sessions import SECOND_NS, et_ns, settlement_ns
from gex_pipeline.streamer.ranking import (
    EXCHANGED_A_MINUTE,
    Allowance,
    Board,
    choose,
    exchange,
    make_board,
    share_out,
)

DAY = datetime.date(2026, 11, 20)
NEXT = datetime.date(2026, 11, 23)
NOW_NS = et_ns(DAY, 10)
STEP_S = 15
SESSION_S = 390 * 60


def part(*rows: tuple[datetime.date, float, float, float]) -> ChainPart:
    """SPX at 7000 with calls of (expiry, strike, IV in percent, open interest)."""
    dates: dict[str, dict[str, list[object]]] = {}
    for day, strike, iv, held in rows:
        symbol = f"SPXW  {day:%y%m%d}C{round(strike * 1000):08d}"
        contract = {"symbol": symbol, "volatility": iv, "openInterest": held, "multiplier": 100}
        dates.setdefault(f"{day}:0", {})[str(strike)] = [contract]
    answer = {"symbol": "$SPX", "isIndex": True, "underlyingPrice": 7000.0, "callExpDateMap": dates}
    return read_part(msgspec.json.encode(answer), DAY, NEXT)


def order(*rows: tuple[datetime.date, float, float, float], spot: float = 7000.0) -> list[str]:
    """The strikes of a chain in their order at a spot."""
    board = make_board([part(*rows)])
    assert board is not None
    return [name[13:18] for name in board.order(spot, NOW_NS)]


def test_gamma_times_what_is_open_ranks_and_distance_discounts() -> None:
    """At the money above far away, much open interest above little, expired nothing."""
    yesterday = DAY - datetime.timedelta(days=1)
    rows = (
        (NEXT, 7000.0, 12.0, 100.0),
        (NEXT, 7005.0, 12.0, 5000.0),
        (NEXT, 9000.0, 12.0, 5000.0),
        (yesterday, 6995.0, 12.0, 9999.0),
    )

    assert order(*rows)[:2] == ["07005", "07000"]
    assert "06995" not in order(*rows)


def test_the_order_moves_with_the_spot_and_needs_no_new_chain() -> None:
    """What was far is near now."""
    rows = [(NEXT, strike, 12.0, 1000.0) for strike in (6900.0, 7000.0, 7100.0)]

    assert order(*rows)[0] == "07000"
    assert order(*rows, spot=7100.0)[0] == "07100"


@pytest.mark.parametrize("iv", [-999.0, 0.0, 7805.0])
def test_without_open_interest_and_volatility_the_distance_decides(iv: float) -> None:
    """A chain of a closed market still has an order."""
    assert order((NEXT, 7000.0, iv, 0.0), (NEXT, 7300.0, iv, 0.0)) == ["07000", "07300"]


def test_no_spot_no_board() -> None:
    """An empty answer ranks nothing."""
    assert make_board([read_part(b'{"symbol": "$SPX"}', DAY, DAY)]) is None
    assert make_board([]) is None


def test_each_underlying_has_its_share_and_leaves_what_it_does_not_need() -> None:
    """Five places for two: one has a single contract, the other takes the rest."""
    orders = {"SPX": [f"s{n}" for n in range(9)], "SPY": ["y"]}

    assert choose(orders, (), 5) == ["s0", "y", "s1", "s2", "s3"]
    assert choose(orders, (), 0) == []
    assert share_out({"A": 100, "B": 2, "C": 100}, 11) == {"B": 2, "A": 4, "C": 5}
    assert sum(share_out({"A": 1, "B": 1}, 50).values()) == 2


def test_a_held_contract_stays_until_it_is_clearly_out() -> None:
    """Of 100 places 80 go by rank; in the others a held one stays up to rank 125."""
    names = [f"{n:03d}" for n in range(200)]
    held = [*names[:80], *names[105:125]]

    assert set(choose({"SPX": names}, held, 100)) == set(held)
    assert set(choose({"SPX": names}, [*names[:80], *names[125:145]], 100)) == set(names[:100])
    assert choose({"SPX": names}, [], 100) == names[:100]


def test_only_so_many_are_exchanged_the_best_first() -> None:
    """Free places cost nothing; what must wait leaves the best of the old ones where they are."""
    held = ["a", "b", "c", "d"]

    assert exchange(["x", "y", "a", "z"], held, 4, 1) == ["x", "a", "b", "c"]
    assert exchange(["x", "y", "a", "z"], held, 6, 0) == ["x", "y", "a", "b"]
    assert exchange(["x", "y"], [], 2, 0) == ["x", "y"]
    assert exchange(["x", "y", "a", "b"], held, 4, 9) == ["x", "y", "a", "b"]
    assert len(exchange(["x"], held, 2, 0)) <= 2


def test_the_allowance_fills_with_market_time_to_a_minutes_worth() -> None:
    """A tenth of the room a minute, never more at once."""
    allowance = Allowance()

    assert allowance.left(100, NOW_NS) == 10
    allowance.spend(10)
    assert allowance.left(100, NOW_NS) == 0
    assert allowance.left(100, NOW_NS + 30 * SECOND_NS) == 5
    assert allowance.left(100, NOW_NS + 3600 * SECOND_NS) == 10


def a_board(rng: np.random.Generator, symbol: str, spot: float, step: float) -> Board:
    """A chain of 10 expiries and 121 strikes, calls and puts; interest is lumpy and wide."""
    days = [DAY + datetime.timedelta(days=n) for n in range(14) if (DAY.weekday() + n) % 7 < 5]
    strikes = np.round(spot / step) * step + step * np.arange(-60, 61)
    names, settle = [], []
    for day in days:
        at_ns = settlement_ns(symbol, day)
        for right in "CP":
            names += [f"{symbol}{day:%y%m%d}{right}{strike:09.2f}" for strike in strikes]
            settle += [at_ns] * strikes.size
    size = len(names)
    distance = np.tile(np.abs(strikes / spot - 1), 2 * len(days))
    held = rng.lognormal(6, 1.5, size) * np.exp(-20 * distance)
    by_name = np.argsort(names)
    return Board(
        names=tuple(np.array(names)[by_name].tolist()),
        strike=np.tile(strikes, 2 * len(days))[by_name],
        settle_ns=np.array(settle, dtype=np.int64)[by_name],
        sigma=np.full(size, 0.18),
        held=held[by_name],
        spot=spot,
    )


def a_walk(rng: np.random.Generator) -> Floats:
    """Factors of the spot through a session at 25% a year, a step each 15 s."""
    steps = SESSION_S // STEP_S
    sigma = 0.25 * np.sqrt(STEP_S / (252 * SESSION_S))
    return np.asarray(np.exp(np.cumsum(rng.normal(0, sigma, steps))))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_days_walk_keeps_the_gamma_and_exchanges_little(seed: int) -> None:
    """A session of 15 s steps, two underlyings, 300 places.

    No minute exchanges more than a tenth of the places, a usual one far fewer; and of the score
    that 300 places can hold at any spot 95% stays streamed, of each underlying.
    """
    rng = np.random.default_rng(seed)
    boards = {"SPXW": a_board(rng, "SPXW", 7000.0, 5.0), "SPY": a_board(rng, "SPY", 700.0, 1.0)}
    room, held, allowance = 300, list[str](), Allowance()
    changes, shares = list[int](), list[float]()
    first_ns = et_ns(DAY, 9, 30)

    for at, factor in enumerate(a_walk(rng)):
        now_ns = first_ns + at * STEP_S * SECOND_NS
        spots = {symbol: board.spot * float(factor) for symbol, board in boards.items()}
        orders = {symbol: board.order(spots[symbol], now_ns) for symbol, board in boards.items()}
        have = set(held)
        live = [name for order in orders.values() for name in order if name in have]
        wanted = choose(orders, held, room)
        chosen = exchange(wanted, live, room, allowance.left(room, now_ns))
        exchanged = max(0, len(set(chosen) - have) - (room - len(live)))
        allowance.spend(exchanged)
        held = chosen
        changes.append(exchanged)
        if at % 8 == 0:
            shares += _shares(boards, spots, now_ns, held, room)

    minutes = np.add.reduceat(changes, np.arange(0, len(changes), 60 // STEP_S))
    assert len(held) == room
    assert minutes.max() <= EXCHANGED_A_MINUTE * room + 1
    assert np.mean(minutes) <= EXCHANGED_A_MINUTE * room / 3
    assert min(shares) >= 0.95


def _shares(
    boards: dict[str, Board], spots: dict[str, float], now_ns: int, held: list[str], room: int
) -> list[float]:
    """Of each underlying, the streamed part of the score that its half of the room can hold."""
    have, found = set(held), []
    for symbol, board in boards.items():
        scores = board.scores(spots[symbol], now_ns)
        best = np.sort(scores)[::-1][: room // len(boards)].sum()
        ours = sum(score for name, score in zip(board.names, scores, strict=True) if name in have)
        found.append(ours / best)
    return found
