"""The book: one chain with everything that all its scopes share, computed once per group."""

from typing import Final

import msgspec
import numpy as np

from gex_pipeline.exposure import profile
from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.convention import Convention
from gex_pipeline.exposure.evidence import Evidence, gather_evidence
from gex_pipeline.exposure.greeks import (
    LineExposure,
    LineGreeks,
    line_exposure,
    line_greeks,
    sensitivities,
)
from gex_pipeline.exposure.levels import ExpectedMove, find_expected_move
from gex_pipeline.exposure.smile import Smile
from gex_pipeline.exposure.tallies import Tallies, tally
from gex_pipeline.market.arrays import Bools, Floats, Ints

WEIGHTS: Final = ("open_interest", "volume")
_SUMS: Final = ("call_gex", "put_gex", "dex", "vex", "cex")


class Book(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """W = 2 weights, N usable lines, G groups."""

    chain: Chain
    smile: Smile
    convention: Convention
    greeks: LineGreeks
    exposures: tuple[LineExposure, ...]
    """(W)"""
    bells: Floats
    """(W, N) theirs."""
    start: Ints
    """(G + 1,) the first usable line of each group."""
    sums: Floats
    """(W, 5, G): call, put, DEX, VEX, CEX."""
    x: Floats
    """Scan nodes; the inner half is the profile."""
    scan: Floats
    """(W, G, nodes): the profile of each group, factor S exp(x) left out."""
    tallies: Tallies
    evidence: Evidence
    expected_move: ExpectedMove | None


def make_book(
    chain: Chain, smile: Smile, convention: Convention, scan_nodes: int | None = None
) -> Book:
    """Return greeks, exposures and profiles per group, for both weights.

    `scan_nodes` (odd) draws the profile more finely than the convention's own: 401 for 201 points.
    """
    greeks = line_greeks(chain, smile)
    other = sensitivities(greeks, smile)
    exposures = tuple(
        line_exposure(greeks, other, weight) for weight in (chain.open_interest, chain.volume)
    )
    start = np.searchsorted(greeks.group, np.arange(len(chain.groups) + 1))
    x = profile.nodes(convention.scan_span, scan_nodes or convention.scan_nodes)
    bells = np.stack([exposure.bell for exposure in exposures])
    columns = [getattr(exposure, name) for exposure in exposures for name in _SUMS]
    return Book(
        chain=chain,
        smile=smile,
        convention=convention,
        greeks=greeks,
        exposures=exposures,
        bells=bells,
        start=start,
        sums=_group_sums(columns, start).reshape(len(WEIGHTS), len(_SUMS), -1),
        x=x,
        scan=profile.scan(greeks.slope, greeks.d1, bells, start, x),
        tallies=tally(chain),
        evidence=gather_evidence(chain, smile, convention, greeks, exposures[0]),
        expected_move=find_expected_move(chain, smile),
    )


def scope_scan(book: Book, groups: Bools, lines: slice | Ints) -> tuple[Floats, Floats] | None:
    """Return nodes and (W, nodes) sums of a scope of one date alone, which is scanned finely.

    None of any other: the book's own scan serves it.
    """
    dates = {book.chain.groups[g].settle_date for g in np.flatnonzero(groups).tolist()}
    if len(dates) != 1:
        return None
    x = profile.nodes(book.convention.scan_span, book.convention.scan_nodes_one_date)
    bells, greeks = book.bells[:, lines], book.greeks
    ends = np.array([0, bells.shape[1]])
    return x, profile.scan(greeks.slope[lines], greeks.d1[lines], bells, ends, x)[:, 0]


def _group_sums(columns: list[Floats], start: Ints) -> Floats:
    """Return (columns, G): each group's sum; reduceat alone gives an empty group its next line."""
    sums = np.zeros((len(columns), start.size - 1))
    filled = np.flatnonzero(start[1:] > start[:-1])
    if filled.size:
        for row, column in zip(sums, columns, strict=True):
            row[filled] = np.add.reduceat(column, start[filled])
    return sums
