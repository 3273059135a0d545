"""All contracts of one trading date as columns, with what is fixed for the day."""

import datetime
from collections.abc import Mapping

import msgspec
import numpy as np

from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.market.roots import option_root
from gex_pipeline.market.sessions import settlement_ns
from gex_pipeline.simulator.listings import Expiry
from gex_pipeline.simulator.noise import mixed


class Group(msgspec.Struct, frozen=True):
    """One expiry and root, and the rows [first, last) of its contracts."""

    symbol: str
    """Canonical underlying."""
    expiry: Expiry
    am_settled: bool
    settle_ns: int
    first: int
    last: int
    deliverable: float = 100.0
    """Shares of a contract."""


class Board(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A row per contract, in order of underlying, expiry, root, strike and right, calls first."""

    day: datetime.date
    groups: tuple[Group, ...]
    table: Floats
    """Volatility curve of each group (smile.py)."""
    ref: Floats
    """Volatility at the money of each group."""
    settle_ns: Ints
    """Per group."""
    group: Ints
    under: Ints
    """Place of the underlying in instruments.OPTIONABLE."""
    strike: Floats
    right: Ints
    identity: Ints
    """The same number for the same contract on every date: key of its noise."""
    tick: Floats
    american: Bools
    open_interest: Floats
    day_volume: Floats
    """Contracts of the whole day, as a real number."""
    prev_close: Floats
    occ: tuple[str, ...]
    row_of: Mapping[str, int]

    def __len__(self) -> int:
        return int(self.strike.size)


def occ_symbols(root: str, expiry: datetime.date, strike: Floats, right: Ints) -> list[str]:
    """Return the padded OCC symbols of one group's contracts."""
    head = f"{root:<6}{expiry:%y%m%d}"
    thousandths = np.rint(strike * 1000).astype(np.int64).tolist()
    return [
        f"{head}{'C' if side > 0 else 'P'}{value:08d}"
        for side, value in zip(right.tolist(), thousandths, strict=True)
    ]


def identities(root: str, expiry: datetime.date, strike: Floats, right: Ints) -> Ints:
    """Return a number per contract that its terms alone decide."""
    name = int.from_bytes(root.encode()[:6], "big")
    thousandths = np.rint(strike * 1000).astype(np.int64)
    return mixed(name, expiry.toordinal(), thousandths, right).view(np.int64)


def new_group(symbol: str, expiry: Expiry, first: int, last: int, settlement: str = "") -> Group:
    """Return a group with the instant that its root, or the vendor's letter, says it settles at."""
    am_settled = settlement == "A" or (settlement != "P" and option_root(expiry.root).am_settled)
    settle_ns = settlement_ns(expiry.root, expiry.date, settlement)
    return Group(symbol, expiry, am_settled, settle_ns, first, last)
