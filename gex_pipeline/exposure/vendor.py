"""Other tools' conventions, for comparing with them: the vendor's gamma, and r = q = 0.

`vendor` sums the gamma that the file prints over unexpired rows, `vendor-all` over all rows as
most public tools do; both know gamma at spot only, so they have no profile and no zero gamma.
`r0-busdays262` is the widely copied script of perfiliev.co.uk (2022): Black-Scholes with r = q = 0,
each row's own vendor volatility, time as business days / 262 with 0 taken as 1, 60 levels over 0.8
to 1.2 of spot and linear interpolation between levels. None of them says how sure it is.
"""

import datetime
from typing import Final

import msgspec
import numpy as np

from gex_pipeline.errors import ConventionError
from gex_pipeline.exposure import levels
from gex_pipeline.exposure.book import WEIGHTS
from gex_pipeline.exposure.breakdown import (
    LineGex,
    expiry_rows,
    strike_rows,
    sum_by_strike,
)
from gex_pipeline.exposure.chain import CALL, MULTIPLIER, PUT, Chain
from gex_pipeline.exposure.convention import CROSS_CHECKS
from gex_pipeline.exposure.crossings import Crossings, Flip
from gex_pipeline.exposure.figures import no_exposure, with_walls
from gex_pipeline.exposure.greeks import ONE_PERCENT
from gex_pipeline.exposure.scopes import check_scope, lines_of, scope_groups
from gex_pipeline.exposure.snapshot import (
    Exposure,
    GexSnapshot,
    ProfilePoint,
    VendorCheck,
    header,
)
from gex_pipeline.exposure.tallies import Tallies, tally
from gex_pipeline.market.arrays import Bools, Floats
from gex_pipeline.options.black76 import INV_SQRT_2PI

_LEVELS: Final = 60
_LEVEL_RANGE: Final = (0.8, 1.2)
_BUSINESS_DAYS: Final = 262
_GREEKS: Final = ("dex", "vex", "cex")
_AT_SPOT_ONLY: Final = "gamma_known_at_spot_only"


def vendor_check(
    tallies: Tallies, live: Bools, groups: Bools, net_gex: float | None
) -> VendorCheck | None:
    """Return the vendor's own total of the scope beside ours; None where either is missing."""
    if net_gex is None or tallies.vendor is None:
        return None
    call, put = tallies.vendor[:, groups].sum(axis=1).tolist()
    net, gross = call + put, call - put
    difference = net_gex - net
    return VendorCheck(
        net_gex=net,
        gross_gex=gross,
        net_gex_all_rows=net + float(tallies.vendor[:, ~live].sum()),
        difference=difference,
        difference_to_net=difference / abs(net) if net else None,
        difference_to_gross=difference / gross if gross else None,
    )


def cross_check(chain: Chain, convention: str, scope: str, today: datetime.date) -> GexSnapshot:
    """Return the snapshot under another tool's convention.

    `today` is the New York date that r0-busdays262 counts business days from: the download date.

    Raises:
        ConventionError: no such convention or scope.
    """
    check_scope(scope)
    if convention not in CROSS_CHECKS:
        raise ConventionError("Convention", convention, CROSS_CHECKS)
    unexpired = chain.settle_ns > chain.asof_ns
    if convention == "r0-busdays262":
        return _r0(chain, scope, today)
    alive = unexpired if convention == "vendor" else np.ones_like(unexpired)
    groups = scope_groups(chain, alive, scope)
    gamma = np.nan_to_num(chain.gamma)
    weights = (chain.open_interest, chain.volume)
    gex = tuple(_line_gex(chain, gamma, weight, groups) for weight in weights)
    crossings = Crossings(reason=_AT_SPOT_ONLY)
    return _assemble(chain, convention, scope, groups, gex, [(crossings, ())] * 2)


def _r0(chain: Chain, scope: str, today: datetime.date) -> GexSnapshot:
    days = np.busday_count(
        np.datetime64(today), np.array([g.expiry for g in chain.groups], dtype="datetime64[D]")
    )
    alive = np.array([g.expiry >= today for g in chain.groups], dtype=bool)
    groups = scope_groups(chain, alive, scope)
    years = np.maximum(days, 1) / _BUSINESS_DAYS
    usable = (chain.iv > 0) & groups[chain.group]
    stdev = np.where(usable, chain.iv, np.nan) * np.sqrt(years)[chain.group]

    def gamma(spot: float) -> Floats:
        d1 = np.log(spot / chain.strike) / stdev + stdev / 2
        return np.asarray(np.nan_to_num(np.exp(-0.5 * d1 * d1) * INV_SQRT_2PI / (spot * stdev)))

    spots = np.linspace(*_LEVEL_RANGE, _LEVELS) * chain.spot
    weights = (chain.open_interest, chain.volume)
    curves = np.zeros((len(weights), _LEVELS))
    for at, spot in enumerate(spots):
        per_share = gamma(spot) * (MULTIPLIER * spot * spot * ONE_PERCENT)
        signed = np.stack((per_share[CALL], -per_share[PUT]))
        curves[:, at] = [(signed * weight).sum() for weight in weights]
    at_spot = gamma(chain.spot)
    gex = tuple(_line_gex(chain, at_spot, weight, groups) for weight in weights)
    views = [
        (
            _linear_crossings(spots, curve, chain.spot),
            tuple(map(ProfilePoint, spots.tolist(), curve.tolist())),
        )
        for curve in curves
    ]
    return _assemble(chain, "r0-busdays262", scope, groups, gex, views)


