"""Schwab's market data over REST: chains in date windows, quotes, expirations, preferences."""

import asyncio
import datetime
from collections.abc import Iterator
from typing import Final

import numpy as np

from gex_pipeline.market.arrays import Bools, Ints
from gex_pipeline.market.symbology import to_schwab
from gex_pipeline.simulator.board import Board
from gex_pipeline.simulator.chains import BODY_LIMIT, ROW_BYTES, TOO_BIG, TOO_BIG_STATUS
from gex_pipeline.simulator.desk import CHAIN, Desk
from gex_pipeline.simulator.instruments import OPTIONABLE
from gex_pipeline.simulator.quotes import quotes_answer
from gex_pipeline.simulator.web import Answer, Request, json_answer, refusal

_CHAIN_NAMES: Final = {to_schwab(symbol): symbol for symbol in OPTIONABLE}
_RIGHTS: Final = {"ALL": 0, "CALL": 1, "PUT": -1}
_FIXED: Final = {"strategy": "SINGLE", "range": "ALL", "expMonth": "ALL", "optionType": "ALL"}
"""Filters that the simulator does not do: only their neutral value is taken."""


class _BadParameterError(Exception):
    """A parameter that the answer to the client names."""


async def chains(desk: Desk, request: Request) -> Answer:
    """Answer /marketdata/v1/chains; above 10 MB as Schwab's gateway does: 502 TooBigBody."""
    ts_ns = desk.now_ns()
    try:
        symbol, window = _symbol(request.query), _window(request.query, desk.today(ts_ns))
        board = desk.published(ts_ns).board
        rows = _chosen(board, symbol, window, request.query, desk.look(symbol, ts_ns).last)
    except _BadParameterError as error:
        return refusal(400, "Bad Request", f"Check Param Values: {error}")
    script, of = desk.market.script, set(_expiries(board, rows))
    failed = script.failure(symbol, of, ts_ns)
    if failed is not None and failed != TOO_BIG_STATUS:
        return refusal(failed, "Internal Error", "The market data application is not ready")
    if failed or rows.size * ROW_BYTES > BODY_LIMIT:
        return json_answer(TOO_BIG, TOO_BIG_STATUS)
    is_cut = script.shortens(symbol, of, ts_ns)
    rows = rows[: rows.size // 2] if is_cut else rows
    body = await asyncio.to_thread(desk.chain(symbol, rows, ts_ns, is_cut=is_cut))
    first, last = window
    fields = {"from": first, "to": last, "contracts": int(rows.size), "bytes": len(body)}
    fields |= {"cut": True} if is_cut else {}
    desk.log.write(ts_ns, CHAIN, [(to_schwab(symbol), fields)], 0)
    return Answer(200, body)


async def expirations(desk: Desk, request: Request) -> Answer:
    """Answer /marketdata/v1/expirationchain."""
    ts_ns = desk.now_ns()
    try:
        symbol = _symbol(request.query)
    except _BadParameterError as error:
        return refusal(400, "Bad Request", f"Check Param Values: {error}")
    today = desk.today(ts_ns)
    listed = [
        {
            "expirationDate": group.expiry.date,
            "daysToExpiration": (group.expiry.date - today).days,
            "expirationType": group.expiry.kind,
            "settlementType": "A" if group.am_settled else "P",
            "optionRoots": group.expiry.root,
            "standard": group.deliverable == 100,
        }
        for group in desk.published(ts_ns).board.groups
        if group.symbol == symbol
    ]
    return json_answer({"expirationList": listed, "status": None})


async def quotes(desk: Desk, request: Request) -> Answer:
    """Answer /marketdata/v1/quotes."""
    names = [name for name in request.query.get("symbols", "").split(",") if name.strip()]
    return Answer(200, quotes_answer(desk, names))


async def preferences(desk: Desk, request: Request) -> Answer:
    """Answer /trader/v1/userPreference: where the streamer is, on the host that was asked."""
    host = request.headers.get("host", "127.0.0.1")
    streamer = {
        "streamerSocketUrl": f"ws://{host}/ws",
        "schwabClientCustomerId": "simulated-customer",
        "schwabClientCorrelId": "51a0c0de-0000-4000-8000-000000000001",
        "schwabClientChannel": "N9",
        "schwabClientFunctionId": "APIAPP",
    }
    offer = {"level2Permissions": True, "mktDataPermission": "NP"}
    return json_answer({"accounts": [], "streamerInfo": [streamer], "offers": [offer]})


def _expiries(board: Board, rows: Ints) -> Iterator[datetime.date]:
    for group in np.unique(board.group[rows]).tolist():
        yield board.groups[group].expiry.date


def _symbol(query: dict[str, str]) -> str:
    name = query.get("symbol", "").strip().upper()
    if name not in _CHAIN_NAMES:
        raise _BadParameterError(f"symbol {name!r}: the simulator has {', '.join(_CHAIN_NAMES)}")
    for parameter, neutral in _FIXED.items():
        if query.get(parameter, neutral).upper() != neutral:
            raise _BadParameterError(f"{parameter}: the simulator knows only {neutral}")
    return _CHAIN_NAMES[name]


def _window(query: dict[str, str], today: datetime.date) -> tuple[datetime.date, datetime.date]:
    """Return the expiries asked for; Schwab refuses dates that have passed."""
    try:
        first = datetime.date.fromisoformat(query.get("fromDate", today.isoformat())[:10])
        last = datetime.date.fromisoformat(query.get("toDate", "9999-12-31")[:10])
    except ValueError:
        raise _BadParameterError("fromDate and toDate are yyyy-MM-dd") from None
    if first < today or last < first:
        raise _BadParameterError(f"fromDate is {today} or later and toDate not before it")
    return first, last


def _chosen(
    board: Board,
    symbol: str,
    window: tuple[datetime.date, datetime.date],
    query: dict[str, str],
    spot: float,
) -> Ints:
    """Return the rows asked for, ascending."""
    right = _RIGHTS.get(query.get("contractType", "ALL").upper())
    if right is None:
        raise _BadParameterError("contractType is ALL, CALL or PUT")
    spans = list(_spans(board, symbol, window))
    around = _whole(query, "strikeCount")
    if around is not None:
        spans = [_nearest(board, span, spot, around) for span in spans]
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *spans])
    wanted: Bools = np.full(rows.size, fill_value=True)
    if right:
        wanted &= board.right[rows] == right
    if "strike" in query:
        wanted &= board.strike[rows] == _number(query, "strike")
    return rows[wanted]


def _spans(
    board: Board, symbol: str, window: tuple[datetime.date, datetime.date]
) -> Iterator[Ints]:
    for group in board.groups:
        if group.symbol == symbol and window[0] <= group.expiry.date <= window[1]:
            yield np.arange(group.first, group.last)


def _nearest(board: Board, rows: Ints, spot: float, count: int) -> Ints:
    """Return the rows of `count` strikes above and as many below the spot."""
    strikes = np.unique(board.strike[rows])
    middle = int(np.searchsorted(strikes, spot))
    kept = strikes[max(middle - count, 0) : middle + count]
    return rows[np.isin(board.strike[rows], kept)]


def _whole(query: dict[str, str], name: str) -> int | None:
    number = _number(query, name) if name in query else None
    return None if number is None else int(number)


def _number(query: dict[str, str], name: str) -> float:
    try:
        return float(query[name])
    except ValueError:
        raise _BadParameterError(f"{name} is a number") from None
