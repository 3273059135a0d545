"""The lake's tables: names, types, units and meanings of their columns, as plain data.

Each edge derives its own schema (Polars, Arrow, DuckDB) and the docs their page from this one list.
Columns that come from an event carry its field's name (market/events.py). A missing number is null.
"""

from typing import Literal

import msgspec

LAKE_SCHEMA_VERSION = 4
"""Of the columns below: each part, manifest and Parquet file says which one it was written by.

1 had no tables of heartbeats, candles and chain headers; 2 keeps every event; 3 says more of what
confidence stands on; 4 says of quotes and trades whether they were streamed. A new column is null
in older files, a renamed one is read under its old name (lake/columns.py).
"""

ColumnType = Literal[
    "bool",
    "int32",
    "int64",
    "float32",
    "float64",
    "utf8",
    "binary",
    "date",
    "list<float32>",
    "list<float64>",
]


class Column(msgspec.Struct, frozen=True):
    """One column; every column may hold null unless it identifies or sorts the row."""

    name: str
    type: ColumnType
    unit: str
    """ns (UTC, since 1970), $, $/1% and so on; "" for none."""
    meaning: str


class Table(msgspec.Struct, frozen=True):
    """One table, sorted within each day file."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    sort_by: tuple[str, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(column.name for column in self.columns)


# --- columns that tables share --------------------------------------------------------------------

_ORIGIN = (
    Column("source", "utf8", "", "who said it: schwab, tastytrade, cboe, sierra, simulator, gex"),
    Column("mode", "utf8", "", "live or simulated"),
    Column("session_date", "date", "", "trading date of the instrument's own calendar"),
)
_IDENTITY = (
    *_ORIGIN,
    Column("tape", "utf8", "", "source and calendar: schwab.index"),
    Column("epoch", "int64", "", "the tape's fencing number"),
    Column("seq", "int64", "", "our dense number on the tape, from 1"),
    Column("symbol", "utf8", "", "canonical symbol"),
    Column("ts_event_ns", "int64", "ns", "the source's time"),
    Column("ts_recv_ns", "int64", "ns", "our market time of receipt"),
)
_SOURCE_SEQ = Column("source_seq", "int64", "", "the source's own sequence number")
_QUOTE = (
    Column("bid", "float64", "$", "best bid; index and futures points"),
    Column("ask", "float64", "$", "best ask; index and futures points"),
    Column("bid_size", "float64", "shares or contracts", "at the best bid"),
    Column("ask_size", "float64", "shares or contracts", "at the best ask"),
)
_SCOPE = (
    Column("scope", "utf8", "", "all, 0dte, next, weekly, monthly"),
    Column("convention", "utf8", "", "id of formulas and parameters: gexc-1:356bfcae"),
)
_POSITIONS = Column(
    "positions", "utf8", "", "JSON: tape to [epoch, seq], the last event that is in"
)
_BY_SYMBOL = ("symbol", "ts_recv_ns", "seq")


def _weighted(name: str, unit: str, meaning: str) -> tuple[Column, Column]:
    """Return the pair that stands side by side: by open interest, and by the day's volume."""
    return (
        Column(f"{name}_oi", "float64", unit, f"{meaning}, weighted by open interest"),
        Column(f"{name}_volume", "float64", unit, f"{meaning}, weighted by the day's volume"),
    )


# --- what the sources said ------------------------------------------------------------------------

