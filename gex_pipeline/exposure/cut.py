"""A cut: what one scope takes of a book."""

import msgspec
import numpy as np

from gex_pipeline.exposure.book import Book, scope_scan
from gex_pipeline.exposure.breakdown import ByStrike, LineGex, sum_by_strike
from gex_pipeline.exposure.levels import Walls, find_many_walls
from gex_pipeline.exposure.scopes import lines_of
from gex_pipeline.market.arrays import Bools, Floats, Ints


class Cut(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """W = 2 weights, G groups of the book."""

    groups: Bools
    """(G,) those of the scope."""
    lines: slice | Ints
    """Their usable lines."""
    by_strike: ByStrike
    curves: Floats
    """(W, nodes of the book): the profile, factor S exp(x) left out."""
    scan: tuple[Floats, Floats]
    """Nodes and (W, nodes) sums of the scope's own scan."""
    walls: tuple[Walls, ...] = ()
    """(W)"""


def cut_book(book: Book, scopes: list[Bools]) -> list[Cut]:
    """Return the cut of each of the scopes, (G,); their walls are ranked all at once."""
    cuts = [_cut(book, groups) for groups in scopes]
    if not cuts:
        return []
    weights = len(book.exposures)
    calls = np.concatenate([cut.by_strike.call_gex for cut in cuts])
    puts = np.concatenate([cut.by_strike.put_gex for cut in cuts])
    walls = find_many_walls(book.chain.strikes, calls, puts, book.chain.spot)
    return [
        msgspec.structs.replace(cut, walls=tuple(walls[at * weights : (at + 1) * weights]))
        for at, cut in enumerate(cuts)
    ]


def _cut(book: Book, groups: Bools) -> Cut:
    lines = lines_of(book.start, groups)
    strike_id = book.chain.strike_id[book.greeks.line[lines]]
    gex = tuple(
        LineGex(strike_id, exposure.call_gex[lines], exposure.put_gex[lines])
        for exposure in book.exposures
    )
    curves = book.scan[:, groups].sum(axis=1)
    return Cut(
        groups=groups,
        lines=lines,
        by_strike=sum_by_strike(book.chain, groups, gex),
        curves=curves,
        scan=scope_scan(book, groups, lines) or (book.x, curves),
    )
