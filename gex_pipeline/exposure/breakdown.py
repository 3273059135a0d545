"""Exposure by strike and by expiry: the rows behind the totals."""

import msgspec
import numpy as np

from gex_pipeline.exposure import levels
from gex_pipeline.exposure.chain import CALL, PUT, Chain
from gex_pipeline.exposure.smile import Smile
from gex_pipeline.exposure.snapshot import ExpiryRow, StrikeRow
from gex_pipeline.market.arrays import Bools, Floats, Ints


class LineGex(msgspec.Struct, frozen=True, eq=False):
    """Exposure of some lines of a chain under one weight, $ per 1%."""

    line: Ints
    """(N,) index into the chain's lines, ascending."""
    call: Floats
    """(N,) never negative."""
    put: Floats
    """(N,) never positive."""


class ByStrike(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """(M,) sums over the scope's lines at each strike of the chain."""

    strikes: Floats
    listed: Bools
    """The scope has a contract there."""
    call_gex: tuple[Floats, ...]
    """By weight."""
    put_gex: tuple[Floats, ...]
    """By weight; absolute."""
    call_oi: Floats
    put_oi: Floats
    call_volume: Floats
    put_volume: Floats


def sum_by_strike(chain: Chain, groups: Bools, gex: tuple[LineGex, ...]) -> ByStrike:
    """Return the sums of the scope's `groups`, (G,); `gex` holds one entry per weight."""
    count = chain.strikes.size
    in_scope = groups[chain.group]
    every = chain.strike_id[in_scope]

    def of_all(column: Floats) -> Floats:
        return np.bincount(every, weights=column[in_scope], minlength=count)

    def of_lines(line: Ints, column: Floats) -> Floats:
        inside = in_scope[line]
        return np.bincount(chain.strike_id[line[inside]], weights=column[inside], minlength=count)

    return ByStrike(
        strikes=chain.strikes,
        listed=np.bincount(every, minlength=count) > 0,
        call_gex=tuple(of_lines(g.line, g.call) for g in gex),
        put_gex=tuple(of_lines(g.line, -g.put) for g in gex),
        call_oi=of_all(chain.open_interest[CALL]),
        put_oi=of_all(chain.open_interest[PUT]),
        call_volume=of_all(chain.volume[CALL]),
        put_volume=of_all(chain.volume[PUT]),
    )


def strike_rows(by_strike: ByStrike) -> tuple[StrikeRow, ...]:
    """Return a row per strike that the scope lists, ascending; GEX by OI, and its net by volume."""
    (call, call_volume), (put, put_volume) = by_strike.call_gex, by_strike.put_gex
    columns = (
        by_strike.strikes,
        call,
        -put,
        call - put,
        call_volume - put_volume,
        by_strike.call_oi,
        by_strike.put_oi,
        by_strike.call_volume,
        by_strike.put_volume,
    )
    return tuple(map(StrikeRow, *(column[by_strike.listed].tolist() for column in columns)))


def expiry_rows(
    chain: Chain, smile: Smile | None, groups: Bools, sums: Floats
) -> tuple[ExpiryRow, ...]:
    """Return a row per expiry and root of the scope; `sums` is (W, 2, G), call and put GEX.

    Without a smile (another tool's convention) the rows have no forward and no years.
    """
    net = sums.sum(axis=1)
    gross = sums[0, 0] - sums[0, 1]
    total = float(gross[groups].sum())
    return tuple(
        _expiry_row(chain, smile, int(g), sums, net, float(gross[g]) / total if total else None)
        for g in np.flatnonzero(groups)
    )


def _expiry_row(
    chain: Chain, smile: Smile | None, g: int, sums: Floats, net: Floats, share: float | None
) -> ExpiryRow:
    group, forward = chain.groups[g], smile.forwards[g] if smile else None
    lines = slice(chain.group_start[g], chain.group_start[g + 1])
    return ExpiryRow(
        expiry=group.expiry,
        root=group.root,
        settle_ns=group.settle_ns,
        years=float(smile.years[g]) if smile else None,
        contracts=int(np.count_nonzero(chain.listed[:, lines])),
        forward=forward.value if forward else None,
        forward_method=forward.method if forward else None,
        forward_reason=(forward.reason or None) if forward else None,
        call_gex=float(sums[0, 0, g]),
        put_gex=float(sums[0, 1, g]),
        net_gex=float(net[0, g]),
        net_gex_volume=float(net[1, g]),
        share=share,
        max_pain=levels.max_pain(
            chain.strike[lines],
            chain.open_interest[CALL, lines],
            chain.open_interest[PUT, lines],
            chain.spot,
        ),
    )