TRADES = Table(
    "trades",
    "Trades, and values of indexes.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        Column("price", "float64", "$", "index and futures points"),
        Column("size", "float64", "shares or contracts", "null for an index"),
        Column("volume", "int64", "shares or contracts", "of the session so far"),
        Column("aggressor", "utf8", "", "buy or sell"),
        Column("exchange", "utf8", "", "the source's code of the venue"),
        Column("conditions", "utf8", "", "the source's codes of the sale"),
        Column("streamed", "bool", "", "false: asked for by REST while the stream was down"),
    ),
    _BY_SYMBOL,
)
QUOTES = Table(
    "quotes",
    "Best bids and asks of shares, funds and futures.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        *_QUOTE,
        Column("contract", "utf8", "", "of a future asked for by its root: what it stands for"),
        Column("streamed", "bool", "", "false: asked for by REST while the stream was down"),
    ),
    _BY_SYMBOL,
)
OPTION_QUOTES = Table(
    "option_quotes",
    "Options: quote, the vendor's greeks and IV, open interest and volume.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        Column("underlying", "utf8", "", "SPX for SPXW; a future, or empty where nobody told it"),
        *_QUOTE,
        Column("last", "float64", "$", "last trade"),
        Column("last_size", "float64", "contracts", "of the last trade"),
        Column("mark", "float64", "$", "the vendor's own idea of the price"),
        Column("iv", "float64", "1/year", "the vendor's implied volatility: 0.2 is 20%"),
        Column("delta", "float64", "", "the vendor's"),
        Column("gamma", "float64", "1/$", "the vendor's, as printed"),
        Column("theta", "float64", "$/day", "the vendor's"),
        Column("vega", "float64", "$/point", "the vendor's"),
        Column("rho", "float64", "$/point", "the vendor's"),
        Column("open_interest", "int64", "contracts", "as of the open"),
        Column("volume", "int64", "contracts", "of the session so far"),
        Column("underlying_price", "float64", "$", "that came with the quote"),
        Column("settlement", "utf8", "", "A or P where the vendor says so"),
        Column("streamed", "bool", "", "pushed by a stream; false: a row of a chain asked for"),
    ),
    ("underlying", "ts_recv_ns", "seq"),
)
DEPTH = Table(
    "depth",
    "Level 2: prices best first, each with its size.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        Column("bid_prices", "list<float64>", "$", "best first"),
        Column("bid_sizes", "list<float64>", "shares or contracts", "one per bid price"),
        Column("ask_prices", "list<float64>", "$", "best first"),
        Column("ask_sizes", "list<float64>", "shares or contracts", "one per ask price"),
        Column("whole", "bool", "", "the whole book; false: these levels only, size 0 removes one"),
        Column("venue", "utf8", "", "level_one: made of a quote; null: all venues together"),
    ),
    _BY_SYMBOL,
)
GAPS = Table(
    "gaps",
    "What was not seen, or may not have been.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        Column("ts_from_ns", "int64", "ns", "start of the time in doubt"),
        Column("ts_to_ns", "int64", "ns", "its end"),
        Column("cause", "utf8", "", "disconnect, restart, silence, source_sequence, lost, …"),
        Column("first_seq", "int64", "", "first missing number of the tape"),
        Column("last_seq", "int64", "", "last missing number of the tape"),
        Column("filled_by", "utf8", "", "chain, import; null: nothing"),
    ),
    _BY_SYMBOL,
)
CANDLES = Table(
    "candles",
    "Prices of an interval that starts at ts_event_ns.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        Column("interval_s", "int64", "s", "length of the interval"),
        Column("open", "float64", "$", "first price"),
        Column("high", "float64", "$", "highest price"),
        Column("low", "float64", "$", "lowest price"),
        Column("close", "float64", "$", "last price"),
        Column("volume", "int64", "shares or contracts", "of the interval"),
    ),
    _BY_SYMBOL,
)
CHAIN_HEADERS = Table(
    "chain_headers",
    "Answers of chains asked for; their rows are the option_quotes received with them.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        Column("first_expiry", "date", "", "first of the window that was asked for"),
        Column("last_expiry", "date", "", "its last"),
        Column("contracts", "int64", "", "rows in the answer"),
        Column("complete", "bool", "", "false: cut short, or a part of it failed"),
        Column("underlying_price", "float64", "$", "that came with the answer"),
        Column("interest_rate", "float64", "1/year", "the vendor's, a fraction"),
        Column("dividend_yield", "float64", "1/year", "the vendor's, a fraction"),
        Column("delayed", "bool", "", "the vendor says that it is delayed"),
    ),
    _BY_SYMBOL,
)
HEARTBEATS = Table(
    "heartbeats",
    "One a market second and tape: the tape is complete up to ts_recv_ns.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        Column("received", "int64", "", "updates that the socket counted since its start"),
        Column("connected", "bool", "", "whether data flowed"),
    ),
    ("ts_recv_ns", "seq"),
)
GEXBOT = Table(
    "gexbot",
    "Answers of gexbot's API, whole.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        Column("package", "utf8", "", "classic, state, orderflow"),
        Column("category", "utf8", "", "gex_zero, gex_one, gex_full and so on"),
        Column("spot", "float64", "$", "gexbot's"),
        Column("zero_gamma", "float64", "$", "gexbot's"),
        Column("sum_gex_oi", "float64", "as sent", "gexbot's; unit not published"),
        Column("sum_gex_volume", "float64", "as sent", "gexbot's; unit not published"),
        Column("body", "utf8", "", "the JSON as received"),
    ),
    _BY_SYMBOL,
)

