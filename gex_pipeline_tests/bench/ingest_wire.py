"""The streamer's server as the ingest bench needs it: it sends frames that were made beforehand.

It speaks what the simulator speaks: preferences and expirations by REST, LOGIN and subscriptions on
the socket, each answered with code 0. What it sends does not depend on them. Every vendor time in a
frame is the moment that it is sent, so that whoever reads the tape knows how old an entry is.
"""

import asyncio
import contextlib
import datetime
import random
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

import msgspec
import uvicorn

from gex_pipeline.market.sessions import Calendar, et_datetime
from gex_pipeline.market.symbology import calendar_of
from gex_pipeline.simulator.wall import wall_ns

ITEMS: Final = 100
"""Of a frame."""
SHARE_ITEMS: Final = 5
"""Of them, of shares; the others are options."""
CONTRACTS: Final = 1_200
_SHARES: Final = (
    "AAPL MSFT NVDA AMZN META GOOGL TSLA AVGO AMD NFLX INTC MU ORCL CRM ADBE QCOM TXN IBM CSCO NOW"
    " JPM BAC GS MS WFC XOM CVX KO PEP WMT COST HD DIS NKE BA CAT GE MMM PFE LLY"
)
SHARES: Final = tuple(_SHARES.split())
FRAMES: Final = 600
"""Different ones; then they come again."""
PATHS: Final = ("/ws", "/peer")
SEED: Final = 11
_STAMP: Final = 1_111_111_111_111
"""Stands in a frame for the milliseconds at which it is sent."""
_HEARTBEAT_S: Final = 5.0

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Item = dict[str, Any]


class Wire(NamedTuple):
    """Frames as text, and by calendar the symbols of the events that they bring, in order."""

    images: list[str]
    deltas: list[str]
    of_images: dict[Calendar, list[str]]
    of_deltas: dict[Calendar, list[str]]


def make_wire(today: datetime.date, frames: int = FRAMES) -> Wire:
    """Return a full image of each key, then deltas of four fields; the same ones on every day."""
    dice = random.Random(SEED)  # noqa: S311 # a market that is the same each time
    contracts = list(_contracts(today))
    images = [
        *_blocks([_option_image(dice, key) for key in contracts], "LEVELONE_OPTIONS"),
        *_blocks([_share_image(dice, key) for key in SHARES], "LEVELONE_EQUITIES"),
    ]
    deltas = [
        [
            _block("LEVELONE_OPTIONS", [_option_delta(dice, key) for key in options]),
            _block("LEVELONE_EQUITIES", [_share_delta(dice, key) for key in shares]),
        ]
        for options, shares in _chosen(dice, contracts, frames)
    ]
    return Wire(
        list(map(_frame, images)), list(map(_frame, deltas)), _events(images), _events(deltas)
    )


