"""What the sender writes beside the tape: newest values, ticks, option quotes, books, messages."""

import datetime
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import redis

from gex_pipeline.errors import CodecError
from gex_pipeline.hot.batch import BATCH_FIELD, pack_events
from gex_pipeline.hot.frame import Frame
from gex_pipeline.hot.keys import MARKET_TTL_S, OPTIONS_TTL_S, Keys
from gex_pipeline.hot.ticks import (
    Newest,
    encode_message,
    level2_of,
    option_tick_of,
    tick_of,
)
from gex_pipeline.market.codec import decode_json, encode_json
from gex_pipeline.market.events import BookUpdate, Event, OptionQuote, Quote, Trade

OPTIONS_KEPT_MS = 5 * 60 * 1000


class Packed(NamedTuple):
    """A batch as an entry of a stream holds it."""

    data: bytes
    newest_ns: int
    """The latest receipt in it."""
    last_seq: int


class Projection:
    """The keys that one tape keeps up to date; streams have ids `<ts_recv ms>-<seq>`."""

    def __init__(
        self, client: redis.Redis, keys: Keys, source: str, *, option_ticks: bool, ticks_mb: int
    ) -> None:
        self._client = client
        self._keys = keys
        self._source = source
        self._option_ticks = option_ticks
        self._ticks_bytes = ticks_mb * 2**20
        self._newest: dict[str, Newest] = {}
        self._ids: dict[str, int] = {}
        self._opened_ms = 0
        self._session_date: Any = None
        self.published_through = 0
        """Seq up to which messages were published: a replay publishes none twice."""

    def add(self, pipe: Any, frames: Sequence[Frame]) -> None:
        """Queue the commands that bring the keys up to the frames."""
        for frame in frames:
            self.note_session(frame.session_date, frame.events[0].ts_recv_ns)
        self.add_events(pipe, (event for frame in frames for event in frame.events))

    def add_events(self, pipe: Any, events: Iterable[Event]) -> None:
        """Queue the commands for events in the order of their tape."""
        ticks: dict[str, list[Event]] = {}
        options: dict[str, list[Event]] = {}
        books: dict[str, BookUpdate] = {}
        for event in events:
            match event:
                case OptionQuote():
                    options.setdefault(event.underlying, []).append(event)
                    self._publish_option(pipe, event)
                case Trade() | Quote():
                    ticks.setdefault(event.symbol, []).append(event)
                    self._take_tick(pipe, event)
                case BookUpdate(whole=True):
                    books[event.symbol] = event
                    self._publish_book(pipe, event)
        self._store(pipe, ticks, books)
        for symbol, quotes in options.items():
            self.add_options(pipe, symbol, _packed(quotes))

    def add_options(self, pipe: Any, symbol: str, quotes: Packed) -> None:
        """Queue the commands for quotes of one underlying's options."""
        self._append(pipe, self._keys.options(symbol), quotes, OPTIONS_TTL_S, OPTIONS_KEPT_MS)

    def note_session(self, session_date: datetime.date, first_ns: int) -> None:
        """Note the session date of what comes, and when its first event was received."""
        if session_date != self._session_date:
            first = self._session_date is None
            self._session_date = session_date
            self._opened_ms = 0 if first else first_ns // 1_000_000

    def published(self, seq: int) -> None:
        """Note that the messages up to a seq are out."""
        self.published_through = max(self.published_through, seq)

    def tidy(self) -> None:
        """Trim the ticks to their session and to their share of memory."""
        names = [self._keys.ticks(symbol) for symbol in self._newest]
        for name in names:
            self._client.xtrim(name, minid=f"{self._opened_ms}-0", approximate=True)
            self._fit(name, self._ticks_bytes // len(names))

    def _fit(self, name: str, share: int) -> None:
        used: Any = self._client.memory_usage(name)
        if used and used > share:
            length: Any = self._client.xlen(name)
            self._client.xtrim(name, maxlen=int(length * share / used), approximate=True)

    # --- one event ----------------------------------------------------------------------------

    def _take_tick(self, pipe: Any, event: Trade | Quote) -> None:
        old = self._newest.get(event.symbol) or self._load(event.symbol)
        new = Newest(event, old.quote) if isinstance(event, Trade) else Newest(old.trade, event)
        self._newest[event.symbol] = new
        if event.seq > self.published_through:
            message = encode_message(tick_of(event, new, self._source))
            pipe.publish(self._keys.ticks_channel, message)

    def _publish_option(self, pipe: Any, event: OptionQuote) -> None:
        if self._option_ticks and event.streamed and event.seq > self.published_through:
            message = encode_message(option_tick_of(event, self._source))
            pipe.publish(self._keys.ticks_channel, message)

    def _publish_book(self, pipe: Any, event: BookUpdate) -> None:
        if event.seq > self.published_through:
            message = encode_message(level2_of(event, self._source))
            pipe.publish(self._keys.level2_channel, message)

    def _load(self, symbol: str) -> Newest:
        """Return what the store knows of a symbol that this process has not seen yet."""
        stored: Any = self._client.hgetall(self._keys.last(symbol))
        trade, quote = _event(stored.get(b"trade")), _event(stored.get(b"quote"))
        return Newest(
            trade if isinstance(trade, Trade) else None,
            quote if isinstance(quote, Quote) else None,
        )

    # --- keys ---------------------------------------------------------------------------------

    def _store(
        self,
        pipe: Any,
        ticks: dict[str, list[Event]],
        books: dict[str, BookUpdate],
    ) -> None:
        for symbol, events in ticks.items():
            self._set_last(pipe, symbol)
            self._append(pipe, self._keys.ticks(symbol), _packed(events), MARKET_TTL_S, None)
        for symbol, book in books.items():
            message = encode_message(level2_of(book, self._source))
            pipe.set(self._keys.depth(symbol), message, ex=MARKET_TTL_S)

    def _set_last(self, pipe: Any, symbol: str) -> None:
        newest, name = self._newest[symbol], self._keys.last(symbol)
        events = {"trade": newest.trade, "quote": newest.quote}
        pipe.hset(name, mapping={k: encode_json(v) for k, v in events.items() if v is not None})
        pipe.expire(name, MARKET_TTL_S)

    def _append(self, pipe: Any, name: str, batch: Packed, ttl_s: int, kept_ms: int | None) -> None:
        ms = self._ids[name] = max(batch.newest_ns // 1_000_000, self._id_of(name))
        minid = None if kept_ms is None else f"{max(ms - kept_ms, 0)}-0"
        fields = {BATCH_FIELD: batch.data}
        pipe.xadd(name, fields, id=f"{ms}-{batch.last_seq}", minid=minid, approximate=True)
        pipe.expire(name, ttl_s)

    def _id_of(self, name: str) -> int:
        """Return the newest time in a stream: market time may step back, its ids may not."""
        if name not in self._ids:
            entries: Any = self._client.xrevrange(name, count=1)
            self._ids[name] = int(entries[0][0].partition(b"-")[0]) if entries else 0
        return self._ids[name]


def _packed(events: Sequence[Event]) -> Packed:
    newest_ns = max(event.ts_recv_ns for event in events)
    return Packed(pack_events(events), newest_ns, events[-1].seq)


def _event(data: bytes | None) -> Event | None:
    try:
        return decode_json(data) if data else None
    except CodecError:  # another version wrote it
        return None