# --- what we made of it ---------------------------------------------------------------------------

GEX = Table(
    "gex",
    "Dealer gamma exposure and levels: a row a second and scope.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        *_SCOPE,
        _POSITIONS,
        Column("spot", "float64", "$", "price of the underlying"),
        *_weighted("net_gex", "$/1%", "calls + puts of dealers' gamma exposure"),
        *_weighted("call_gex", "$/1%", "calls, 0 or more"),
        *_weighted("put_gex", "$/1%", "puts, 0 or less"),
        *_weighted("gross_gex", "$/1%", "calls less puts"),
        *_weighted("dex", "$", "dealers' delta exposure"),
        *_weighted("vex", "$/point", "change of dealers' delta per volatility point"),
        *_weighted("cex", "$/day", "change of dealers' delta per calendar day"),
        *_weighted("zero_gamma", "$", "spot nearest to spot where net GEX is zero"),
        *_weighted("call_wall", "$", "strike at or above spot with most call GEX"),
        *_weighted("put_wall", "$", "strike at or below spot with most put GEX"),
        *_weighted("abs_gamma_strike", "$", "strike with most call GEX less put GEX"),
        *_weighted("max_net_strike", "$", "strike with most net GEX"),
        *_weighted("min_net_strike", "$", "strike with least net GEX"),
        Column("max_pain", "float64", "$", "strike at which options expire cheapest"),
        Column("expected_move", "float64", "$", "straddle of the earliest expiry"),
        Column("open_interest", "float64", "contracts", "of the scope"),
        Column("volume", "float64", "contracts", "of the scope, of the day"),
        Column("contracts", "int64", "", "unexpired contracts of the scope"),
        Column("own_share", "float64", "", "open interest near spot with our own IV"),
        Column("vendor_share", "float64", "", "open interest near spot with the vendor's IV"),
        Column("confidence", "float64", "", "0 to 1"),
        Column("confidence_level", "utf8", "", "high, low or unusable"),
        Column("null_reasons", "utf8", "", "JSON: why a figure is null, by its name"),
        Column("gap_s", "float64", "s", "feed lost and not made up for by a whole chain; 0: none"),
        Column("streamed_share", "float64", "", "gross GEX whose newest word a stream pushed"),
        Column("parity_share", "float64", "", "open interest near spot with a parity forward"),
        Column("quote_age_s", "float64", "s", "median age of near-money quotes"),
        Column("windows", "int64", "", "windows that the chain is asked for in"),
        Column("windows_complete", "int64", "", "of these, those whose last answer was whole"),
        Column("reasons", "utf8", "", "factors of confidence below 0.8, by comma; feed:cause"),
    ),
    _BY_SYMBOL,
)
GEX_1M = Table(
    "gex_1m",
    "The last row of gex in each minute: what a year's chart is drawn from.",
    GEX.columns,
    _BY_SYMBOL,
)
GEX_RECOMPUTED = Table(
    "gex_recomputed",
    "Rows of gex computed anew from the lake's events, on request (Dagster's asset gex), under the"
    " convention that each names: never mix two. No tape carries them: epoch is 0.",
    GEX.columns,
    _BY_SYMBOL,
)
GEX_STRIKES = Table(
    "gex_strikes",
    "Dealer gamma exposure by strike: a row every 15 s, scopes all and 0dte.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        *_SCOPE,
        _POSITIONS,
        Column("spot", "float64", "$", "price of the underlying"),
        Column("strikes", "list<float64>", "$", "ascending"),
        Column("call_gex_oi", "list<float32>", "$/1%", "one per strike, by open interest"),
        Column("put_gex_oi", "list<float32>", "$/1%", "one per strike, by open interest"),
        Column("call_gex_volume", "list<float32>", "$/1%", "one per strike, by the day's volume"),
        Column("put_gex_volume", "list<float32>", "$/1%", "one per strike, by the day's volume"),
    ),
    _BY_SYMBOL,
)
CHAIN_1M = Table(
    "chain_1m",
    "One image of the chain a minute, so that any moment is a minute's fold away.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        _POSITIONS,
        Column("spot", "float64", "$", "price of the underlying"),
        Column("contracts", "int64", "", "rows in the image"),
        Column("image", "binary", "", "the chain, Arrow IPC, as in the hot store"),
    ),
    _BY_SYMBOL,
)
LEVEL_CHANGES = Table(
    "level_changes",
    "Seconds at which the confidence of a symbol and scope came to another level, and why.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        *_SCOPE,
        Column("level", "utf8", "", "high, low or unusable; null: no figures"),
        Column("level_before", "utf8", "", "of the recorded second before"),
        Column("confidence", "float64", "", "0 to 1"),
        Column("confidence_before", "float64", "", "of the recorded second before"),
        Column("reasons", "utf8", "", "factors of confidence below 0.8, by comma; feed:cause"),
        Column("reasons_before", "utf8", "", "of the recorded second before"),
    ),
    _BY_SYMBOL,
)
BASIS = Table(
    "basis",
    "Future less index: a row a second and future root; index level + basis = future level.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        Column("index", "utf8", "", "symbol of the index"),
        _POSITIONS,
        Column("method", "utf8", "", "live, parity or last: how basis came about"),
        Column("basis", "float64", "points", "future less index"),
        Column("reason", "utf8", "", "why there is none"),
        Column("contract", "utf8", "", "the contract that is quoted under the root"),
        Column("quoted", "utf8", "", "whose quotes were taken: the root, or its micro or big one"),
        Column("samples", "int64", "", "seconds of the last 30 with a fresh price of both"),
        Column("ts_live_ns", "int64", "ns", "newest second with a live basis"),
        Column("live", "float64", "points", "that basis; null: it was of another contract"),
        Column("parity", "float64", "points", "parity forward at its expiry less the index"),
        Column("mid", "float64", "points", "of the future, where its quote is fresh"),
        Column("index_price", "float64", "points", "of the index"),
    ),
    _BY_SYMBOL,
)
DAILY = Table(
    "daily",
    "One row a symbol and day.",
    (
        *_ORIGIN,
        Column("symbol", "utf8", "", "canonical symbol"),
        Column("open", "float64", "$", "first price of regular hours"),
        Column("high", "float64", "$", "of regular hours"),
        Column("low", "float64", "$", "of regular hours"),
        Column("close", "float64", "$", "last price of regular hours"),
        Column("volume", "int64", "shares or contracts", "of the session"),
        Column("trades", "int64", "", "rows of the day in trades"),
        Column("quotes", "int64", "", "rows of the day in quotes"),
        Column("option_quotes", "int64", "", "rows of the day in option_quotes"),
        Column("gap_s", "float64", "s", "of regular hours inside gaps"),
        Column("convention", "utf8", "", "of the figures that follow, scope all, at the close"),
        *_weighted("net_gex", "$/1%", "calls + puts of dealers' gamma exposure"),
        *_weighted("zero_gamma", "$", "spot nearest to spot where net GEX is zero"),
        *_weighted("call_wall", "$", "strike at or above spot with most call GEX"),
        *_weighted("put_wall", "$", "strike at or below spot with most put GEX"),
        Column("confidence", "float64", "", "0 to 1"),
    ),
    ("symbol", "source"),
)