def _contracts(today: datetime.date) -> Iterator[str]:
    """Yield keys of two underlyings, whose events are on two tapes."""
    each = CONTRACTS // 2
    for number in range(each):
        day, strike = today + datetime.timedelta(days=1 + number % 5), number // 10
        right = "CP"[number // 5 % 2]
        yield f"SPXW  {day:%y%m%d}{right}{(6_800 + 5 * strike) * 1000:08d}"
        yield f"SPY   {day:%y%m%d}{right}{(680 + strike) * 1000:08d}"


def _chosen(
    dice: random.Random, contracts: Sequence[str], frames: int
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the keys of each frame: no key twice in one, some more often than others."""
    for _ in range(frames):
        options: dict[str, None] = {}
        while len(options) < ITEMS - SHARE_ITEMS:
            options[contracts[int(dice.random() ** 2 * len(contracts))]] = None
        yield list(options), dice.sample(SHARES, SHARE_ITEMS)


def _option_image(dice: random.Random, key: str) -> Item:
    bid = dice.randrange(20, 900)
    return {
        "key": key,
        "delayed": False,
        "assetMainType": "OPTION",
        "1": f"{key[:4].strip()} bench {key[12]}",
        "2": bid / 20,
        "3": (bid + dice.randrange(1, 5)) / 20,
        "4": bid / 20,
        "8": dice.randrange(9_000),
        "9": dice.randrange(20_000),
        "10": round(dice.uniform(9, 30), 6),
        "16": dice.randrange(1, 300),
        "17": dice.randrange(1, 300),
        "18": dice.randrange(1, 30),
        **_greeks(dice),
        "30": round(dice.uniform(-9, 0), 8),
        "31": round(dice.uniform(0, 6), 8),
        "32": round(dice.uniform(-2, 2), 8),
        "35": dice.randrange(679_000, 681_000) / 100,
        "37": (bid + 1) / 20,
        "38": _STAMP,
        "39": _STAMP,
        "43": "P",
    }


def _greeks(dice: random.Random) -> Item:
    return {"28": round(dice.uniform(-1, 1), 8), "29": round(dice.uniform(0, 0.02), 8)}


def _option_delta(dice: random.Random, key: str) -> Item:
    """Return four fields: a quote, one side of it, a sale, or what the vendor computes."""
    bid = dice.randrange(20, 900)
    sides: Item = {"2": bid / 20, "3": (bid + dice.randrange(1, 5)) / 20}
    kind = dice.choices(range(4), (45, 30, 10, 15))[0]
    fields: tuple[Item, ...] = (
        sides | {"37": (bid + 1) / 20},
        {"2": bid / 20, "16": dice.randrange(1, 300), "37": (bid + 1) / 20},
        {"4": bid / 20, "8": dice.randrange(9_000), "18": dice.randrange(1, 30)},
        {"10": round(dice.uniform(9, 30), 6)} | _greeks(dice),
    )
    return {"key": key} | fields[kind] | {"39" if kind == 2 else "38": _STAMP}


def _share_image(dice: random.Random, key: str) -> Item:
    bid = dice.randrange(2_000, 60_000)
    return {
        "key": key,
        "delayed": False,
        "assetMainType": "EQUITY",
        "1": bid / 100,
        "2": (bid + 1) / 100,
        "3": bid / 100,
        "4": dice.randrange(1, 90) * 100,
        "5": dice.randrange(1, 90) * 100,
        "8": dice.randrange(9_000_000),
        "9": 100,
        "34": _STAMP,
        "35": _STAMP,
    }


def _share_delta(dice: random.Random, key: str) -> Item:
    """Return four fields of a quote, or of a sale."""
    bid = dice.randrange(2_000, 60_000)
    if dice.random() < 0.75:
        sides = {"1": bid / 100, "2": (bid + 1) / 100, "4": dice.randrange(1, 90) * 100}
        return {"key": key} | sides | {"34": _STAMP}
    return {"key": key, "3": bid / 100, "9": 100, "8": dice.randrange(9_000_000), "35": _STAMP}


Block = tuple[str, list[Item]]


def _block(service: str, items: list[Item]) -> Block:
    return service, items


def _blocks(items: list[Item], service: str) -> list[list[Block]]:
    """Return frames of one block each."""
    return [[(service, items[at : at + ITEMS])] for at in range(0, len(items), ITEMS)]


def _frame(blocks: list[Block]) -> str:
    data = [
        {"service": service, "timestamp": _STAMP, "command": "SUBS", "content": items}
        for service, items in blocks
    ]
    return msgspec.json.encode({"data": data}).decode()


def _events(frames: list[list[Block]]) -> dict[Calendar, list[str]]:
    """Return the symbol of each event, by the calendar of its tape."""
    found: dict[Calendar, list[str]] = {"index": [], "equity": []}
    for blocks in frames:
        for service, items in blocks:
            for item in items:
                both = service == "LEVELONE_EQUITIES" and "1" in item and "3" in item
                found[calendar_of(item["key"])] += [item["key"]] * (2 if both else 1)
    return found


# --- the server -----------------------------------------------------------------------------------


class Sent(NamedTuple):
    """When frames went out, wall time."""

    begin_ns: int
    end_ns: int


def serve(link: Connection) -> None:
    """Serve and obey; says its port first.

    Orders are ("images", path), ("deltas", path, frames, frames a second or None); each is answered
    with a `Sent` once it is done.
    """
    asyncio.run(_Server(link, make_wire(et_datetime(wall_ns()).date())).run())


class _Server:
    def __init__(self, link: Connection, wire: Wire) -> None:
        self._link = link
        self._wire = wire
        self._sockets: dict[str, Send] = {}
        self._next = dict.fromkeys(PATHS, 0)

    async def run(self) -> None:
        """Serve until the other end of the link is gone."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            config = uvicorn.Config(
                self._app,
                interface="asgi3",
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                lifespan="off",
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            self._link.send(port)
            with contextlib.suppress(EOFError, OSError):  # the bench is over
                await self._obey()
            server.should_exit = True
            await serving

    async def _obey(self) -> None:
        beat_at = time.monotonic()
        while True:
            while not self._link.poll():
                await asyncio.sleep(0.01)
                if time.monotonic() > beat_at:
                    beat_at = time.monotonic() + _HEARTBEAT_S
                    await self._beat()
            what, path, *how = self._link.recv()
            begin_ns = wall_ns()
            if what == "images":
                for text in self._wire.images:
                    await self._put(path, text)
            else:
                await self._deltas(path, *how)
            self._link.send(Sent(begin_ns, wall_ns()))

    async def _deltas(self, path: str, frames: int, per_s: float | None) -> None:
        """Send the next deltas, each in its time or as fast as they are taken."""
        start_s = time.monotonic()
        for number in range(frames):
            if per_s is not None:
                await asyncio.sleep(max(start_s + number / per_s - time.monotonic(), 0))
            at = self._next[path]
            self._next[path] = at + 1
            await self._put(path, self._wire.deltas[at % len(self._wire.deltas)])

    async def _put(self, path: str, text: str) -> None:
        stamped = text.replace(str(_STAMP), str(wall_ns() // 1_000_000))
        await self._sockets[path]({"type": "websocket.send", "text": stamped})

    async def _beat(self) -> None:
        beat = msgspec.json.encode({"notify": [{"heartbeat": str(wall_ns() // 1_000_000)}]})
        for send in self._sockets.values():
            await send({"type": "websocket.send", "text": beat.decode()})

    async def _app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._talk(scope["path"], receive, send)
        elif scope["path"] == "/trader/v1/userPreference":
            host = dict(scope["headers"])[b"host"].decode()
            await _answer(send, preferences(f"ws://{host}{PATHS[0]}"))
        else:  # nothing is listed
            await _answer(send, {"expirationList": []})

    async def _talk(self, path: str, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self._sockets[path] = send
        while (message := await receive())["type"] == "websocket.receive":
            for request in msgspec.json.decode(message["text"])["requests"]:
                named = {name: request[name] for name in ("service", "command", "requestid")}
                response = named | {"content": {"code": 0, "msg": "server=bench;status=NP"}}
                text = msgspec.json.encode({"response": [response]}).decode()
                await send({"type": "websocket.send", "text": text})
        if self._sockets.get(path) is send:
            del self._sockets[path]


def preferences(url: str) -> dict[str, Any]:
    """Return what /userPreference says of a streamer at this URL."""
    info = {
        "streamerSocketUrl": url,
        "schwabClientCustomerId": "bench",
        "schwabClientCorrelId": "bench",
        "schwabClientChannel": "N9",
        "schwabClientFunctionId": "APIAPP",
    }
    return {"streamerInfo": [info]}


async def _answer(send: Send, body: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})
