"""Chains made by hand, row by row, and what a snapshot must never hold."""

import datetime
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from gex_pipeline.exposure.chain import Chain
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.smile import Smile, solve_smile
from gex_pipeline.exposure.snapshot import Exposure, GexSnapshot
from gex_pipeline.market import sessions
from gex_pipeline.market.arrays import Floats
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.options import black76

NAN = math.nan
MINUTES_PER_YEAR = 525_600
TODAY = datetime.date(2025, 6, 2)
"""A Monday."""
ASOF_NS = sessions.et_ns(TODAY, 10, 30)
DELAY_NS = 15 * 60 * sessions.SECOND_NS
NEXT = datetime.date(2025, 6, 3)
LATER = datetime.date(2025, 6, 6)
OPEX = datetime.date(2025, 6, 20)
SPOT = 5000.0


class Row(NamedTuple):
    """One contract as a source gives it."""

    strike: float
    right: int = 1
    root: str = "SPXW"
    expiry: str | datetime.date = LATER
    bid: float = NAN
    ask: float = NAN
    iv: float = NAN
    gamma: float = NAN
    oi: float = 0.0
    volume: float = 0.0
    ts: int = 0
    settlement: str = ""


_DTYPES: dict[str, Any] = {
    "right": np.int64,
    "root": np.str_,
    "expiry": "datetime64[D]",
    "ts": np.int64,
    "settlement": np.str_,
}
_COLUMNS = {"oi": "open_interest", "ts": "ts_quote_ns"}


def source(
    rows: Sequence[Row],
    *,
    spot: float = SPOT,
    symbol: str = "SPX",
    ts_source_ns: int = ASOF_NS + DELAY_NS,
    dropped: Mapping[str, int] | None = None,
) -> OptionChain:
    """Return the rows as an adapter would; without quote times the moment is 10:30 New York."""
    columns: dict[str, Any] = {
        _COLUMNS.get(name, name): np.array(
            [getattr(row, name) for row in rows], dtype=_DTYPES.get(name, np.float64)
        )
        for name in Row._fields
    }
    return OptionChain(
        symbol=symbol,
        source="test",
        spot=spot,
        ts_source_ns=ts_source_ns,
        dropped=dict(dropped or {}),
        **columns,
    )


def rows_of(chain: OptionChain) -> list[Row]:
    """Return a source's columns as rows."""
    columns = (getattr(chain, _COLUMNS.get(name, name)).tolist() for name in Row._fields)
    return [Row(*values) for values in zip(*columns, strict=True)]


def chain(rows: Sequence[Row], *, spot: float = SPOT, symbol: str = "SPX") -> Chain:
    """Return the rows cleaned, quotes of 10:30 New York."""
    return clean_chain(source(rows, spot=spot, symbol=symbol))


def smile(chain: Chain) -> Smile:
    """Return the smile under the default convention."""
    return solve_smile(chain, GEXC_1)


def answer(rows: Sequence[Row], scope: str = "all", **options: Any) -> GexSnapshot:
    """Return the snapshot of one scope of the rows."""
    return fold(chain(rows, **options), (scope,))[scope]


def years(expiry: datetime.date, root: str = "SPXW") -> float:
    """Return the time from 10:30 to the settlement."""
    left_ns = sessions.settlement_ns(root, expiry) - ASOF_NS
    return left_ns / (60 * sessions.SECOND_NS) / MINUTES_PER_YEAR


def quoted(
    strikes: Sequence[float],
    expiry: datetime.date = LATER,
    root: str = "SPXW",
    *,
    forward: float = SPOT,
    rate: float = 0.0,
    sigma: float = 0.2,
    half: float = 0.01,
    **fields: Any,
) -> list[Row]:
    """Return a call and a put at each strike, quoted `half` around their Black-76 prices."""
    strike = np.array(strikes, dtype=np.float64)
    same = np.ones_like(strike)
    t = years(expiry, root)
    rows = []
    for right in (1, -1):
        mids = black76.price(forward * same, strike, t * same, rate, sigma * same, right * same)
        rows += [
            Row(k, right, root, expiry, mid - half, mid + half, **fields)
            for k, mid in zip(strike.tolist(), mids.tolist(), strict=True)
        ]
    return rows


def ladder(low: float = 4800, high: float = 5200, step: float = 25) -> list[float]:
    """Return strikes from low to high."""
    return np.arange(low, high + step / 2, step).tolist()


def change(rows: Sequence[Row], strike: float, right: int, **fields: Any) -> list[Row]:
    """Return the rows with some fields of one contract replaced."""
    return [
        row._replace(**fields) if (row.strike, row.right) == (strike, right) else row
        for row in rows
    ]


def column(rows: Sequence[Row], name: str) -> Floats:
    """Return one field of all rows."""
    return np.array([getattr(row, name) for row in rows])


def not_finite(value: Any, path: str = "") -> Iterator[str]:
    """Yield where a value, however nested, holds NaN or an infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path} = {value}"
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from not_finite(inner, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from not_finite(inner, f"{path}[{position}]")


NULL_BY_MEANING = frozenset({"raw"})
"""Null says something itself: nothing was denied."""


def unexplained(document: Mapping[str, Any]) -> list[str]:
    """Return the null fields of an exposure's JSON that have no reason."""
    return [
        name
        for name, value in document.items()
        if value is None and name not in {*document["null_reasons"], *NULL_BY_MEANING}
    ]


def assert_sound(snapshot: GexSnapshot) -> None:
    """Fail unless every number is finite and every null field has a reason, in JSON too."""
    assert list(not_finite(msgspec.to_builtins(snapshot))) == []
    data = msgspec.json.encode(snapshot)
    document = msgspec.json.decode(data)

    assert msgspec.json.decode(data, type=GexSnapshot) == snapshot
    assert unexplained(document) == []
    for view in (document["volume"], (document["raw"] or {}).get("volume")):
        assert view is None or unexplained(view) == []
    for view in (snapshot, snapshot.volume):
        if isinstance(view, Exposure) and view.call_gex is not None and view.put_gex is not None:
            assert view.call_gex >= 0 >= view.put_gex
