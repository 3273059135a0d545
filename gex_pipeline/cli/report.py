"""A snapshot as a person reads it: the figures, the expiries, and why to trust them or not."""

from collections.abc import Callable, Iterator

import click

from gex_pipeline.cli.bars import bars
from gex_pipeline.exposure.coverage import Coverage, Live
from gex_pipeline.exposure.futures import FutureSnapshot
from gex_pipeline.exposure.levels import Level
from gex_pipeline.exposure.moment import LiveSnapshot
from gex_pipeline.exposure.snapshot import ExpiryRow, Exposure, GexSnapshot
from gex_pipeline.market.sessions import et_datetime

_EXPIRIES_SHOWN = 12
_MOMENTS = {
    "given": "time as given",
    "session": "15 min before the download",
    "last_close": "the last close",
}
_LEVEL_COLOURS = {"high": "green", "low": "yellow", "unusable": "red"}


def report(snapshot: GexSnapshot) -> Iterator[str]:
    """Return the lines of the terminal report."""
    yield from _heading(snapshot)
    yield ""
    yield from _figures(snapshot)
    yield ""
    yield from _trust(snapshot)
    if snapshot.expiries:
        yield ""
        yield from _expiries(snapshot.expiries)
    if snapshot.net_gex is not None:
        yield ""
        yield from bars(snapshot)