GREEKS_COMPARED = Table(
    "greeks_compared",
    "Our greeks against the vendor's, contract by contract of the chain images: a row a moment,"
    " days to expiry and distance from spot. Moments are every 30 minutes of regular hours and the"
    " day's last image. Gamma and volatility only: images hold no other greek of the vendor's."
    " A row is there where there are contracts; what cannot be said is null.",
    (
        *_ORIGIN,
        Column("tape", "utf8", "", "of the images: gex.index"),
        Column("symbol", "utf8", "", "canonical symbol"),
        Column("ts_recv_ns", "int64", "ns", "the second at whose end the image was"),
        Column("last", "bool", "", "of the day's last image"),
        Column("spot", "float64", "$", "price of the underlying"),
        Column("convention", "utf8", "", "of our figures: gexc-1:356bfcae"),
        Column(
            "dte",
            "utf8",
            "",
            "calendar days to settlement: 0dte, 1-7, 8-45, 46+, all (of these), or expired:"
            " settled by then and still listed, in no other row",
        ),
        Column("moneyness", "utf8", "", "|log(K/spot)|: 0-1%, 1-3%, 3-10%, 10%+, or all"),
        Column("contracts", "int64", "", "listed in the bucket"),
        Column("compared", "int64", "", "of them with a gamma by both"),
        Column("gamma_none", "int64", "", "without a vendor's gamma: null, -999 and the like"),
        Column("gamma_zero", "int64", "", "whose vendor's gamma prints 0"),
        Column("ours_none", "int64", "", "without ours: settled, or no usable volatility"),
        Column("iv_none", "int64", "", "without a vendor's volatility: null, 0, -999"),
        Column("iv_stub", "int64", "", "whose vendor's volatility is above 0 and at most 0.02"),
        Column("iv_compared", "int64", "", "of which iv_difference is told"),
        Column("open_interest", "float64", "contracts", "of the bucket"),
        Column("net_gex", "float64", "$/1%", "ours by open interest, calls + puts"),
        Column("call_gex", "float64", "$/1%", "ours, calls: 0 or more"),
        Column("put_gex", "float64", "$/1%", "ours, puts: 0 or less"),
        Column("gross_gex", "float64", "$/1%", "ours, calls less puts"),
        Column(
            "vendor_net_gex",
            "float64",
            "$/1%",
            "the same with the vendor's gamma as printed; null where it gives the chain none",
        ),
        Column("vendor_call_gex", "float64", "$/1%", "the vendor's, calls"),
        Column("vendor_put_gex", "float64", "$/1%", "the vendor's, puts"),
        Column("vendor_gross_gex", "float64", "$/1%", "the vendor's, calls less puts"),
        Column("difference", "float64", "$/1%", "net_gex less vendor_net_gex"),
        Column("difference_to_gross", "float64", "", "difference / vendor_gross_gex"),
        Column(
            "gamma_error_median",
            "float64",
            "",
            "of |vendor / ours - 1| over contracts with open interest and a gamma by both, ours"
            " 1e-12 at least; printed as 0 it is 1",
        ),
        Column("gamma_error_p90", "float64", "", "its 90th percentile"),
        Column("gamma_error_max", "float64", "", "the largest"),
        Column("gamma_error_mean", "float64", "", "its mean, weighted by open interest"),
        Column("zero_oi_share", "float64", "", "share of open interest whose gamma prints 0"),
        Column("zero_gross_gex", "float64", "$/1%", "our gross_gex of the contracts printed as 0"),
        Column(
            "iv_difference_median",
            "float64",
            "points",
            "our own volatility of the line less the vendor's of the contract, 1 is 1%: over"
            " contracts with open interest whose line has its own and whose vendor's is no stub",
        ),
        Column("iv_difference_p90", "float64", "points", "90th percentile without the sign"),
    ),
    ("symbol", "ts_recv_ns", "dte", "moneyness"),
)

