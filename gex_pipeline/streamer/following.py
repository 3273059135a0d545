"""The wish for contracts, kept up with the market: anew after each chain, and as the spot moves."""

import asyncio
import time
from collections.abc import Callable

from gex_pipeline.feeds.schwab.answers import ChainPart
from gex_pipeline.streamer.connection import Wishes
from gex_pipeline.streamer.intake import Intake
from gex_pipeline.streamer.plan import Plan
from gex_pipeline.streamer.ranking import Allowance, Board, choose, exchange, in_turn, make_board

LOOK_S = 15.0
"""So often the newest spot is looked at: each change is one request to leave and one to add."""
_MOVED = 0.0002
"""Of the spot: below it nothing of the order changes that matters."""
_RANKED_FOR_S = 120.0
"""Then the contracts are ranked again in any case: time passes, and what is near expires."""


class Following:
    """Ranks the newest chains at the newest spots and tells the connection what to hold."""

    def __init__(
        self, plan: Plan, intake: Intake, wishes: Wishes, connected: Callable[[], bool]
    ) -> None:
        self.plan = plan
        self.intake = intake
        self.wishes = wishes
        self.exchanged = 0
        """Contracts that took the place of others."""
        wishes.options = list(plan.options)
        self._connected = connected
        self._boards: dict[str, Board] = {}
        self._allowance = Allowance()
        self._ranked: dict[str, float] = {}
        """The spots of the last ranking."""
        self._ranked_s = 0.0

    async def take(self, symbol: str, parts: list[ChainPart]) -> None:
        """Take a new chain's parts as what is ranked of a symbol from now on."""
        board = await asyncio.to_thread(make_board, parts)
        if board is not None:
            self._boards[symbol] = board

    async def run(self) -> None:
        """Choose anew as the spots move, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            spots = self._spots()
            old = time.monotonic() - self._ranked_s > _RANKED_FOR_S
            if old or any(self._moved(symbol, spot) for symbol, spot in spots.items()):
                await self.choose()

    async def choose(self) -> None:
        """Rank and choose; room is kept for chains that have not come yet."""
        now_ns, spots = self.intake.tapes.time.stamp_ns(), self._spots()
        if not spots:
            return
        orders = await asyncio.to_thread(self._orders, spots, now_ns)
        self._ranked, self._ranked_s = spots, time.monotonic()
        room = self._room(len(orders))
        held = self.wishes.options
        live, wanted = _live(orders, held), choose(orders, held, room)
        chosen = exchange(wanted, live, room, self._allowance.left(room, now_ns))
        free = max(0, room - len(live))
        exchanged = max(0, len(set(chosen) - set(live)) - free)
        self._allowance.spend(exchanged)
        self.exchanged += exchanged
        chosen = [*self.plan.options, *chosen]
        if set(chosen) != set(held):
            self.wishes.options = chosen

    def _orders(self, spots: dict[str, float], now_ns: int) -> dict[str, list[str]]:
        """Return each underlying's contracts, the best first, without those streamed anyway."""
        own = frozenset(self.plan.options)
        return {
            symbol: [name for name in self._boards[symbol].order(spot, now_ns) if name not in own]
            for symbol, spot in spots.items()
        }

    def _room(self, come: int) -> int:
        """Return the places for contracts, of `come` underlyings so far."""
        room = self.wishes.room
        if room is None:
            room = self.wishes.limit.symbols - self.plan.fixed + len(self.plan.options)
        room = max(0, room - len(self.plan.options))
        return room * come // max(1, len(self.plan.chains))

    def _spots(self) -> dict[str, float]:
        """Return the newest price of each underlying that has a board, in the plan's order."""
        return {
            symbol: self.intake.price(symbol, streamed=self._connected()) or board.spot
            for symbol in self.plan.chains
            if (board := self._boards.get(symbol)) is not None
        }

    def _moved(self, symbol: str, spot: float) -> bool:
        before = self._ranked.get(symbol, 0.0)
        return abs(spot - before) > _MOVED * before


def _live(orders: dict[str, list[str]], held: list[str]) -> list[str]:
    """Return what is held and has a rank, the best first: what has expired needs no place."""
    have = set(held)
    return in_turn([[name for name in order if name in have] for order in orders.values()])
