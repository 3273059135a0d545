"""Symbols: one canonical spelling inside, and each source's own on its way in and out.

| canonical               | what                              | schwab      | dxfeed           |
|-------------------------|-----------------------------------|-------------|------------------|
| SPX                     | index, of a closed list           | $SPX        | SPX              |
| SPY, BRK.B              | share or fund                     | SPY, BRK/B  | SPY, BRK/B       |
| /NQ, /NQZ26             | future of a closed list, contract | /NQ, /NQZ26 | /NQ:XCME, …      |
| `SPXW  251208C06880000` | option, OCC's 21 characters       | the same    | .SPXW251208C6880 |
| ./OGG26C4240            | option on a future                | the same    | read, not made   |
| EUR/USD                 | pair of currencies, closed list   | the same    | the same         |
| NQ_NDX                  | view: an index's levels in the prices of its future (gexbot's name)    |

Cboe writes _SPX, ^SPX and SPXW251208C06880000; gexbot SPX and NQ_NDX; Sierra MNQM26_FUT_CME; a URL
has @NQ for /NQ. The spellings do not collide, so one reader, `to_canonical`, takes them all.
What passes is made of A-Z, 0-9, at most one slash and one leading dot, one inner dot or underscore,
and OCC's blanks: it can be part of a key, and by `to_url` of a path, without harm.

Guesses, not seen from the source itself: share classes (a slash at Schwab and dxFeed, a dot at
Cboe and gexbot); exchange codes other than XCME; Sierra's _FUT_CME outside CME itself. An option on
a future is named as its vendor names it and never put together here: its root (OG of /GC) says
nothing of the future, which the vendor tells beside it. A contract year has two digits; with one
(/ESZ6) only a clock could tell the decade.
"""

import re
from typing import Literal

from gex_pipeline.errors import ContractError, SymbolError
from gex_pipeline.market.contracts import format_occ, parse_occ
from gex_pipeline.market.roots import option_root
from gex_pipeline.market.sessions import Calendar

Kind = Literal["share", "index", "future", "option", "future_option", "forex", "view"]

_INDEX_NAMES = (
    "SPX NDX RUT VIX DJX RUI MXEA MXEF XSP MRUT XND OEX XEO NQX DJI COMPX NYA SOX"
    " VVIX VXN VIX1D VIX9D VIX3M VIX6M SKEW IRX FVX TNX TYX"
)
INDEXES = frozenset(_INDEX_NAMES.split())
"""Names that are indexes, and so no shares."""

FUTURES = {
    root: exchange
    for exchange, roots in {
        "XCME": "ES NQ RTY MES MNQ M2K EMD NKD 6A 6B 6C 6E 6J 6S BTC MBT ETH MET",
        "XCBT": "YM MYM ZB UB ZN TN ZF ZT ZC ZS ZW",
        "XNYM": "CL MCL NG RB HO PL",
        "XCEC": "GC MGC SI SIL HG",
    }.items()
    for root in roots.split()
}
"""Roots of the futures that we know, each with the exchange code that dxFeed appends."""

VIEWS = frozenset(
    {"ES_SPX", "MES_SPX", "NQ_NDX", "MNQ_NDX", "RTY_RUT", "M2K_RUT", "YM_DJX", "MYM_DJX"}
)
"""Names that gexbot uses (ES_SPX, NQ_NDX), and their like."""

_CURRENCY_NAMES = (
    "AUD CAD CHF CNH CZK DKK EUR GBP HKD HUF ILS JPY MXN NOK NZD PLN SEK SGD THB TRY USD ZAR"
)
CURRENCIES = frozenset(_CURRENCY_NAMES.split())
"""Currencies whose pairs are symbols."""

_NO_SHARES = frozenset({"NQ", "RTY", "MES", "MNQ", "M2K", "EMD", "NKD", "YM", "MYM"})
"""Future roots that no share has: bare, they are the future. Bare ES, CL, GC … are shares."""

_SIERRA = "_FUT_CME"
_FUTURE = re.compile(
    rf"([/@]?)({'|'.join(FUTURES)})([FGHJKMNQUVXZ][0-9]{{2}})?"
    rf"(:(?:{'|'.join(sorted(set(FUTURES.values())))})|{_SIERRA})?"
)
_DXFEED_OPTION = re.compile(r"\.([A-Z0-9]{1,6})([0-9]{6}[CP])([0-9]{1,5})(?:\.([0-9]{1,3}))?")
_FUTURE_OPTION = re.compile(
    r"\.[/@]([A-Z0-9]{1,4}[FGHJKMNQUVXZ][0-9]{2}[CP][0-9]{1,6}(?:\.[0-9]{1,6})?)"
    rf"(?::(?:{'|'.join(sorted(set(FUTURES.values())))}))?"
)
_FOREX = re.compile(r"([A-Z]{3})[/@]?([A-Z]{3})")
_INDEX = re.compile(r"[$^_]?([A-Z0-9]+)(?:\.X)?")
_SHARE = re.compile(r"([A-Z]{1,5})(?:[./]([A-Z]{1,2}))?")
_EXPECTED = (
    "a share (SPY), an index (SPX or $SPX), a future that we know (/NQ, /NQZ26 or @NQ), an option"
    " (SPXW251208C06880000 or ./OGG26C4240), a pair of currencies (EUR/USD) or a view (NQ_NDX)"
)


def to_canonical(text: str) -> str:
    """Return the canonical symbol for any spelling that a source, a setting or a URL may use.

    Letter case and blanks around do not matter. A bare name that is both a share and a future root
    is the share ("ES" is Eversource, "/ES" the future); "NQ", which no share has, is "/NQ".

    Raises:
        SymbolError: the text is none of the spellings that the module lists.
    """
    clean = text.strip().upper() if text.isascii() else ""
    for read in _READERS:
        symbol = read(clean)
        if symbol is not None:
            return symbol
    raise SymbolError(text, _EXPECTED)


