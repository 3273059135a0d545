"""Option quotes as a day streams them: the simulator's market, its contracts drawn by activity."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.market.events import OptionQuote
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline.simulator.fields import as_streamed
from gex_pipeline.simulator.instruments import OPTIONABLE
from gex_pipeline.simulator.market import Market
from gex_pipeline.simulator.valuation import COLUMN

OPEN_NS: Final = 1_795_185_000_000_000_000
"""2026-11-20, 09:30 in New York."""
MESSAGE: Final = 50
"""Quotes that one message of the stream brings, all received at once."""
BLOCK: Final = 20_000

_FLOATS: Final = (
    "bid", "ask", "bid_size", "ask_size", "last", "last_size", "mark", "iv", "delta", "gamma",
    "theta", "vega", "rho",
)  # fmt: skip


class OptionFlow:
    """Quotes of a market of so many contracts, `per_s` of them a market second, from one seed."""

    def __init__(self, *, contracts: int = 12_000, per_s: int = 1_000, seed: int = 7) -> None:
        self._market = Market(seed, contracts)
        self._board = self._market.board(OPEN_NS)
        self._rng = np.random.default_rng(seed)
        active = 1 + np.sqrt(self._board.day_volume)
        self._odds = np.cumsum(active / active.sum())
        self._step_ns = MESSAGE * SECOND_NS // per_s
        self._ts_ns = OPEN_NS + SECOND_NS
        self._under = np.array(OPTIONABLE, dtype=object)
        self._occ = np.array(self._board.occ, dtype=object)

    def block(self, rows: int = BLOCK) -> dict[str, Any]:
        """Return the next quotes as columns by the names of OptionQuote's fields, without seq."""
        chosen = np.searchsorted(self._odds, self._rng.random(rows)).clip(max=len(self._board) - 1)
        messages = np.arange(rows) // MESSAGE
        ts_recv = self._ts_ns + messages * self._step_ns + self._rng.integers(0, 10_000)
        sheet = self._sheet(chosen, rows)
        self._ts_ns = int(ts_recv[-1]) + self._step_ns
        columns: dict[str, Any] = {name: _null(sheet[:, COLUMN[name]]) for name in _FLOATS}
        return columns | {
            "symbol": self._occ[chosen],
            "underlying": self._under[self._board.under[chosen]],
            "ts_event_ns": sheet[:, COLUMN["quote_ms"]].astype(np.int64) * 1_000_000,
            "ts_recv_ns": ts_recv,
            "open_interest": sheet[:, COLUMN["open_interest"]].astype(np.int64),
            "volume": sheet[:, COLUMN["volume"]].astype(np.int64),
            "underlying_price": sheet[:, COLUMN["spot"]],
        }

    def events(self, last_seq: int, first_seq: int = 1) -> Iterator[OptionQuote]:
        """Yield the quotes of these seqs."""
        for start in range(first_seq, last_seq + 1, BLOCK):
            rows = min(BLOCK, last_seq + 1 - start)
            block = {n: c.tolist() for n, c in self.block(rows).items()}
            names = tuple(block)
            for seq, values in enumerate(zip(*block.values(), strict=True), start):
                yield OptionQuote(**dict(zip(names, values, strict=True)), seq=seq, settlement="P")

    def _sheet(self, chosen: Ints, rows: int) -> Floats:
        """Return the quotes, those of a fifth of a second valued at one moment."""
        pieces = []
        size = max(SECOND_NS // 5 // self._step_ns, 1) * MESSAGE
        for start in range(0, rows, size):
            at_ns = self._ts_ns + start // MESSAGE * self._step_ns
            piece = chosen[start : start + size]
            pieces.append(as_streamed(self._market.options(self._board, piece, at_ns)))
        return np.concatenate(pieces)


def _null(values: Floats) -> np.ndarray[Any, Any]:
    """Return the values as objects, None where nothing is known; without any, as they are."""
    unknown = np.isnan(values)
    if not unknown.any():
        return values
    known = values.astype(object)
    known[unknown] = None
    return known
