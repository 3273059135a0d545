"""Where the columns of a quote table stand: found by name, for calls and for puts."""

from collections.abc import Sequence

import msgspec

from gex_pipeline.errors import ChainFileError
from gex_pipeline.feeds.cboe.cells import split_cells

_CALLS, _PUTS, _STRIKE, _EXPIRY = "calls", "puts", "strike", "expiration date"
_FIELDS = {
    "bid": "bid",
    "ask": "ask",
    "volume": "volume",
    "vol": "volume",
    "iv": "iv",
    "gamma": "gamma",
    "open interest": "open_interest",
    "open int": "open_interest",
}
_NEEDED = ("bid", "ask", "open_interest")
_TITLES = {
    "bid": "Bid",
    "ask": "Ask",
    "open_interest": "Open Interest",
    "volume": "Volume",
    "iv": "IV",
    "gamma": "Gamma",
}
_LAST_HEADER_LINE = 50
_SHOWN_CHARS = 60


class Layout(msgspec.Struct, frozen=True):
    """Column numbers of one table, by our names; a column that it lacks is absent."""

    at: int
    """Line of the column header."""
    width: int
    """Columns up to the last one with a name: no row has fewer."""
    most: int
    """All columns, with the nameless ones at the end: no row has more."""
    call: dict[str, int]
    """symbol, bid, ask, open_interest; and volume, iv, gamma where the table has them."""
    put: dict[str, int]
    """The same names as `call`."""
    contract: dict[str, int]
    """strike, expiry."""


def find_layout(lines: Sequence[str]) -> Layout:
    """Return the layout of the table in `lines`.

    Raises:
        ChainFileError: there is no column header, or it lacks a column that we need.
    """
    for at, line in enumerate(lines[:_LAST_HEADER_LINE]):
        names = [cell.strip().lower() for cell in split_cells(line)]
        if {_CALLS, _PUTS, _EXPIRY} & set(names):
            return _layout(at, names)
    shown = next((line for line in lines if line.strip()), "").strip()[:_SHOWN_CHARS]
    raise ChainFileError(f"text that begins {shown!r} and has no header with Calls and Puts")


def _layout(at: int, names: list[str]) -> Layout:
    most = len(names)
    while names and not names[-1]:
        names.pop()
    if _CALLS not in names or _PUTS not in names:
        _refuse(_absent(names))
    calls_at, puts_at = names.index(_CALLS), names.index(_PUTS)
    split = max(calls_at, puts_at)
    near, far = _fields(names, 0, split), _fields(names, split, len(names))
    call, put = (near, far) if calls_at < puts_at else (far, near)
    if missing := _missing("call", call, put) + _missing("put", put, call):
        _refuse(missing)
    contract = {"strike": _STRIKE, "expiry": _EXPIRY}
    return Layout(
        at=at,
        width=len(names),
        most=most,
        call=call | {"symbol": calls_at},
        put=put | {"symbol": puts_at},
        contract={ours: names.index(name) for ours, name in contract.items() if name in names},
    )


def _fields(names: list[str], start: int, stop: int) -> dict[str, int]:
    """Return the first column of every field between two columns."""
    backwards = range(stop - 1, start - 1, -1)
    return {_FIELDS[names[at]]: at for at in backwards if names[at] in _FIELDS}


def _missing(side: str, fields: dict[str, int], other: dict[str, int]) -> list[str]:
    """Return what one side lacks: a column that we need, or that the other side has."""
    wanted = [*_NEEDED, *(name for name in other if name not in _NEEDED)]
    return [f"{side} {_TITLES[name]}" for name in wanted if name not in fields]


def _absent(names: list[str]) -> list[str]:
    wanted = {"Calls", "Puts", "Strike", "Bid", "Ask"}
    return sorted(title for title in wanted if title.lower() not in names)


def _refuse(missing: list[str]) -> None:
    raise ChainFileError(f"a table whose header lacks {', '.join(missing)}")