def kind_of(symbol: str) -> Kind:
    """Return what a canonical symbol names.

    Raises:
        SymbolError: the symbol is not canonical.
    """
    if to_canonical(symbol) != symbol:
        raise SymbolError(symbol, f"the canonical spelling, {to_canonical(symbol)!r}")
    if symbol.startswith("/"):
        return "future"
    if symbol.startswith("./"):
        return "future_option"
    if "/" in symbol:
        return "forex"
    if symbol in VIEWS:
        return "view"
    if symbol in INDEXES:
        return "index"
    return "option" if symbol[-1].isdigit() else "share"


def calendar_of(symbol: str) -> Calendar:
    """Return the calendar of a canonical symbol; an option keeps that of what it settles on.

    Currencies keep that of the futures: both trade around the clock from Sunday evening on.
    """
    match kind_of(symbol):
        case "future" | "future_option" | "forex":
            return "cme"
        case "share":
            return "equity"
        case "option":
            underlying = option_root(parse_occ(symbol).root).underlying
            return "index" if underlying in INDEXES else "equity"
        case _:
            return "index"


def to_schwab(symbol: str) -> str:
    """Return Schwab's spelling of a canonical symbol: $SPX, /NQZ26, padded OCC."""
    match kind_of(symbol):
        case "index":
            return f"${symbol}"
        case "share":
            return symbol.replace(".", "/")
        case "view":
            raise _not_there(symbol, "Schwab")
        case _:
            return symbol


def to_dxfeed(symbol: str) -> str:
    """Return dxFeed's (and TastyTrade's streamer) spelling: .SPXW251208C6880, /NQ:XCME, SPX."""
    match kind_of(symbol):
        case "future":
            return f"{symbol}:{FUTURES[_future_root(symbol)]}"
        case "option":
            return _dxfeed_option(symbol)
        case "view" | "future_option":
            raise _not_there(symbol, "dxFeed")
        case "forex":
            return symbol
        case _:
            return symbol.replace(".", "/")


def to_cboe(symbol: str) -> str:
    """Return the spelling of Cboe's delayed quotes: _SPX, SPY, SPXW251208C06880000."""
    match kind_of(symbol):
        case "index":
            return f"_{symbol}"
        case "option":
            return symbol.replace(" ", "")
        case "share":
            return symbol
        case _:
            raise _not_there(symbol, "Cboe")


def to_gexbot(symbol: str) -> str:
    """Return gexbot's ticker: SPX, SPY, NQ_NDX."""
    if kind_of(symbol) in ("future", "option", "future_option", "forex"):
        raise _not_there(symbol, "gexbot")
    return symbol


def to_sierra(symbol: str) -> str:
    """Return Sierra Chart's name of a futures contract, as its files have it: MNQM26_FUT_CME."""
    if kind_of(symbol) != "future" or symbol[1:] in FUTURES:
        raise SymbolError(symbol, "a futures contract with its month for Sierra, such as /MNQM26")
    return f"{symbol[1:]}{_SIERRA}"


def to_url(symbol: str) -> str:
    """Return the form for URL paths: @NQ for /NQ, options unpadded; `to_canonical` reads it."""
    kind_of(symbol)
    return symbol.replace("/", "@").replace(" ", "")


def _read_future(text: str) -> str | None:
    match = _FUTURE.fullmatch(text)
    if match is None:
        return None
    mark, root, month, suffix = match.groups()
    if not (mark or month or suffix or root in _NO_SHARES):
        return None
    return f"/{root}{month or ''}"


def _read_option(text: str) -> str | None:
    match = _DXFEED_OPTION.fullmatch(text)
    if match is not None:
        root, middle, dollars, decimals = match.groups()
        text = f"{root:<6}{middle}{int(dollars):05d}{(decimals or ''):0<3}"
    try:
        return format_occ(parse_occ(text))
    except ContractError:
        return None


def _read_view(text: str) -> str | None:
    return text if text in VIEWS else None


def _read_index(text: str) -> str | None:
    match = _INDEX.fullmatch(text)
    return match[1] if match is not None and match[1] in INDEXES else None


def _read_future_option(text: str) -> str | None:
    match = _FUTURE_OPTION.fullmatch(text)
    return f"./{match[1]}" if match is not None else None


def _read_forex(text: str) -> str | None:
    match = _FOREX.fullmatch(text)
    if match is None or match[1] == match[2] or not CURRENCIES.issuperset(match.groups()):
        return None
    return "/".join(match.groups())


def _read_share(text: str) -> str | None:
    match = _SHARE.fullmatch(text)
    if match is None:
        return None
    name, share_class = match.groups()
    return f"{name}.{share_class}" if share_class else name


def _future_root(symbol: str) -> str:
    name = symbol[1:]
    return name if name in FUTURES else name[:-3]


def _dxfeed_option(symbol: str) -> str:
    root = parse_occ(symbol).root
    dollars, thousandths = divmod(int(symbol[-8:]), 1000)
    decimals = f".{thousandths:03d}".rstrip("0.") if thousandths else ""
    return f".{root}{symbol[6:13]}{dollars}{decimals}"


def _not_there(symbol: str, source: str) -> SymbolError:
    return SymbolError(symbol, f"a symbol that {source} has")


_READERS = (
    _read_future,
    _read_option,
    _read_future_option,
    _read_forex,
    _read_view,
    _read_index,
    _read_share,
)
