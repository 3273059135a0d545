"""What happens in a market, and what we made of it, as frozen facts: the events of a tape.

A number that the source did not give is None: never 0, NaN or -999, which no decoder lets pass.
Prices and dollars are floats, sizes too (fractions of shares trade); volumes and open interest are
whole. Each event is a full picture of its subject, so that it means the same without those before.
On the wire an event is an array: its tag, then the fields in the order of this file, those that all
kinds share first. A change of them raises codec.SCHEMA_VERSION; new fields come last and have a
default, so that what an older version wrote can still be read.
"""

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

_MAX_INT = 2**63 - 1
_MAX_FLOAT = 1.7976931348623157e308

Nanoseconds = Annotated[int, Meta(ge=0, le=_MAX_INT)]
"""UTC, since 1970."""
Count = Annotated[int, Meta(ge=0, le=_MAX_INT)]
Number = Annotated[float, Meta(ge=-_MAX_FLOAT, le=_MAX_FLOAT)]
"""Finite: the bounds refuse NaN and the infinities."""
Size = Annotated[float, Meta(ge=0, le=_MAX_FLOAT)]
"""Shares or contracts."""
Symbol = Annotated[str, Meta(max_length=32)]

LEVEL_ONE = "level_one"
"""Venue of a book that we made of a quote, where the source has no book: its best bid and ask."""
SOURCE_SEQUENCE = "source_sequence"
"""Cause of a gap of one symbol: the source's own numbers jumped."""


