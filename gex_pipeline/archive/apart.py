"""How far the greeks of a compared date are apart: its worst buckets, and where it is too far."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from gex_pipeline.archive.compare import ComparedMoment
from gex_pipeline.exposure.comparison import ALL, EXPIRED, Compared
from gex_pipeline.market.sessions import et_datetime

TOTAL_LIMIT: Final = 0.10
"""Of the vendor's gross: more, and its total is another one."""
ZERO_LIMIT: Final = 0.20
"""Of the open interest: more of it without gamma, and what is left is no sum of the book."""
WORST: Final = 12
_BILLION: Final = 1e9
_HEADS: Final = (
    "symbol",
    "New York",
    "days",
    "\\|log(K/S)\\|",
    "contracts",
    "ours, $bn/1%",
    "vendor, $bn/1%",
    "difference, $bn/1%",
    "gamma error, median",
    "OI printed 0",
)


def worst_buckets(moments: Sequence[ComparedMoment], count: int = WORST) -> str:
    """Return a Markdown table of the buckets with the largest differences, each at its worst."""
    cells = [
        (moment, bucket)
        for moment in moments
        for bucket in moment.buckets
        if ALL not in (bucket.dte, bucket.moneyness) and bucket.difference is not None
    ]
    cells.sort(key=lambda cell: -abs(cell[1].difference or 0.0))
    first: dict[tuple[str, str, str], tuple[ComparedMoment, Compared]] = {}
    for moment, bucket in cells:
        first.setdefault((moment.symbol, bucket.dte, bucket.moneyness), (moment, bucket))
    lines = [_HEADS, ("---",) * len(_HEADS), *map(_cells, list(first.values())[:count])]
    simulated = any(moment.mode == "simulated" for moment in moments)
    head = ["**SIMULATED**", ""] if simulated else []
    return "\n".join([*head, *(f"| {' | '.join(line)} |" for line in lines)])


def other_totals(moments: Sequence[ComparedMoment]) -> dict[str, float]:
    """Return the symbols whose total is too far from the vendor's, by their median moment."""
    return _beyond(moments, "difference_to_gross", TOTAL_LIMIT)


def rounded_away(moments: Sequence[ComparedMoment]) -> dict[str, float]:
    """Return the symbols of whose open interest too much has a gamma of 0, likewise."""
    return _beyond(moments, "zero_oi_share", ZERO_LIMIT)


def expired_gex(moments: Sequence[ComparedMoment]) -> dict[str, float]:
    """Return by symbol the most that the vendor's gamma of settled rows would add, $ per 1%."""
    found: dict[str, float] = {}
    for moment in moments:
        for bucket in moment.buckets:
            gross = bucket.vendor_gross_gex
            if (bucket.dte, bucket.moneyness) == (EXPIRED, ALL) and gross:
                found[moment.symbol] = max(gross, found.get(moment.symbol, 0.0))
    return found


def _beyond(moments: Sequence[ComparedMoment], name: str, limit: float) -> dict[str, float]:
    """Return the day's median of a figure of whole chains, of the symbols where it is beyond."""
    symbols = dict.fromkeys(moment.symbol for moment in moments)
    known = {
        symbol: [
            abs(value)
            for moment in moments
            if moment.symbol == symbol
            for bucket in _whole(moment)
            if (value := getattr(bucket, name)) is not None
        ]
        for symbol in symbols
    }
    medians = {symbol: median(values) for symbol, values in known.items() if values}
    return {symbol: value for symbol, value in medians.items() if value > limit}


def _whole(moment: ComparedMoment) -> Iterator[Compared]:
    return (b for b in moment.buckets if (b.dte, b.moneyness) == (ALL, ALL))


def _cells(cell: tuple[ComparedMoment, Compared]) -> tuple[str, ...]:
    moment, bucket = cell
    return (
        moment.symbol,
        f"{et_datetime(moment.ts_recv_ns):%H:%M}",
        bucket.dte,
        bucket.moneyness,
        f"{bucket.contracts:,}",
        *(_dollars(v) for v in (bucket.net_gex, bucket.vendor_net_gex, bucket.difference)),
        _share(bucket.gamma_error_median),
        _share(bucket.zero_oi_share),
    )


def _dollars(value: float | None) -> str:
    return "" if value is None else f"{value / _BILLION:+.4f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
