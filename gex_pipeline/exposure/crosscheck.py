"""Cross-checks: other tools' conventions, the vendor's gamma and r = q = 0.

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
    ByStrike,
    LineGex,
    expiry_rows,
    strike_rows,
    sum_by_strike,
)
from gex_pipeline.exposure.chain import CALL, MULTIPLIER, PUT, Chain
from gex_pipeline.exposure.convention import CROSS_CHECKS
from gex_pipeline.exposure.crossings import Crossings, Flip
from gex_pipeline.exposure.figures import no_exposure, with_walls
from gex_pipeline.exposure.fold import OWN_FIGURES, explained, without_spot
from gex_pipeline.exposure.greeks import ONE_PERCENT
from gex_pipeline.exposure.scopes import check_scope, lines_of, scope_groups
from gex_pipeline.exposure.snapshot import Exposure, GexSnapshot, ProfilePoint, header
from gex_pipeline.exposure.tallies import Tallies, tally
from gex_pipeline.market.arrays import Bools, Floats
from gex_pipeline.options.black76 import INV_SQRT_2PI

_LEVELS: Final = 60
_LEVEL_RANGE: Final = (0.8, 1.2)
_BUSINESS_DAYS: Final = 262
_NOT_PART: Final = "not_part_of_this_convention"


class _Way(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """How a convention sees a chain."""

    groups: Bools
    """(G,) of the scope."""
    gamma: Floats
    """(2, L) at spot; NaN where the convention has none."""
    unknown: str
    """The reason when it has none at all."""
    spots: Floats
    """(n,) levels of its profile; empty without one."""
    curves: Floats
    """(W, n) net GEX at each."""


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
    if not chain.spot > 0:
        return without_spot(chain, scope, convention, scope_groups(chain, unexpired, scope))
    if convention == "r0-busdays262":
        return _assemble(chain, convention, scope, _script(chain, scope, today))
    alive = unexpired if convention == "vendor" else np.ones_like(unexpired)
    way = _Way(
        groups=scope_groups(chain, alive, scope),
        gamma=chain.gamma,
        unknown="no_vendor_gamma",
        spots=np.empty(0),
        curves=np.empty((len(WEIGHTS), 0)),
    )
    return _assemble(chain, convention, scope, way)


def _script(chain: Chain, scope: str, today: datetime.date) -> _Way:
    """Return the public script's gamma and profile."""
    expiries = np.array([group.expiry for group in chain.groups], dtype="datetime64[D]")
    start = np.datetime64(today)
    groups = scope_groups(chain, expiries >= start, scope)
    years = np.maximum(np.busday_count(start, expiries), 1) / _BUSINESS_DAYS
    usable = (chain.iv > 0) & groups[chain.group]
    stdev = np.where(usable, chain.iv, np.nan) * np.sqrt(years)[chain.group]

    def gamma(spot: float) -> Floats:
        d1 = np.log(spot / chain.strike) / stdev + stdev / 2
        return np.asarray(np.exp(-0.5 * d1 * d1) * INV_SQRT_2PI / (spot * stdev))

    spots = np.linspace(*_LEVEL_RANGE, _LEVELS) * chain.spot
    curves = np.zeros((len(WEIGHTS), _LEVELS))
    for at, spot in enumerate(spots.tolist()):
        for weight, column in enumerate((chain.open_interest, chain.volume)):
            call, put = _dollars(gamma(spot), column, spot)
            curves[weight, at] = call.sum() + put.sum()
    return _Way(
        groups=groups, gamma=gamma(chain.spot), unknown="no_vendor_iv", spots=spots, curves=curves
    )


def _dollars(gamma: Floats, weight: Floats, spot: float) -> Floats:
    """Return (2, L) call and put GEX, 0 where there is no gamma."""
    dollars = np.nan_to_num(gamma) * weight * (MULTIPLIER * spot * spot * ONE_PERCENT)
    return np.stack((dollars[CALL], 0.0 - dollars[PUT]))


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


def _assemble(chain: Chain, convention: str, scope: str, way: _Way) -> GexSnapshot:
    tallies, groups = tally(chain), way.groups
    lines = lines_of(chain.group_start, groups)
    strike_id, group = chain.strike_id[lines], chain.group[lines]
    gex, sums = [], []
    for weight in (chain.open_interest, chain.volume):
        sides = _dollars(way.gamma, weight, chain.spot)[:, lines]
        gex.append(LineGex(strike_id, sides[CALL], sides[PUT]))
        sums.append([np.bincount(group, weights=side, minlength=groups.size) for side in sides])
    by_strike = sum_by_strike(chain, groups, tuple(gex))
    known = bool((way.gamma[:, lines] > 0).any())
    oi, volume = (
        _exposure(chain, way, weight, by_strike, _missing(tallies, way, weight, known=known))
        for weight in range(len(WEIGHTS))
    )
    answered = [view.net_gex is not None for view in (oi, volume)]
    listed = by_strike.listed
    answer = GexSnapshot(
        **header(chain, scope, convention, tallies.contracts[groups].sum()),
        **msgspec.structs.asdict(oi),
        net_gex_volume=volume.net_gex,
        volume=volume,
        max_pain=levels.max_pain(
            chain.strikes[listed], by_strike.call_oi[listed], by_strike.put_oi[listed], chain.spot
        ),
        strikes=strike_rows(by_strike, answered),
        expiries=expiry_rows(
            chain, None, tallies, groups, np.array(sums), [groups & one for one in answered]
        ),
    )
    reasons = dict.fromkeys(OWN_FIGURES, _NOT_PART) | {
        "net_gex_volume": volume.null_reasons.get("net_gex", _NOT_PART),
        "max_pain": "no_oi" if answer.contracts else "no_contracts",
    }
    return explained(answer, reasons)


def _missing(tallies: Tallies, way: _Way, weight: int, *, known: bool) -> str | None:
    """Return why there is nothing to sum: a zero here would look like a fact."""
    if not way.groups.any():
        return "no_contracts"
    if not tallies.weight[weight, way.groups].any():
        return ("no_oi", "no_volume")[weight]
    return None if known else way.unknown


def _exposure(
    chain: Chain, way: _Way, weight: int, by_strike: ByStrike, missing: str | None
) -> Exposure:
    if missing:
        return no_exposure(weight, missing)
    calls, puts = by_strike.call_gex[weight], by_strike.put_gex[weight]
    call, put = float(calls.sum()), 0.0 - float(puts.sum())
    curve = way.curves[weight]
    crossings = Crossings(reason="gamma_known_at_spot_only")
    at_spot = call + put
    if curve.size:
        crossings = _linear_crossings(way.spots, curve, chain.spot)
        at_spot = float(np.interp(chain.spot, way.spots, curve))
    headline = crossings.nearest
    reasons = dict.fromkeys(("dex", "vex", "cex"), _NOT_PART)
    if crossings.reason:
        reasons["zero_gamma"] = crossings.reason
    answer = Exposure(
        weight=WEIGHTS[weight],
        net_gex=call + put,
        call_gex=call,
        put_gex=put,
        gross_gex=call - put,
        gamma_at_spot=at_spot,
        zero_gamma=headline.spot if headline else None,
        flips=crossings.flips,
        profile=tuple(map(ProfilePoint, way.spots.tolist(), curve.tolist())),
        null_reasons=reasons,
    )
    return with_walls(answer, levels.find_walls(chain.strikes, calls, puts, chain.spot))
