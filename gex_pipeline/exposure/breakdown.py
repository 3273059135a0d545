"""Exposure by strike and by expiry: the rows behind the totals."""

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import CALL, PUT, Chain
from gex_pipeline.exposure.scopes import lines_of
from gex_pipeline.exposure.smile import Smile
from gex_pipeline.exposure.snapshot import ExpiryRow, StrikeRow
from gex_pipeline.exposure.tallies import Tallies
from gex_pipeline.market.arrays import Bools, Floats, Ints


class LineGex(msgspec.Struct, frozen=True, eq=False):
    """Exposure of some lines of a chain under one weight, $ per 1%."""

    strike_id: Ints
    """(N,) the line's place among the chain's strikes."""
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
    """Return the sums over the scope's `groups`, (G,); `gex` is its lines', an entry a weight."""
    count = chain.strikes.size
    lines = lines_of(chain.group_start, groups)
    at = chain.strike_id[lines]

    def total(strike_id: Ints, column: Floats) -> Floats:
        return np.bincount(strike_id, weights=column, minlength=count).astype(
            np.float64, copy=False
        )

    return ByStrike(
        strikes=chain.strikes,
        listed=np.bincount(at, minlength=count) > 0,
        call_gex=tuple(total(one.strike_id, one.call) for one in gex),
        put_gex=tuple(0.0 - total(one.strike_id, one.put) for one in gex),
        call_oi=total(at, chain.open_interest[CALL, lines]),
        put_oi=total(at, chain.open_interest[PUT, lines]),
        call_volume=total(at, chain.volume[CALL, lines]),
        put_volume=total(at, chain.volume[PUT, lines]),
    )


def strike_rows(by_strike: ByStrike) -> tuple[StrikeRow, ...]:
    """Return a row per strike that the scope lists, ascending; GEX by OI, and its net by volume."""
    (call, call_volume), (put, put_volume) = by_strike.call_gex, by_strike.put_gex
    columns = (
        by_strike.strikes,
        call,
        0.0 - put,  # not -put: no minus before a zero
        call - put,
        call_volume - put_volume,
        by_strike.call_oi,
        by_strike.put_oi,
        by_strike.call_volume,
        by_strike.put_volume,
    )
    return tuple(map(StrikeRow, *(column[by_strike.listed].tolist() for column in columns)))


def expiry_rows(
    chain: Chain, smile: Smile | None, tallies: Tallies, groups: Bools, sums: Floats
) -> tuple[ExpiryRow, ...]:
    """Return a row per expiry and root of the scope; `sums` is (W, 2, G), call and put GEX.

    Without a smile (another tool's convention) the rows have no forward and no years.
    """
    call, put = sums[0]
    total = float((call - put)[groups].sum())
    columns = (tallies.contracts, call, put, *sums.sum(axis=1))
    numbers = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(
        ExpiryRow(
            expiry=group.expiry,
            root=group.root,
            settle_ns=group.settle_ns,
            years=float(smile.years[g]) if smile else None,
            contracts=int(contracts),
            forward=forward.value if forward else None,
            forward_method=forward.method if forward else None,
            forward_reason=(forward.reason or None) if forward else None,
            call_gex=call_gex,
            put_gex=put_gex,
            net_gex=net,
            net_gex_volume=net_volume,
            share=(call_gex - put_gex) / total if total else None,
            max_pain=tallies.max_pain[g],
        )
        for g, (
            group,
            forward,
            inside,
            (contracts, call_gex, put_gex, net, net_volume),
        ) in enumerate(
            zip(
                chain.groups,
                smile.forwards if smile else (None,) * len(chain.groups),
                groups.tolist(),
                numbers,
                strict=True,
            )
        )
        if inside
    )