def dollars(value: float | None) -> str:
    """Return an amount with its unit: -11.199 bn, 182.4 mn, 950."""
    if value is None:
        return "-"
    for size, unit in ((1e9, "bn"), (1e6, "mn"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:,.3f} {unit}"
    return f"{value:,.0f}"


def points(value: float | None) -> str:
    """Return a level without needless decimals."""
    return "-" if value is None else f"{value:,.2f}".removesuffix(".00")


def _heading(snapshot: GexSnapshot) -> Iterator[str]:
    moment = et_datetime(snapshot.ts_event_ns)
    spot = click.style(points(snapshot.spot), bold=True)
    clock = f"{moment:%a %Y-%m-%d %H:%M:%S}".removesuffix(":00")
    yield f"{click.style(snapshot.symbol, bold=True)} {spot}   {clock} New York"
    rule = _MOMENTS.get(snapshot.asof_rule, snapshot.asof_rule)
    yield (
        f"scope {snapshot.scope}, {snapshot.contracts:,} contracts, {snapshot.convention},"
        f" from {snapshot.source} ({rule})"
    )
    yield f"$ of dealer delta per +1% of spot; {snapshot.dealer}"
    if isinstance(snapshot, LiveSnapshot):
        yield from _feed(snapshot)
    if isinstance(snapshot, FutureSnapshot):
        yield _basis(snapshot)


def _basis(snapshot: FutureSnapshot) -> str:
    """Return what an index's levels are moved by."""
    basis = snapshot.basis
    if basis.points is None:
        return click.style(f"no basis of {snapshot.index}: {basis.reason}", fg="red")
    line = (
        f"levels of {snapshot.index} {basis.points:+.2f} ({basis.source}, {basis.age_s or 0:.0f} s"
        f" old, {basis.contract or 'contract not told'}, by {basis.quoted or 'nobody quoted'})"
    )
    return click.style(f"{line}, STALE", fg="red") if basis.stale else line


def _feed(snapshot: LiveSnapshot) -> Iterator[str]:
    """Return what a recorded or live figure stands on: its tape, made up or real, whole or not."""
    tapes = ", ".join(f"{tape} {position}" for tape, position in snapshot.tapes.items())
    made_up = click.style("SIMULATED", fg="yellow") + ", " if snapshot.mode == "simulated" else ""
    yield f"{made_up}tape {tapes}"
    if snapshot.gap_s:
        causes = ", ".join(snapshot.gap_causes)
        yield click.style(f"over a gap: {snapshot.gap_s:,.1f} s of the feed ({causes})", fg="red")


def _figures(snapshot: GexSnapshot) -> Iterator[str]:
    volume = snapshot.volume
    yield f"{'':14}{'open interest':>18}{'volume':>18}"
    for label, name in (("net GEX", "net_gex"), ("call GEX", "call_gex"), ("put GEX", "put_gex")):
        yield _row(label, snapshot, volume, name, dollars)
    for label, name in (
        ("zero gamma", "zero_gamma"),
        ("call wall", "call_wall"),
        ("put wall", "put_wall"),
        ("largest gross", "abs_gamma_strike"),
        ("largest +net", "max_net_strike"),
        ("largest -net", "min_net_strike"),
    ):
        yield _row(label, snapshot, volume, name, points) + _remark(snapshot, name)
    yield f"{'max pain':14}{points(snapshot.max_pain):>18}"
    for label, name in (("DEX, $ delta", "dex"), ("VEX, vol point", "vex"), ("CEX, day", "cex")):
        yield _row(label, snapshot, volume, name, dollars)
    move = snapshot.expected_move
    if move and move.points is not None:
        text = f"{points(move.points)} ({move.share or 0:.2%}) to {move.expiry} {move.root}"
        yield f"{'expected move':14}{text:>18}"


def _row(
    label: str,
    snapshot: GexSnapshot,
    volume: Exposure | None,
    name: str,
    show: Callable[[float | None], str],
) -> str:
    oi, flow = getattr(snapshot, name), getattr(volume, name, None)
    return f"{label:14}{show(oi):>18}{show(flow):>18}"


def _remark(snapshot: GexSnapshot, name: str) -> str:
    """Return what stands behind a level: distance and other crossings, candidates, or a reason."""
    if getattr(snapshot, name) is None:
        return f"   {snapshot.null_reasons.get(name, '')}"
    if name == "zero_gamma" and snapshot.spot:
        share = (snapshot.zero_gamma or 0) / snapshot.spot - 1
        others = [points(f.spot) for f in snapshot.flips if f.spot != snapshot.zero_gamma]
        return f"   {share:+.2%}" + (f", also {', '.join(others)}" if others else "")
    if snapshot.walls and name in ("call_wall", "put_wall"):
        return (
            f"   {_candidates(snapshot.walls.call if name == 'call_wall' else snapshot.walls.put)}"
        )
    return ""


def _candidates(ranked: tuple[Level, ...]) -> str:
    first, *others = ranked
    then = ", ".join(f"{points(level.strike)} ({level.share:.1%})" for level in others)
    return f"{first.share:.1%}" + (f", then {then}" if then else "")


def _trust(snapshot: GexSnapshot) -> Iterator[str]:
    coverage, level = snapshot.coverage, snapshot.confidence_level
    if coverage is None or level is None or snapshot.confidence is None:
        reason = snapshot.null_reasons.get("confidence", "another tool's convention")
        yield f"{'confidence':14}{'-':>18}   {reason}"
        return
    word = click.style(f"{snapshot.confidence:.2f} {level}", fg=_LEVEL_COLOURS[level], bold=True)
    yield f"{'confidence':14}{'':{18 - len(f'{snapshot.confidence:.2f} {level}')}}{word}"
    for factor in (reason.partition(":")[0] for reason in coverage.reasons):
        yield f"  {factor:10} {getattr(coverage.factors, factor):.2f}  {_explain(factor, coverage)}"
    yield (
        f"  {coverage.oi_own:.1%} of open interest near spot priced by our own volatility,"
        f" {coverage.oi_vendor:.1%} by the vendor's, {coverage.oi_none:.1%} not at all"
    )
    yield f"  rate {coverage.rate:.2%} ({coverage.rate_source}), {_forward_words(coverage)}"
    if coverage.expired_contracts:
        yield f"  {coverage.expired_contracts:,} expired contracts left out"
    if coverage.dropped or coverage.duplicates:
        counts = {**coverage.dropped, "duplicate": coverage.duplicates}
        text = ", ".join(f"{reason} {count:,}" for reason, count in counts.items() if count)
        yield f"  rows not used: {text}"
    vendor = snapshot.vendor
    if vendor and vendor.difference_to_gross is not None:
        yield (
            f"  vendor's own gamma: net {dollars(vendor.net_gex)};"
            f" ours differs by {abs(vendor.difference_to_gross):.2%} of its gross"
        )


def _explain(factor: str, coverage: Coverage) -> str:
    """Return what a low factor of confidence means here."""
    blur, gap = coverage.iv_band, coverage.sync_gap
    words = {
        "greeks": "open interest without a volatility of our own from a two-sided quote",
        "forward": _forward_words(coverage),
        "two_sided": "share of near-money lines with a usable bid and ask",
        "band": f"spreads blur volatility by {blur:.0%}" if blur else "no near-money quote at all",
        "sync": f"spot stands {gap:+.2%} off the options' view"
        if gap
        else "nothing to check spot by",
        "quote_time": "the time of the quotes is inferred, or they are old",
        "feed": _feed_words(coverage.live),
    }
    return words[factor]


def _feed_words(live: Live | None) -> str:
    if live is None or live.feed_reason is None:
        return "the feed is silent or incomplete"
    return {
        "no_windows": "no answer of the chain has come yet",
        "silent": "the feed is silent",
        "frozen": "no near-money quote has changed for a minute",
        "windows": f"{live.windows_complete} of {live.windows} windows of the chain are complete",
    }[live.feed_reason]


def _forward_words(coverage: Coverage) -> str:
    forwards = coverage.forwards
    borrowed = forwards.sibling + forwards.neighbour
    total = forwards.parity + borrowed + forwards.rate + forwards.zero
    words = f"{forwards.parity} of {total} forwards by put-call parity"
    if borrowed:
        words += f", {borrowed} borrowed from other expiries"
    return words + (f", {forwards.zero} taken as spot" if forwards.zero else "")


def _expiries(rows: tuple[ExpiryRow, ...]) -> Iterator[str]:
    yield (
        f"{'expiry':11}{'root':6}{'contracts':>10}{'net GEX':>14}{'by volume':>14}"
        f"{'of gross':>9}{'max pain':>10}{'forward':>12}"
    )
    shown = sorted(rows, key=lambda row: -(row.share or 0))[:_EXPIRIES_SHOWN]
    for row in (row for row in rows if row in shown):
        method = "" if row.forward_method in (None, "parity") else f" {row.forward_method}"
        yield (
            f"{row.expiry!s:11}{row.root:6}{row.contracts:>10,}{dollars(row.net_gex):>14}"
            f"{dollars(row.net_gex_volume):>14}{row.share or 0:>9.1%}{points(row.max_pain):>10}"
            f"{points(row.forward):>12}{method}"
        )
    rest = [row for row in rows if row not in shown]
    if rest:
        net = sum(row.net_gex or 0 for row in rest)
        share = sum(row.share or 0 for row in rest)
        yield (
            f"{f'{len(rest)} more':17}{sum(row.contracts for row in rest):>10,}{dollars(net):>14}"
            f"{dollars(sum(row.net_gex_volume or 0 for row in rest)):>14}{share:>9.1%}"
        )
