"""The figures of one scope and weight: totals, crossings, walls, profile, and why one is null."""

from functools import partial

import msgspec
import numpy as np

from gex_pipeline.exposure import profile
from gex_pipeline.exposure.book import WEIGHTS, Book
from gex_pipeline.exposure.crossings import Crossings, Curves, find_crossings
from gex_pipeline.exposure.cut import Cut
from gex_pipeline.exposure.levels import Level, Walls
from gex_pipeline.exposure.snapshot import Exposure, ProfilePoint
from gex_pipeline.market.arrays import Bools, Floats, Ints

WALL_REASONS = {
    "call_wall": "no_call_gex_at_or_above_spot",
    "put_wall": "no_put_gex_at_or_below_spot",
    "abs_gamma_strike": "no_exposure",
    "max_net_strike": "no_positive_strike",
    "min_net_strike": "no_negative_strike",
}
"""Why a strike is null when its list is empty."""
FIGURES = ("net_gex", "call_gex", "put_gex", "gross_gex", "dex", "vex", "cex", "gamma_at_spot")
LEVELS = ("zero_gamma", *WALL_REASONS)


def weigh(book: Book, cut: Cut) -> tuple[Exposure, ...]:
    """Return the exposure of a cut, one for each weight."""
    reasons = [no_answer(book, weight, cut.groups, cut.lines) for weight in range(len(WEIGHTS))]
    crossings = (
        scope_crossings(book, cut.lines, cut.scan)
        if None in reasons
        else [Crossings()] * len(reasons)
    )
    return tuple(
        no_exposure(weight, reason)
        if reason
        else _with_totals(book, weight, cut, crossings[weight])
        for weight, reason in enumerate(reasons)
    )


def _with_totals(book: Book, weight: int, cut: Cut, crossings: Crossings) -> Exposure:
    call, put, dex, vex, cex = book.sums[weight][:, cut.groups].sum(axis=1).tolist()
    points, curve = _profile(book, cut.curves[weight])
    headline = crossings.nearest
    answer = Exposure(
        weight=WEIGHTS[weight],
        net_gex=call + put,
        call_gex=call,
        put_gex=put,
        gross_gex=call - put,
        dex=dex,
        vex=vex,
        cex=cex,
        gamma_at_spot=float(curve[curve.size // 2]),
        zero_gamma=headline.spot if headline else None,
        flips=crossings.flips,
        dead_zone_changes=crossings.dead_zone_changes,
        profile=tuple(map(ProfilePoint, points.tolist(), curve.tolist())),
        null_reasons={"zero_gamma": crossings.reason} if crossings.reason else {},
    )
    return with_walls(answer, cut.walls[weight])


def no_exposure(weight: int, reason: str) -> Exposure:
    """Return an exposure of nulls, each with the same reason."""
    return Exposure(
        weight=WEIGHTS[weight], null_reasons=dict.fromkeys((*FIGURES, *LEVELS, "walls"), reason)
    )


def with_walls(answer: Exposure, walls: Walls) -> Exposure:
    """Return the exposure with the walls and their headline strikes, or why one is null."""
    strikes = {
        "call_wall": _first(walls.call),
        "put_wall": _first(walls.put),
        "abs_gamma_strike": _first(walls.abs_gamma),
        "max_net_strike": _first(walls.max_net),
        "min_net_strike": _first(walls.min_net),
    }
    missing = {name: WALL_REASONS[name] for name, strike in strikes.items() if strike is None}
    return msgspec.structs.replace(
        answer, walls=walls, **strikes, null_reasons=answer.null_reasons | missing
    )


def _first(ranked: tuple[Level, ...]) -> float | None:
    return ranked[0].strike if ranked else None


def no_answer(book: Book, weight: int, groups: Bools, lines: slice | Ints) -> str | None:
    """Return why there is nothing to sum: a zero here would look like a fact."""
    if not groups.any():
        return "no_contracts"
    if not book.tallies.weight[weight, groups].any():
        return ("no_oi", "no_volume")[weight]
    if not book.greeks.line[lines].size:
        return "no_usable_quotes"
    return None


def _profile(book: Book, curve: Floats) -> tuple[Floats, Floats]:
    """Return spots and GEX of the inner half of the book's scan."""
    quarter = (book.x.size - 1) // 4
    inner = slice(quarter, book.x.size - quarter)
    spots = book.chain.spot * np.exp(book.x[inner])
    return spots, curve[inner] * spots


def scope_crossings(
    book: Book, lines: slice | Ints, scan: tuple[Floats, Floats]
) -> list[Crossings]:
    """Return all crossings of the scope's usable `lines`, one entry a weight."""
    x, sums = scan
    slope, d1 = book.greeks.slope[lines], book.greeks.d1[lines]
    bells = book.bells[:, lines]

    def evaluate(curve: Ints) -> Curves:
        return partial(profile.values, slope, d1, bells[curve])

    return find_crossings(
        x,
        profile.dollars(sums, book.chain.spot, x),
        evaluate,
        book.chain.spot,
        book.convention.lobe_gate,
        book.convention.profile_span,
    )
