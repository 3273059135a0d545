"""What the sender writes beside the tape: newest values, ticks, option quotes, books, messages.

Options are most of a tape, so they pass as the bytes that they are in the frame. The channels are
live: what is older than `PUBLISH_WITHIN_NS` when its turn comes, after an outage, is counted and
not published. Keys do not depend on that: they end as if all had come in time.
"""

import datetime
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import redis

from gex_pipeline.errors import CodecError
from gex_pipeline.hot.batch import BATCH_FIELD, pack_parts, unpack_parts
from gex_pipeline.hot.frame import FrameHeader
from gex_pipeline.hot.keys import MARKET_TTL_S, OPTIONS_TTL_S, Keys
from gex_pipeline.hot.ticks import (
    Level2Event,
    Newest,
    decode_level2,
    encode_message,
    level2_of,
    option_tick_of,
    tick_of,
)
from gex_pipeline.market.codec import (
    EventHead,
    decode_event,
    decode_json,
    encode_events,
    encode_json,
    split_events,
)
from gex_pipeline.market.events import (
    LEVEL_ONE,
    BookUpdate,
    Event,
    OptionQuote,
    Quote,
    Trade,
    tag_of,
)

_LOOK_NS: Final = 1_000_000_000
"""So often, in market time, it is looked whether another feed has a book."""
EXPIRE_EACH_S: Final = 60.0
"""Between two orders to a key to live on; far below the life of any."""
OPTIONS_KEPT_MS: Final = 5 * 60 * 1000
PUBLISH_WITHIN_NS: Final = 10 * 1_000_000_000
"""Of market time, behind the newest event spooled."""

Command = tuple[Any, ...]

_OPTION, _TRADE = tag_of(OptionQuote), tag_of(Trade)
_QUOTE, _BOOK = tag_of(Quote), tag_of(BookUpdate)


class Packed(NamedTuple):
    """A batch as an entry of a stream holds it."""

    data: bytes
    newest_ns: int
    """The latest receipt in it."""
    last_seq: int


class _Batch(msgspec.Struct, gc=False):
    """Events of one stream: their bytes, and the head of the last."""

    parts: list[msgspec.Raw]
    newest: EventHead