class _Happened(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    symbol: Symbol
    """Canonical (market/symbology.py); "" where the event concerns the whole tape."""
    ts_event_ns: Nanoseconds
    """The source's time."""
    ts_recv_ns: Nanoseconds
    """Our market time of receipt; a replay keeps the recorded one."""
    seq: Count = 0
    """Our dense number on the tape, from 1; 0 until the event is spooled."""
    source_seq: Count | None = None
    """The source's own sequence number."""


class Trade(_Happened, frozen=True, kw_only=True, tag="trade"):
    """A trade, or a new value of an index."""

    price: Number
    size: Size | None = None
    """None: an index has none."""
    volume: Count | None = None
    """Shares or contracts of the session so far."""
    aggressor: Literal["buy", "sell"] | None = None
    exchange: str | None = None
    """The source's code of the venue."""
    conditions: str | None = None
    """The source's codes of the sale."""
    streamed: bool | None = True
    """Pushed by a stream; False: we asked for it while the stream was down; None: an older version
    kept it, which had streams only."""


class Quote(_Happened, frozen=True, kw_only=True, tag="quote"):
    """The best bid and ask of a share, fund or future."""

    bid: Number | None = None
    ask: Number | None = None
    bid_size: Size | None = None
    ask_size: Size | None = None
    contract: Symbol | None = None
    """Of a future asked for by its root: the contract that it stands for, as the source says."""
    streamed: bool | None = True
    """Pushed by a stream; False: we asked for it while the stream was down; None: an older version
    kept it, which had streams only."""


class OptionQuote(_Happened, frozen=True, kw_only=True, tag="option_quote"):
    """All that the source says of one option: quote, greeks, IV, open interest and volume."""

    underlying: Symbol
    """Canonical: SPX for SPXW; of an option on a future the future, "" where nobody told it."""
    bid: Number | None = None
    """Dollars; 0 is a quote, that of nobody."""
    ask: Number | None = None
    bid_size: Size | None = None
    ask_size: Size | None = None
    last: Number | None = None
    last_size: Size | None = None
    mark: Number | None = None
    """The source's own idea of the price."""
    iv: Number | None = None
    """The vendor's implied volatility, a fraction a year: 0.2 is 20%."""
    delta: Number | None = None
    gamma: Number | None = None
    """The vendor's, as printed: per dollar of the underlying."""
    theta: Number | None = None
    """The vendor's, dollars a day."""
    vega: Number | None = None
    """The vendor's, dollars per volatility point."""
    rho: Number | None = None
    open_interest: Count | None = None
    """Contracts, as of the open."""
    volume: Count | None = None
    """Contracts of the session so far."""
    underlying_price: Number | None = None
    settlement: Literal["A", "P"] | None = None
    """On the open or on the close, where the vendor says so."""
    streamed: bool = True
    """Pushed by a stream; False: a row of a chain that we asked for."""


class BookUpdate(_Happened, frozen=True, kw_only=True, tag="book"):
    """Level 2: prices best first, each with its size."""

    bid_prices: tuple[Number, ...]
    bid_sizes: tuple[Size, ...]
    ask_prices: tuple[Number, ...]
    ask_sizes: tuple[Size, ...]
    whole: bool = True
    """The whole book; False: these levels only, size 0 removes one."""
    venue: str | None = None
    """NYSE_BOOK, NASDAQ_BOOK, OPTIONS_BOOK, CME, level_one; None: all venues together."""

    def __post_init__(self) -> None:
        """Refuse prices without sizes."""
        bids, asks = len(self.bid_prices), len(self.ask_prices)
        if bids != len(self.bid_sizes) or asks != len(self.ask_sizes):
            raise ValueError("Each level of a book has a price and a size")


class Candle(_Happened, frozen=True, kw_only=True, tag="candle"):
    """The prices of an interval that starts at `ts_event_ns`."""

    interval_s: Annotated[int, Meta(gt=0, le=86_400)]
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Count | None = None


class ChainHeader(_Happened, frozen=True, kw_only=True, tag="chain"):
    """What came with one answer of a chain; its rows are the OptionQuotes received with it."""

    first_expiry: datetime.date
    """The window that was asked for, both ends in it."""
    last_expiry: datetime.date
    contracts: Count
    """Rows in the answer."""
    complete: bool
    """False: cut short, or a part of it failed."""
    underlying_price: Number | None = None
    interest_rate: Number | None = None
    """The vendor's, a fraction a year."""
    dividend_yield: Number | None = None
    """The vendor's, a fraction a year."""
    delayed: bool = False


class Gap(_Happened, frozen=True, kw_only=True, tag="gap"):
    """Something that we did not see, or may not have seen."""

    ts_from_ns: Nanoseconds
    ts_to_ns: Nanoseconds
    cause: str
    """disconnect, restart, silence, taken (by another program), unreadable (data that are no JSON),
    unspooled, damaged, lost, source_sequence, …"""
    first_seq: Count | None = None
    """The missing numbers of our tape, if they are numbers of our tape, both ends in it."""
    last_seq: Count | None = None
    filled_by: str | None = None
    """What made up for it: chain, import, …; None: nothing did."""


class Heartbeat(_Happened, frozen=True, kw_only=True, tag="heartbeat"):
    """The tape is complete up to `ts_recv_ns`: one a market second, also when nothing happens."""

    received: Count
    """Messages that the socket itself counted since the session began."""
    connected: bool = True


class GexSecond(_Happened, frozen=True, kw_only=True, tag="gex"):
    """The exposure of one underlying and scope at the end of a market second, `ts_recv_ns`.

    On tapes of our own, gex.<calendar>. Units and meanings stand with the lake's table of the same
    columns (market/tables.py); `_oi` is weighted by open interest, `_volume` by the day's volume.
    """

    scope: str
    convention: str
    positions: str
    """JSON: tape to [epoch, seq], the last event that is in."""
    contracts: Count
    null_reasons: str
    """JSON: why a figure is null, by its name."""
    spot: Number | None = None
    net_gex_oi: Number | None = None
    net_gex_volume: Number | None = None
    call_gex_oi: Number | None = None
    call_gex_volume: Number | None = None
    put_gex_oi: Number | None = None
    put_gex_volume: Number | None = None
    gross_gex_oi: Number | None = None
    gross_gex_volume: Number | None = None
    dex_oi: Number | None = None
    dex_volume: Number | None = None
    vex_oi: Number | None = None
    vex_volume: Number | None = None
    cex_oi: Number | None = None
    cex_volume: Number | None = None
    zero_gamma_oi: Number | None = None
    zero_gamma_volume: Number | None = None
    call_wall_oi: Number | None = None
    call_wall_volume: Number | None = None
    put_wall_oi: Number | None = None
    put_wall_volume: Number | None = None
    abs_gamma_strike_oi: Number | None = None
    abs_gamma_strike_volume: Number | None = None
    max_net_strike_oi: Number | None = None
    max_net_strike_volume: Number | None = None
    min_net_strike_oi: Number | None = None
    min_net_strike_volume: Number | None = None
    max_pain: Number | None = None
    expected_move: Number | None = None
    open_interest: Number | None = None
    volume: Number | None = None
    own_share: Number | None = None
    vendor_share: Number | None = None
    confidence: Number | None = None
    confidence_level: str | None = None
    gap_s: Number | None = None
    """Seconds of the feed that were lost and that no whole chain has made up for; 0: none."""
    streamed_share: Number | None = None
    parity_share: Number | None = None
    quote_age_s: Number | None = None
    windows: Count | None = None
    windows_complete: Count | None = None
    reasons: str | None = None
    """What lowers confidence: factors below 0.8, by comma; the feed's has its cause: feed:silent.
    """


class GexStrikes(_Happened, frozen=True, kw_only=True, tag="gex_strikes"):
    """The exposure by strike of one underlying and scope at the end of a market second.

    Dollars per 1%, one number per strike, each exactly a float32; a strike without exposure is
    not listed.
    """

    scope: str
    convention: str
    positions: str
    """JSON: tape to [epoch, seq], the last event that is in."""
    strikes: tuple[Number, ...]
    """Ascending."""
    call_gex_oi: tuple[Number, ...]
    put_gex_oi: tuple[Number, ...]
    call_gex_volume: tuple[Number, ...]
    put_gex_volume: tuple[Number, ...]
    spot: Number | None = None


class ChainImage(_Happened, frozen=True, kw_only=True, tag="chain_image"):
    """The whole chain of one underlying at the end of a market second, as in the hot store."""

    positions: str
    """JSON: tape to [epoch, seq], the last event that is in."""
    contracts: Count
    """Rows in the image."""
    image: bytes
    """Arrow IPC (hot/chains.py)."""
    spot: Number | None = None


class LevelChange(_Happened, frozen=True, kw_only=True, tag="level_change"):
    """The confidence of one underlying and scope came to another level at the end of a second."""

    scope: str
    convention: str
    level: str | None = None
    """high, low, unusable; None: there are no figures, and so no confidence."""
    level_before: str | None = None
    """Of the recorded second before."""
    confidence: Number | None = None
    confidence_before: Number | None = None
    reasons: str = ""
    """What lowers confidence now, as in GexSecond."""
    reasons_before: str = ""


class Basis(_Happened, frozen=True, kw_only=True, tag="basis"):
    """How far a future stood from its index at the end of a market second, `ts_recv_ns`.

    `symbol` is the future's root. On the tape gex.cme; a level of the index + `basis` is a level in
    the future's points. docs/conventions.md says how it is measured.
    """

    index: Symbol
    positions: str
    """JSON: tape to [epoch, seq], the last event that is in."""
    method: Literal["live", "parity", "last"] | None = None
    """How `basis` came about; None: there is none."""
    basis: Number | None = None
    """Points: future less index."""
    reason: str | None = None
    """Why there is none."""
    contract: Symbol | None = None
    """The contract that is quoted under the root."""
    quoted: Symbol | None = None
    """Whose quotes were taken: the root itself, or its micro, or the micro's big one."""
    samples: Count | None = None
    """Seconds of the last 30 in which both had a fresh price."""
    ts_live_ns: Nanoseconds | None = None
    """The newest second with a live basis; None: never."""
    live: Number | None = None
    """That basis, points; None: it was of another contract."""
    parity: Number | None = None
    """The index's parity forward at the future's expiry less the index, points."""
    mid: Number | None = None
    """Of the future now, where its quote is fresh."""
    index_price: Number | None = None


class LedgerCount(_Happened, frozen=True, kw_only=True, tag="ledger"):
    """How many updates of one table had one outcome in one minute of receipt.

    received = written + conflated + rejected, per table and minute; `received` comes from the
    socket's own counter, not from the writer. A minute may be told in several parts: they add up.
    """

    ts_minute_ns: Nanoseconds
    """Start of the minute of receipt."""
    table: str
    """Table of the lake that the updates are meant for."""
    outcome: Literal["received", "written", "conflated", "rejected"]
    events: Count
    reason: str = ""
    """Why rejected or conflated; else empty."""


class GexbotAnswer(_Happened, frozen=True, kw_only=True, tag="gexbot"):
    """One answer of gexbot's API, whole; its figures are gexbot's own."""

    package: str
    """classic, state, orderflow"""
    category: str
    body: str
    """The JSON as received."""
    spot: Number | None = None
    zero_gamma: Number | None = None
    sum_gex_oi: Number | None = None
    sum_gex_volume: Number | None = None


class ApiUsage(_Happened, frozen=True, kw_only=True, tag="api_usage"):
    """Requests to our own API in one minute, by key, route and status."""

    key_id: str
    """Id of the key, never its secret."""
    method: str
    route: str
    """The route's pattern, not the path."""
    status: Count
    requests: Count
    bytes_out: Count
    latency_max_ms: Number | None = None


Event = (
    Trade
    | Quote
    | OptionQuote
    | BookUpdate
    | Candle
    | ChainHeader
    | Gap
    | Heartbeat
    | GexSecond
    | GexStrikes
    | ChainImage
    | LevelChange
    | Basis
    | LedgerCount
    | GexbotAnswer
    | ApiUsage
)
KINDS: tuple[type[Event], ...] = (
    Trade,
    Quote,
    OptionQuote,
    BookUpdate,
    Candle,
    ChainHeader,
    Gap,
    Heartbeat,
    GexSecond,
    GexStrikes,
    ChainImage,
    LevelChange,
    Basis,
    LedgerCount,
    GexbotAnswer,
    ApiUsage,
)


def tag_of(event: Event | type[Event]) -> str:
    """Return the kind's name on the wire: trade, quote, option_quote."""
    return str(event.__struct_config__.tag)
