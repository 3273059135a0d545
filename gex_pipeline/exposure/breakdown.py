"""Exposure by strike and by expiry: the rows behind the totals."""

from collections.abc import Sequence

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
    usable: Bools
    """A contract there has an exposure."""
    call_gex: Floats
    """(W, M)"""
    put_gex: Floats
    """(W, M) absolute."""
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
        usable=np.bincount(gex[0].strike_id, minlength=count) > 0,
        call_gex=np.stack([total(one.strike_id, one.call) for one in gex]),
        put_gex=0.0 - np.stack([total(one.strike_id, one.put) for one in gex]),
        call_oi=total(at, chain.open_interest[CALL, lines]),
        put_oi=total(at, chain.open_interest[PUT, lines]),
        call_volume=total(at, chain.volume[CALL, lines]),
        put_volume=total(at, chain.volume[PUT, lines]),
    )


def strike_rows(by_strike: ByStrike, answered: Sequence[bool]) -> tuple[StrikeRow, ...]:
    """Return a row per strike that the scope lists, ascending, GEX by OI and by volume.

    `answered` says of each weight whether the scope has an answer at all.
    """
    (call, call_volume), (put, put_volume) = by_strike.call_gex, by_strike.put_gex
    listed = by_strike.listed
    usable = by_strike.usable[listed]
    oi, volume = (usable & known for known in answered)
    figures = (
        (call, oi),
        (0.0 - put, oi),  # not -put: no minus before a zero
        (call - put, oi),
        (call_volume - put_volume, volume),
        (call_volume, volume),
        (0.0 - put_volume, volume),
    )
    counts = (by_strike.call_oi, by_strike.put_oi, by_strike.call_volume, by_strike.put_volume)
    return tuple(
        map(
            StrikeRow,
            by_strike.strikes[listed].tolist(),
            *(_known(column[listed], known) for column, known in figures),
            *(column[listed].tolist() for column in counts),
        )
    )


def expiry_rows(
    chain: Chain,
    smile: Smile | None,
    tallies: Tallies,
    groups: Bools,
    sums: Floats,
    usable: Sequence[Bools],
) -> tuple[ExpiryRow, ...]:
    """Return a row per expiry and root of the scope; `sums` is (W, 2, G), call and put GEX.

    `usable` holds for each weight (G,) whether the group has an answer. Without a smile (another
    tool's convention) the rows have no forward and no years.
    """
    call, put = sums[0]
    gross = call - put
    total = float(gross[groups].sum())
    oi, volume = usable
    columns = (
        tallies.contracts.tolist(),
        *(_known(column, oi) for column in (call, put, call + put)),
        _known(sums[1].sum(axis=0), volume),
        _known(_shares(gross, total, groups), oi) if total else [None] * groups.size,
    )
    forwards = smile.forwards if smile else (None,) * groups.size
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
            share=share,
            max_pain=tallies.max_pain[g],
        )
        for g, (group, forward, inside, contracts, call_gex, put_gex, net, net_volume, share) in (
            enumerate(zip(chain.groups, forwards, groups.tolist(), *columns, strict=True))
        )
        if inside
    )


def _shares(gross: Floats, total: float, groups: Bools) -> Floats:
    """Return each group's part of the scope's total; what is outside may be no number beside it."""
    return np.divide(gross, total, where=groups, out=np.zeros_like(gross))


def _known(column: Floats, known: Bools) -> list[float | None]:
    """Return the column as a list, null where it is not known."""
    if known.all():
        return column.tolist()  # type: ignore[no-any-return] # numpy gives lists of anything
    pairs = zip(column.tolist(), known.tolist(), strict=True)
    return [value if sure else None for value, sure in pairs]
