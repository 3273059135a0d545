"""What the simulator has told, quote by quote: what a receiver without a fault holds.

The last trade of an option stays as it was told until its volume grows, on the stream and by REST.
"""

from typing import Final

import numpy as np

from gex_pipeline.market.arrays import Floats, Ints
from gex_pipeline.simulator.board import Board
from gex_pipeline.simulator.valuation import COLUMN, FIELDS

_TRADE: Final = np.array([COLUMN[name] for name in ("last", "last_size", "trade_ms")])
_VOLUME: Final = COLUMN["volume"]


class Published:
    """One trading date's options as told; a new board starts untold."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.sheet: Floats = np.full((len(board), len(FIELDS)), np.nan)
        self._traded: Floats = np.full((len(board), 1 + len(_TRADE)), np.nan)
        self.spots: dict[str, dict[str, object]] = {}
        """Stream fields of all but options, by key."""

    def on(self, board: Board) -> "Published":
        """Return what has been told, on the same date's board with other contracts."""
        after = Published(board)
        after.spots = self.spots
        pairs = [(row, board.row_of.get(name)) for row, name in enumerate(self.board.occ)]
        known = np.array([pair for pair in pairs if pair[1] is not None], dtype=np.int64)
        if known.size:
            after.sheet[known[:, 1]] = self.sheet[known[:, 0]]
            after._traded[known[:, 1]] = self._traded[known[:, 0]]
        return after

    def with_trades(self, rows: Ints, sheet: Floats) -> Floats:
        """Return the quotes with the last trade of those whose volume stands still."""
        known = self._traded[rows]
        still = known[:, 0] == sheet[:, _VOLUME]
        sheet[np.ix_(still, _TRADE)] = known[still, 1:]
        self._traded[rows] = sheet[:, [_VOLUME, *_TRADE]]
        return sheet

    def tell(self, rows: Ints, sheet: Floats, columns: list[int] | None = None) -> None:
        """Note what was sent, rounded as it was; `columns` where only some fields were."""
        if columns is None:
            self.sheet[rows] = sheet
        else:
            self.sheet[np.ix_(rows, np.array(columns))] = sheet[:, columns]