def _at_spot(chain: Chain, gamma: Floats, weight: Floats) -> tuple[Floats, Floats]:
    dollars = gamma * weight * (MULTIPLIER * chain.spot * chain.spot * ONE_PERCENT)
    return dollars[CALL], 0.0 - dollars[PUT]


def _line_gex(chain: Chain, gamma: Floats, weight: Floats, groups: Bools) -> LineGex:
    call, put = _at_spot(chain, gamma, weight)
    lines = lines_of(chain.group_start, groups)
    return LineGex(chain.strike_id[lines], call[lines], put[lines])


def _linear_crossings(spots: Floats, curve: Floats, spot: float) -> Crossings:
    """Return all sign changes between neighbouring levels, by linear interpolation."""
    if not curve.any():
        return Crossings(reason="no_exposure")
    left = np.flatnonzero(np.sign(curve[:-1]) * np.sign(curve[1:]) < 0)
    slope = np.diff(curve)[left] / np.diff(spots)[left]
    roots = spots[left] - curve[left] / slope
    flips = tuple(
        Flip(
            spot=root,
            slope=rise,
            dir="up" if rise > 0 else "down",
            distance=float(np.log(root / spot)),
            outside_grid=False,
        )
        for root, rise in zip(roots.tolist(), slope.tolist(), strict=True)
    )
    return Crossings(flips=flips, reason=None if flips else "no_crossing_in_range")


def _assemble(
    chain: Chain,
    convention: str,
    scope: str,
    groups: Bools,
    gex: tuple[LineGex, ...],
    views: list[tuple[Crossings, tuple[ProfilePoint, ...]]],
) -> GexSnapshot:
    tallies = tally(chain)
    by_strike = sum_by_strike(chain, groups, gex)
    oi, volume = (
        _exposure(weight, gex[weight], crossings, profile, chain.spot)
        if groups.any()
        else no_exposure(weight, "no_contracts")
        for weight, (crossings, profile) in enumerate(views)
    )
    if groups.any():
        oi, volume = (
            with_walls(view, levels.find_walls(chain.strikes, call, put, chain.spot))
            for view, call, put in zip(
                (oi, volume), by_strike.call_gex, by_strike.put_gex, strict=True
            )
        )
    listed = by_strike.listed
    sums = np.stack([_group_sums(chain, groups, one) for one in gex])
    return GexSnapshot(
        **header(chain, scope, convention, tallies.contracts[groups].sum()),
        **msgspec.structs.asdict(oi),
        net_gex_volume=volume.net_gex,
        volume=volume,
        max_pain=levels.max_pain(
            chain.strikes[listed], by_strike.call_oi[listed], by_strike.put_oi[listed], chain.spot
        ),
        strikes=strike_rows(by_strike, (True, True)),
        expiries=expiry_rows(chain, None, tallies, groups, sums, (groups, groups)),
    )


def _group_sums(chain: Chain, groups: Bools, gex: LineGex) -> Floats:
    at, count = chain.group[lines_of(chain.group_start, groups)], len(chain.groups)
    return np.stack(
        [np.bincount(at, weights=side, minlength=count) for side in (gex.call, gex.put)]
    )


def _exposure(
    weight: int,
    gex: LineGex,
    crossings: Crossings,
    profile: tuple[ProfilePoint, ...],
    spot: float,
) -> Exposure:
    call, put = float(gex.call.sum()), float(gex.put.sum())
    headline = crossings.nearest
    reasons = dict.fromkeys(_GREEKS, "not_part_of_this_convention")
    if crossings.reason:
        reasons["zero_gamma"] = crossings.reason
    at_spot = call + put
    if profile:
        at_spot = float(np.interp(spot, [p.spot for p in profile], [p.gex for p in profile]))
    return Exposure(
        weight=WEIGHTS[weight],
        net_gex=call + put,
        call_gex=call,
        put_gex=put,
        gross_gex=call - put,
        gamma_at_spot=at_spot,
        zero_gamma=headline.spot if headline else None,
        flips=crossings.flips,
        profile=profile,
        null_reasons=reasons,
    )