# --- how we worked --------------------------------------------------------------------------------

LEDGER = Table(
    "ledger",
    "Where each update went: received = written + conflated + rejected, per table and minute.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        Column("ts_minute_ns", "int64", "ns", "start of the minute of receipt"),
        Column("table", "utf8", "", "table of the lake that the updates are meant for"),
        Column("outcome", "utf8", "", "received, written, conflated or rejected"),
        Column("reason", "utf8", "", "why rejected or conflated; else empty"),
        Column("events", "int64", "", "how many; parts of a minute add up"),
    ),
    ("ts_minute_ns", "table", "outcome", "reason", "seq"),
)
QUALITY = Table(
    "quality",
    "Verdicts of the rules on one day's data: a row a rule, tape and symbol.",
    (
        *_ORIGIN,
        Column("tape", "utf8", "", "source and calendar: schwab.index"),
        Column("symbol", "utf8", "", "canonical symbol; empty: the whole tape"),
        Column("rule", "utf8", "", "name of the rule"),
        Column("verdict", "utf8", "", "pass, warn, fail or absent (nothing to judge by)"),
        Column("checked", "int64", "", "what the rule looked at: events, minutes, pairs"),
        Column("found", "int64", "", "how many of them break the rule"),
        Column("ts_first_ns", "int64", "ns", "receipt of the first that does"),
        Column("ts_last_ns", "int64", "ns", "receipt of the last"),
        Column("detail", "utf8", "", "the worst one, in words"),
    ),
    ("rule", "tape", "symbol"),
)
API_USAGE = Table(
    "api_usage",
    "Requests to our own API: a row a minute, key, route and status.",
    (
        *_IDENTITY,
        _SOURCE_SEQ,
        Column("key_id", "utf8", "", "id of the key, never its secret"),
        Column("method", "utf8", "", "GET, POST"),
        Column("route", "utf8", "", "the route's pattern, not the path"),
        Column("status", "int64", "", "HTTP status"),
        Column("requests", "int64", "", "how many"),
        Column("bytes_out", "int64", "bytes", "of the bodies sent"),
        Column("latency_max_ms", "float64", "ms", "slowest of them"),
    ),
    ("ts_recv_ns", "seq"),
)

