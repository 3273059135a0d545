"""The one fold: a chain of one moment in, the snapshots of any scopes out.

Live, as-of and replay all call this. Greeks and profile are computed once per group (root and
expiry) and summed per scope, always in canonical order: neither the order of rows nor the set of
scopes asked for changes a bit of the answer.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gex_pipeline.exposure import levels
from gex_pipeline.exposure.book import Book, make_book
from gex_pipeline.exposure.breakdown import expiry_rows, strike_rows
from gex_pipeline.exposure.carry import NOTHING_CONFIGURED, Configured
from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.convention import GEXC_1, Convention
from gex_pipeline.exposure.coverage import measure_coverage
from gex_pipeline.exposure.cut import Cut, cut_book
from gex_pipeline.exposure.feed import FILE, Feed
from gex_pipeline.exposure.figures import no_exposure, weigh
from gex_pipeline.exposure.scopes import check_scope, groups_of, scope_groups
from gex_pipeline.exposure.smile import solve_smile
from gex_pipeline.exposure.snapshot import Exposure, GexSnapshot, Raw, header
from gex_pipeline.exposure.tallies import tally
from gex_pipeline.exposure.vendor import vendor_check
from gex_pipeline.market.arrays import Bools

_UNUSABLE: Final = "coverage_unusable"
_DENIED: Final = {
    "zero_gamma": None,
    "flips": (),
    "call_wall": None,
    "put_wall": None,
    "walls": None,
}
"""What an unusable coverage takes away; the sums stay."""
OWN_FIGURES: Final = (
    "net_gex_volume",
    "max_pain",
    "expected_move",
    "vendor",
    "coverage",
    "confidence",
    "confidence_level",
)
"""What a snapshot has beside its exposures and may be null."""


def fold(
    chain: Chain,
    scopes: Sequence[str] = ("all",),
    *,
    convention: Convention = GEXC_1,
    scan_nodes: int | None = None,
    configured: Configured = NOTHING_CONFIGURED,
    feed: Feed = FILE,
) -> dict[str, GexSnapshot]:
    """Return the snapshot of each scope.

    `scan_nodes` draws a finer profile (401 for 201 points); `configured` stands in where the chain
    implies no rate or forward; `feed` says how a live chain's feed is. A chain without a spot
    answers null with the reason no_spot.

    Raises:
        ConventionError: a scope of an unknown name.
    """
    for scope in scopes:
        check_scope(scope)
    if not chain.spot > 0:
        unexpired = chain.settle_ns > chain.asof_ns
        return {
            scope: without_spot(chain, scope, convention.id, scope_groups(chain, unexpired, scope))
            for scope in scopes
        }
    smile = solve_smile(chain, convention, configured)
    return snapshots(make_book(chain, smile, convention, scan_nodes), scopes, feed=feed)


def snapshots(book: Book, scopes: Sequence[str], *, feed: Feed = FILE) -> dict[str, GexSnapshot]:
    """Return the snapshot of each scope of a book; those of the same expiries are folded once."""
    asked = dict(zip(scopes, groups_of(book.chain, book.smile.live, scopes), strict=True))
    distinct = {groups.tobytes(): groups for groups in asked.values()}
    cuts = zip(distinct, cut_book(book, list(distinct.values())), strict=True)
    folded = {key: _snapshot(book, cut, feed) for key, cut in cuts}
    return {
        scope: msgspec.structs.replace(folded[groups.tobytes()], scope=scope)
        for scope, groups in asked.items()
    }


def _snapshot(book: Book, cut: Cut, feed: Feed) -> GexSnapshot:
    """Return the snapshot of a cut, whose name is still to be stated."""
    chain, smile, groups, by_strike = book.chain, book.smile, cut.groups, cut.by_strike
    oi, volume = weigh(book, cut)
    coverage = measure_coverage(book.evidence, groups, feed)
    listed = by_strike.listed
    answered = [view.net_gex is not None for view in (oi, volume)]
    priced = book.start[1:] > book.start[:-1]
    answer = GexSnapshot(
        **header(chain, "", book.convention.id, book.tallies.contracts[groups].sum()),
        **msgspec.structs.asdict(oi),
        net_gex_volume=volume.net_gex,
        volume=volume,
        max_pain=levels.max_pain(
            chain.strikes[listed], by_strike.call_oi[listed], by_strike.put_oi[listed], chain.spot
        ),
        expected_move=book.expected_move,
        strikes=strike_rows(by_strike, answered),
        expiries=expiry_rows(
            chain, smile, book.tallies, groups, book.sums[:, :2], [priced & one for one in answered]
        ),
        vendor=vendor_check(book.tallies, smile.live, groups, oi.net_gex),
        coverage=coverage,
        confidence=coverage.factors.product,
        confidence_level=coverage.level,
    )
    return _trusted(answer, volume)


def without_spot(chain: Chain, scope: str, convention: str, groups: Bools) -> GexSnapshot:
    """Return nulls: nothing can be said of exposure without a spot."""
    contracts = tally(chain).contracts[groups].sum()
    oi, volume = (no_exposure(weight, "no_spot") for weight in (0, 1))
    answer = GexSnapshot(
        **header(chain, scope, convention, contracts),
        **msgspec.structs.asdict(oi),
        volume=volume,
    )
    return explained(answer, dict.fromkeys(("spot", *OWN_FIGURES), "no_spot"))


def explained(answer: GexSnapshot, reasons: Mapping[str, str]) -> GexSnapshot:
    """Return the snapshot with a reason for each of those figures that is null and has none yet."""
    missing = {
        name: reason
        for name, reason in reasons.items()
        if getattr(answer, name) is None and name not in answer.null_reasons
    }
    return msgspec.structs.replace(answer, null_reasons=answer.null_reasons | missing)


def _reasons(answer: GexSnapshot, volume: Exposure) -> dict[str, str]:
    """Return why each of the snapshot's own figures would be null."""
    reasons = dict.fromkeys(OWN_FIGURES, "no_contracts")
    reasons["net_gex_volume"] = volume.null_reasons.get("net_gex", "no_contracts")
    reasons["vendor"] = answer.null_reasons.get("net_gex", "no_vendor_gamma")
    if answer.contracts:
        reasons["max_pain"] = "no_oi"
    return reasons


def _trusted(answer: GexSnapshot, volume: Exposure) -> GexSnapshot:
    """Return the snapshot without the levels that its coverage does not carry: those under raw."""
    if not answer.contracts:
        answer = msgspec.structs.replace(
            answer, coverage=None, confidence=None, confidence_level=None
        )
    answer = explained(answer, _reasons(answer, volume))
    if answer.confidence_level != "unusable":
        return answer
    reasons = dict.fromkeys((*_DENIED, "expected_move"), _UNUSABLE) | answer.null_reasons
    return msgspec.structs.replace(
        answer,
        **_DENIED,
        expected_move=None,
        null_reasons=reasons,
        volume=_denied(volume),
        raw=Raw(
            zero_gamma=answer.zero_gamma,
            flips=answer.flips,
            call_wall=answer.call_wall,
            put_wall=answer.put_wall,
            walls=answer.walls,
            expected_move=answer.expected_move,
            volume=volume,
        ),
    )


def _denied(view: Exposure) -> Exposure:
    """Return the view without the levels that its coverage does not carry."""
    reasons = dict.fromkeys(_DENIED, _UNUSABLE) | view.null_reasons
    return msgspec.structs.replace(view, **_DENIED, null_reasons=reasons)