class _Draft(msgspec.Struct):
    """What a run of frames brings, by symbol."""

    messages: list[Command] = []
    ticks: dict[str, _Batch] = {}
    latest: dict[str, dict[str, msgspec.Raw]] = {}
    """By symbol and kind, the newest trade and quote."""
    options: dict[str, _Batch] = {}
    books: dict[str, BookUpdate] = {}


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
        self._ticking: set[str] = set()
        """Symbols whose ticks are kept."""
        self._quoted: set[str] = set()
        """Underlyings whose option quotes are kept."""
        self._deeper: dict[str, tuple[int, bool]] = {}
        """When it was looked last whether a symbol has a whole book, and what was seen."""
        self._ids: dict[str, int] = {}
        self._fields: dict[str, dict[str, bytes]] = {}
        """Of `last:`, by symbol, as they were set."""
        self._said_s: dict[str, float] = {}
        """When a key was last told how long to live, monotonic."""
        self._opened_ms = 0
        self._session_date: Any = None
        self.published_through = 0
        """Seq up to which messages were published: a replay publishes none twice."""
        self.unpublished = 0
        """Messages that were too old to publish."""
        self.errors = 0
        """Keys that could not be read: they hold something else."""

    def commands(
        self, frames: Sequence[tuple[FrameHeader, bytes]], newest_ns: int
    ) -> list[Command]:
        """Return the commands that bring the keys up to the frames; the newest event is that old.

        Raises:
            redis.ConnectionError: the store does not say what it knows of a symbol.
        """
        draft = _Draft()
        fresh_ns = newest_ns - PUBLISH_WITHIN_NS
        kept_ns = newest_ns - OPTIONS_KEPT_MS * 1_000_000
        for header, data in frames:
            heads, parts = unpack_parts(data[header.payload_start :])
            self.note_session(header.session_date, heads[0].ts_recv_ns)
            kept = draft.options if heads[-1].ts_recv_ns >= kept_ns else None
            self._take(draft, heads, parts, fresh_ns, kept)
        return [*draft.messages, *self._stored(draft)]

    def add_events(self, pipe: Any, events: Iterable[Event]) -> None:
        """Queue the commands for events in the order of their tape, however old they are."""
        draft = _Draft()
        heads, parts = split_events(encode_events(list(events)))
        self._take(draft, heads, parts, 0, draft.options)
        for command in (*draft.messages, *self._stored(draft)):
            pipe.execute_command(*command)

    def add_options(self, pipe: Any, symbol: str, quotes: Packed) -> None:
        """Queue the commands for quotes of one underlying's options, if it was told which."""
        for command in self._options(symbol, quotes) if symbol else ():
            pipe.execute_command(*command)

    def note_session(self, session_date: datetime.date, first_ns: int) -> None:
        """Note the session date of what comes, and when its first event was received."""
        if session_date != self._session_date:
            known = self._session_date is not None
            self._session_date = session_date
            self._opened_ms = first_ns // 1_000_000 if known else 0

    def reconnected(self) -> None:
        """Note that the store may have lost its keys: new ones must be told how long to live."""
        self._said_s.clear()

    def published(self, seq: int) -> None:
        """Note that the messages up to a seq are out."""
        self.published_through = max(self.published_through, seq)

    def tidy(self) -> None:
        """Trim the ticks to their session and to their share of memory."""
        names = [self._keys.ticks(symbol) for symbol in self._ticking]
        for name in names:
            self._client.xtrim(name, minid=f"{self._opened_ms}-0", approximate=True)
            self._fit(name, self._ticks_bytes // len(names))

    def squeeze(self, most_bytes: int) -> None:
        """Trim ticks and option quotes to so much memory in all: the store is short of it."""
        names = [self._keys.ticks(symbol) for symbol in self._ticking]
        names += [self._keys.options(symbol) for symbol in self._quoted]
        for name in names:
            self._fit(name, most_bytes // len(names))

    def _fit(self, name: str, share: int) -> None:
        used: Any = self._client.memory_usage(name)
        if used and used > share:
            length: Any = self._client.xlen(name)
            self._client.xtrim(name, maxlen=int(length * share / used), approximate=True)

    # --- one event ----------------------------------------------------------------------------

    def _take(
        self,
        draft: _Draft,
        heads: Sequence[EventHead],
        parts: Sequence[msgspec.Raw],
        fresh_ns: int,
        options: dict[str, _Batch] | None,
    ) -> None:
        for head, part in zip(heads, parts, strict=True):
            if head.kind == _OPTION:
                if options is not None and head.first_field:
                    _add(options, head.first_field, head, part)
                if self._option_ticks and self._due(head, fresh_ns):
                    self._publish_option(draft, part)
            elif head.kind in (_TRADE, _QUOTE):
                self._take_tick(draft, head, part, fresh_ns)
            elif head.kind == _BOOK:
                self._take_book(draft, head, part, fresh_ns)

    def _due(self, head: EventHead, fresh_ns: int) -> bool:
        """Return whether an event's message is to go out, and count those that come too late."""
        if head.seq <= self.published_through:
            return False
        if head.ts_recv_ns < fresh_ns:
            self.unpublished += 1
            return False
        return True

    def _take_tick(self, draft: _Draft, head: EventHead, part: msgspec.Raw, fresh_ns: int) -> None:
        _add(draft.ticks, head.symbol, head, part)
        draft.latest.setdefault(head.symbol, {})[head.kind] = part
        if self._due(head, fresh_ns):
            event = decode_event(part)
            if isinstance(event, Trade | Quote):
                message = tick_of(event, self._renew(event), self._source)
                self._publish(draft, self._keys.ticks_channel, message)

    def _publish_option(self, draft: _Draft, part: msgspec.Raw) -> None:
        event = decode_event(part)
        if isinstance(event, OptionQuote) and event.streamed:
            message = option_tick_of(event, self._source)
            self._publish(draft, self._keys.ticks_channel, message)

    def _take_book(self, draft: _Draft, head: EventHead, part: msgspec.Raw, fresh_ns: int) -> None:
        event = decode_event(part)
        if not isinstance(event, BookUpdate) or not event.whole:
            return
        if event.venue != LEVEL_ONE:
            self._deeper[event.symbol] = event.ts_recv_ns, True
        elif self._is_deeper(event):
            return
        draft.books[event.symbol] = event
        if self._due(head, fresh_ns):
            message = level2_of(event, self._source)
            self._publish(draft, self._keys.level2_channel, message)

    def _is_deeper(self, top: BookUpdate) -> bool:
        """Whether another feed has a book of the symbol now: then level one has nothing to say."""
        looked_ns, deeper = self._deeper.get(top.symbol, (0, False))
        if abs(top.ts_recv_ns - looked_ns) < _LOOK_NS:
            return deeper
        book = self._book(top.symbol)
        deeper = (
            book is not None
            and book.source != LEVEL_ONE
            and abs(top.ts_recv_ns - book.ts_recv_ns) <= PUBLISH_WITHIN_NS
        )
        self._deeper[top.symbol] = top.ts_recv_ns, deeper
        return deeper

    def _book(self, symbol: str) -> Level2Event | None:
        """Return the book that the store has."""
        try:
            data: Any = self._client.get(self._keys.depth(symbol))
        except redis.ResponseError:
            self.errors += 1
            return None
        try:
            return decode_level2(data) if data else None
        except msgspec.DecodeError:  # another version wrote it
            return None

    def _publish(self, draft: _Draft, channel: str, message: object) -> None:
        draft.messages.append(("PUBLISH", channel, encode_message(message)))

    def _renew(self, event: Trade | Quote) -> Newest:
        """Return the newest values of a symbol with the event in them."""
        old = self._newest.get(event.symbol) or self._load(event.symbol)
        new = Newest(event, old.quote) if isinstance(event, Trade) else Newest(old.trade, event)
        self._newest[event.symbol] = new
        return new

    def _load(self, symbol: str) -> Newest:
        """Return what the store knows of a symbol that this process has not seen yet."""
        try:
            stored: Any = self._client.hgetall(self._keys.last(symbol))
        except redis.ResponseError:
            self.errors += 1
            return Newest()
        trade, quote = _event(stored.get(b"trade")), _event(stored.get(b"quote"))
        return Newest(
            trade if isinstance(trade, Trade) else None,
            quote if isinstance(quote, Quote) else None,
        )

    # --- keys ---------------------------------------------------------------------------------

    def _stored(self, draft: _Draft) -> list[Command]:
        commands: list[Command] = []
        self._ticking |= draft.ticks.keys()
        for symbol, batch in draft.ticks.items():
            commands += self._last(symbol, draft.latest[symbol])
            commands += self._appended(self._keys.ticks(symbol), _packed(batch), MARKET_TTL_S)
        for symbol, batch in draft.options.items():
            commands += self._options(symbol, _packed(batch))
        for symbol, book in draft.books.items():
            message = encode_message(level2_of(book, self._source))
            commands.append(("SET", self._keys.depth(symbol), message, "EX", MARKET_TTL_S))
        return commands

    def _last(self, symbol: str, latest: dict[str, msgspec.Raw]) -> list[Command]:
        """Return what sets the newest values of a symbol; what did not change is not made anew."""
        for event in map(decode_event, latest.values()):
            if isinstance(event, Trade | Quote):
                self._renew(event)
        newest, fields = self._newest[symbol], self._fields.setdefault(symbol, {})
        for kind, value in ((_TRADE, newest.trade), (_QUOTE, newest.quote)):
            if value is not None and (kind in latest or kind not in fields):
                fields[kind] = encode_json(value)
        name = self._keys.last(symbol)
        pairs = [item for field in fields.items() for item in field]
        return [("HSET", name, *pairs), *self._kept(name, MARKET_TTL_S)]

    def _options(self, symbol: str, quotes: Packed) -> list[Command]:
        self._quoted.add(symbol)
        return self._appended(self._keys.options(symbol), quotes, OPTIONS_TTL_S, OPTIONS_KEPT_MS)

    def _appended(
        self, name: str, batch: Packed, ttl_s: int, kept_ms: int | None = None
    ) -> list[Command]:
        """Return what adds a batch to a stream, under an id above those that it has."""
        ms = self._ids[name] = max(batch.newest_ns // 1_000_000, self._id_of(name))
        trim = () if kept_ms is None else ("MINID", "~", f"{max(ms - kept_ms, 0)}-0")
        entry = (f"{ms}-{batch.last_seq}", BATCH_FIELD, batch.data)
        return [("XADD", name, *trim, *entry), *self._kept(name, ttl_s)]

    def _kept(self, name: str, ttl_s: int) -> list[Command]:
        """Return what lets a key live on; it is said once a minute."""
        now_s = time.monotonic()
        said_s = self._said_s.get(name)
        if said_s is not None and now_s < said_s + EXPIRE_EACH_S:
            return []
        self._said_s[name] = now_s
        return [("EXPIRE", name, ttl_s)]

    def _id_of(self, name: str) -> int:
        """Return the newest time in a stream: market time may step back, its ids may not."""
        if name in self._ids:
            return self._ids[name]
        try:
            entries: Any = self._client.xrevrange(name, count=1)
        except redis.ResponseError:
            self.errors += 1
            return 0
        return int(entries[0][0].partition(b"-")[0]) if entries else 0


def _add(batches: dict[str, _Batch], name: str, head: EventHead, part: msgspec.Raw) -> None:
    batch = batches.get(name)
    if batch is None:
        batches[name] = _Batch([part], head)
    else:
        batch.parts.append(part)
        batch.newest = head


def _packed(batch: _Batch) -> Packed:
    return Packed(pack_parts(batch.parts), batch.newest.ts_recv_ns, batch.newest.seq)


def _event(data: bytes | None) -> Event | None:
    try:
        return decode_json(data) if data else None
    except CodecError:  # another version wrote it
        return None