TABLES = {
    table.name: table
    for table in (
        TRADES,
        QUOTES,
        OPTION_QUOTES,
        DEPTH,
        CANDLES,
        CHAIN_HEADERS,
        HEARTBEATS,
        GEX,
        GEX_1M,
        GEX_RECOMPUTED,
        GEX_STRIKES,
        CHAIN_1M,
        LEVEL_CHANGES,
        BASIS,
        GAPS,
        LEDGER,
        QUALITY,
        DAILY,
        GREEKS_COMPARED,
        GEXBOT,
        API_USAGE,
    )
}

EVENT_TABLES = {
    "trade": TRADES,
    "quote": QUOTES,
    "option_quote": OPTION_QUOTES,
    "book": DEPTH,
    "candle": CANDLES,
    "chain": CHAIN_HEADERS,
    "gap": GAPS,
    "heartbeat": HEARTBEATS,
    "gex": GEX,
    "gex_strikes": GEX_STRIKES,
    "chain_image": CHAIN_1M,
    "level_change": LEVEL_CHANGES,
    "basis": BASIS,
    "ledger": LEDGER,
    "gexbot": GEXBOT,
    "api_usage": API_USAGE,
}
"""Where the events of a tape go, by tag: every kind has its table, so rows + gaps close a part."""

DERIVED_TABLES = {
    table.name: table for table in (GEX_1M, GEX_RECOMPUTED, DAILY, QUALITY, GREEKS_COMPARED)
}
"""Made from other tables, when a day ends or on request; no tape carries them."""
