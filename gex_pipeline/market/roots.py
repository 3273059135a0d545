"""What an option root is: it, and not the underlying, decides settlement, style, tick and hours."""

import msgspec

LARGE_TICK = 0.05
SMALL_TICK = 0.01

_AM_SETTLED = frozenset({"SPX", "NDX", "RUT", "VIX", "VIXW", "DJX", "RUI", "MXEA", "MXEF"})
_SMALL_INDEX = frozenset({"XSP", "MRUT", "XND"})
_EUROPEAN = _AM_SETTLED | _SMALL_INDEX | {"SPXW", "NDXP", "RUTW", "NQX", "XEO"}
_INDEX = _EUROPEAN | {"OEX"}
_LATE_ETF = frozenset({"SPY", "QQQ", "IWM", "DIA"})
_UNDERLYING = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX", "XEO": "OEX"}
_RATE_PARENT = {"SPY": "SPX", "QQQ": "NDX", "IWM": "RUT"}


class OptionRoot(msgspec.Struct, frozen=True):
    """The terms that all contracts of one root share.

    Source: the exchanges' contract specifications; docs/conventions.md says what each decides.
    """

    root: str
    """As in the OCC symbol: SPX and SPXW differ."""
    underlying: str
    """Canonical symbol of what the option settles on: SPX for SPXW."""
    am_settled: bool
    """Settles on the opening prices of the expiry date, 09:30 ET; else on its close."""
    european: bool
    """Exercise at expiry only, so that put-call parity is an equality."""
    tick: float
    """Smallest price step that a mid must reach to count as a price, dollars."""
    quote_close_late: bool
    """Quotes until 16:15 ET; else until 16:00."""


def option_root(name: str) -> OptionRoot:
    """Return the terms of the root `name`.

    A root that we do not know is an equity's: American, PM-settled, one cent, its own underlying.
    """
    return _KNOWN.get(name) or OptionRoot(
        root=name,
        underlying=name,
        am_settled=False,
        european=False,
        tick=SMALL_TICK,
        quote_close_late=name in _LATE_ETF,
    )


def rate_parent(underlying: str) -> str | None:
    """Return the index whose implied rate also holds for this fund: SPX for SPY; else None."""
    return _RATE_PARENT.get(underlying)


def _index_root(name: str) -> OptionRoot:
    return OptionRoot(
        root=name,
        underlying=_UNDERLYING.get(name, name),
        am_settled=name in _AM_SETTLED,
        european=name in _EUROPEAN,
        tick=SMALL_TICK if name in _SMALL_INDEX else LARGE_TICK,
        quote_close_late=True,
    )


_KNOWN = {name: _index_root(name) for name in _INDEX}
