"""A real chain as the market's starting point: its strikes, open interest and volatilities."""

import datetime
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from gex_pipeline.errors import ChainFileError
from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.market.chain import OptionChain
from gex_pipeline.market.sessions import (
    et_datetime,
    is_standard_opex,
    regular_open_ns,
    settlement_date,
    settlement_ns,
    trading_day_on_or_before,
)
from gex_pipeline.simulator.assembly import Lines
from gex_pipeline.simulator.instruments import INSTRUMENTS, OPTIONABLE
from gex_pipeline.simulator.listings import Expiry, Programme, listed_expiries
from gex_pipeline.simulator.smile import fitted_curve
from gex_pipeline.simulator.valuation import RATE

_MINUTE_NS = 60 * 1_000_000_000
_YEAR_NS = 525_600 * _MINUTE_NS
_IV_MIN, _IV_MAX = 0.02, 5.0


class OriginGroup(msgspec.Struct, frozen=True, eq=False):
    """One expiry and root of the chain."""

    expiry: Expiry
    settlement: str
    strike: Floats
    right: Ints
    open_interest: Floats
    curve: tuple[float, Floats] | None


class Origin(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Where the market starts."""

    symbol: str
    spot: float
    ts_ns: int
    """09:31 New York of the chain's trading date."""
    groups: tuple[OriginGroup, ...]


def read_origin(chain: OptionChain) -> Origin:
    """Return the starting point that a chain is.

    Raises:
        ChainFileError: options on something that the simulator does not quote, or no spot or date.
    """
    if chain.symbol not in OPTIONABLE:
        raise ChainFileError(
            f"a chain of {chain.symbol}; the simulator starts from one of {', '.join(OPTIONABLE)}"
        )
    moment_ns = int(chain.ts_quote_ns.max(initial=0)) or chain.ts_source_ns
    if not (moment_ns and chain.spot > 0):
        raise ChainFileError("a chain without a time or a price of its underlying")
    day = trading_day_on_or_before(et_datetime(moment_ns).date())
    opened_ns = regular_open_ns(day) + _MINUTE_NS
    groups = tuple(_groups(chain, moment_ns, day))
    if not groups:
        raise ChainFileError(f"no contract that is alive on {day}")
    return Origin(symbol=chain.symbol, spot=chain.spot, ts_ns=opened_ns, groups=groups)


def origin_lines(
    origin: Origin, programme: Programme, listed: Sequence[Lines], day: datetime.date
) -> list[Lines]:
    """Return a date's contracts: the chain's that are alive, and the expiries born since."""
    model = listed[0]
    kept = [
        msgspec.structs.replace(
            model,
            expiry=group.expiry,
            strike=group.strike,
            right=group.right,
            settlement=group.settlement,
            given_interest=group.open_interest,
            given_curve=group.curve,
        )
        for group in origin.groups
        if settlement_date(group.expiry.date) >= day
    ]
    started = set(listed_expiries(programme, et_datetime(origin.ts_ns).date()))
    known = {line.expiry.date for line in kept}
    born = [line for line in listed if line.expiry not in started and line.expiry.date not in known]
    return sorted(kept + born, key=lambda line: (line.expiry.date, line.expiry.root))


def _groups(chain: OptionChain, moment_ns: int, day: datetime.date) -> Iterator[OriginGroup]:
    keys = sorted(set(zip(chain.expiry.tolist(), chain.root.tolist(), strict=True)))
    for date, root in keys:
        if date < day:
            continue
        rows = np.flatnonzero((chain.expiry == np.datetime64(date)) & (chain.root == root))
        rows = rows[_distinct(chain, rows)]
        letter = str(chain.settlement[rows[0]])
        kind = "S" if is_standard_opex(settlement_date(date)) else "W"
        yield OriginGroup(
            Expiry(date, root, kind),
            letter,
            chain.strike[rows],
            chain.right[rows].astype(np.int64),
            np.nan_to_num(np.maximum(chain.open_interest[rows], 0.0)),
            _curve(chain, rows, moment_ns, settlement_ns(root, date, letter)),
        )


def _distinct(chain: OptionChain, rows: Ints) -> Ints:
    """Return the places of the first row of each strike and right, in order of both."""
    terms = np.column_stack([chain.strike[rows], -chain.right[rows]])
    return np.unique(terms, axis=0, return_index=True)[1]


def _curve(
    chain: OptionChain, rows: Ints, moment_ns: int, settle_ns: int
) -> tuple[float, Floats] | None:
    t = (settle_ns - moment_ns) / _YEAR_NS
    if t <= 0:
        return None
    forward = chain.spot * np.exp((RATE - INSTRUMENTS[chain.symbol].dividend) * t)
    moneyness = np.log(chain.strike[rows] / forward)
    iv = chain.iv[rows]
    good: Bools = (iv > _IV_MIN) & (iv < _IV_MAX) & (chain.right[rows] * moneyness >= 0)
    return fitted_curve(moneyness[good], iv[good], t)
