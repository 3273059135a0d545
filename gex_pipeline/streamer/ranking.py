"""Which contracts are worth a place in the stream: those with most gamma, at any spot.

A stream holds a few hundred symbols and a chain has tens of thousands. Each underlying has an equal
share of the room, and what one does not need goes to the others. Within it a contract's score is
its share of the gamma that is open or traded, and for a tenth its share of gamma as such, which is
its distance to the spot: so the money is streamed also where little is open yet.

The choice has hysteresis, because each new contract costs a full image. Only the first four fifths
of the places go by rank; in the others a contract that is held stays until a quarter more than the
share are ahead of it. And of a minute of market time only so many contracts are exchanged: the
spot may jump, and then the best come first.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain as joined
from itertools import zip_longest

import msgspec
import numpy as np

from gex_pipeline.feeds.schwab.answers import ChainPart, occ_symbols
from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.sessions import SECOND_NS, settlement_ns
from gex_pipeline.options.black_scholes import gamma
from gex_pipeline.options.time_to_expiry import years_to_expiry

INNER, OUTER = 0.8, 1.25
EXCHANGED_A_MINUTE = 0.1
"""Of the room, in market time."""
_DISTANCE = 0.1
_USUAL_IV = 0.2
_HIGHEST_IV = 5.0
_FLOOR_MINUTES = 15.0
_MINUTE_NS = 60 * SECOND_NS


class Board(msgspec.Struct, frozen=True, eq=False):
    """The contracts of one chain, by name, ready to be scored; N rows."""

    names: tuple[str, ...]
    strike: Floats
    settle_ns: Ints
    sigma: Floats
    held: Floats
    """Open interest and the day's volume."""
    spot: float
    """That came with the chain."""

    def scores(self, spot: float, now_ns: int) -> Floats:
        """Return (N,) scores; of what has expired, 0."""
        left = years_to_expiry(self.settle_ns, now_ns, _FLOOR_MINUTES)
        each = gamma(np.full(self.strike.size, spot), self.strike, left.years, 0.0, 0.0, self.sigma)
        each = np.where(left.live, np.nan_to_num(each), 0.0)
        return _shared(each * self.held) + _DISTANCE * _shared(each)

    def order(self, spot: float, now_ns: int) -> list[str]:
        """Return the contracts that have a score, the best first, ties by name."""
        scores = self.scores(spot, now_ns)
        order = np.argsort(-scores, kind="stable")
        return [self.names[at] for at in order[scores[order] > 0].tolist()]


def make_board(parts: Sequence[ChainPart]) -> Board | None:
    """Return the board of a chain's parts; None: they have no contract, or no spot."""
    chains = [part.chain for part in parts if len(part.chain)]
    spots = [chain.spot for chain in chains if chain.spot > 0]
    if not spots:
        return None
    names = np.concatenate([occ_symbols(chain) for chain in chains])
    iv = np.concatenate([chain.iv for chain in chains])
    held = np.concatenate([_count(chain.open_interest) + _count(chain.volume) for chain in chains])
    by_name = np.argsort(names)
    return Board(
        names=tuple(names[by_name].tolist()),
        strike=np.concatenate([chain.strike for chain in chains])[by_name],
        settle_ns=np.concatenate([_settle_ns(chain) for chain in chains])[by_name],
        sigma=np.where((iv > 0) & (iv < _HIGHEST_IV), iv, _USUAL_IV)[by_name],
        held=held[by_name],
        spot=spots[-1],
    )


class Allowance:
    """How many contracts may be exchanged now: a bucket that fills with market time."""

    def __init__(self) -> None:
        self._left = 0.0
        self._filled_ns: int | None = None

    def left(self, room: int, now_ns: int) -> int:
        """Return how many, a minute's at most."""
        most = max(1.0, EXCHANGED_A_MINUTE * room)
        if self._filled_ns is None:
            self._left, self._filled_ns = most, now_ns
        gained = max(0, now_ns - self._filled_ns) / _MINUTE_NS * most
        self._left, self._filled_ns = min(most, self._left + gained), max(now_ns, self._filled_ns)
        return int(self._left)

    def spend(self, exchanged: int) -> None:
        """Take so many out of it."""
        self._left -= exchanged


def choose(orders: Mapping[str, Sequence[str]], held: Iterable[str], room: int) -> list[str]:
    """Return the contracts to stream, the underlyings in turn and each one's best first.

    `orders` has contracts by underlying, the best first; `held` are those that are streamed now.
    """
    have = set(held)
    shares = share_out({symbol: len(order) for symbol, order in orders.items()}, room)
    return in_turn([_of_one(order, have, shares[symbol]) for symbol, order in orders.items()])


def in_turn(orders: Sequence[Sequence[str]]) -> list[str]:
    """Return the first of each, then the second of each, and so on."""
    return [name for name in joined.from_iterable(zip_longest(*orders)) if name is not None]


def exchange(wanted: Sequence[str], held: Sequence[str], room: int, most: int) -> list[str]:
    """Return the wanted contracts, at most `most` of them in the place of held ones.

    Free places do not count. Of what is no longer wanted the first of `held` stay longest.
    """
    have, want = set(held), set(wanted)
    new = [name for name in wanted if name not in have]
    allowed = max(0, room - len(have)) + most
    late = set(new[allowed:])
    stay = [name for name in held if name not in want][: len(late)]
    return [*(name for name in wanted if name not in late), *stay][:room]


def share_out(needs: Mapping[str, int], room: int) -> dict[str, int]:
    """Return how many places each gets: as many as the others, and what those do not need."""
    shares, left = {}, room
    for place, symbol in enumerate(sorted(needs, key=lambda each: needs[each])):
        shares[symbol] = min(needs[symbol], left // (len(needs) - place))
        left -= shares[symbol]
    return shares


def _of_one(order: Sequence[str], held: set[str], share: int) -> list[str]:
    inner = round(share * INNER)
    band = order[inner : round(share * OUTER)]
    staying = [name for name in band if name in held]
    others = [name for name in order[inner:share] if name not in held]
    chosen = {*order[:inner], *staying[: share - inner]}
    chosen.update(others[: share - len(chosen)])
    return [name for name in order[: round(share * OUTER)] if name in chosen]


def _shared(values: Floats) -> Floats:
    total = float(values.sum())
    return values / total if total > 0 else values


def _count(values: Floats) -> Floats:
    return np.maximum(np.nan_to_num(values), 0.0)


def _settle_ns(chain: OptionChain) -> Ints:
    """Return each contract's settlement instant, worked out once per root and expiry."""
    known: dict[tuple[str, object, str], int] = {}
    rows = zip(chain.root.tolist(), chain.expiry.tolist(), chain.settlement.tolist(), strict=True)
    out = np.empty(len(chain), np.int64)
    for index, key in enumerate(rows):
        if key not in known:
            known[key] = settlement_ns(*key)
        out[index] = known[key]
    return out
