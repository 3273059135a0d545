"""Settings of the sources: `SCHWAB_*`, `TASTYTRADE_*`, `GEXBOT_*`, `SIERRA_*`, `CBOE_*`."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from gex_pipeline.settings.kinds import Count, Names, Port, Positive, SomeNames, about
from gex_pipeline.settings.pipeline import PipelineSettings
from gex_pipeline.settings.secret import Secret


class SchwabSettings(PipelineSettings, frozen=True, kw_only=True):
    """The Schwab account's market data."""

    schwab_enabled: Annotated[bool, about("Use Schwab when its credentials are set.")] = True
    schwab_client_id: Annotated[Secret | None, about("App key of the developer portal.")] = None
    schwab_client_secret: Annotated[Secret | None, about("App secret of the developer portal.")] = (
        None
    )
    schwab_refresh_token: Annotated[
        Secret | None, about("Fills an empty token store once; its age is then unknown.")
    ] = None
    schwab_account_id: Annotated[Secret | None, about("Accepted for old set-ups, never sent.")] = (
        None
    )
    schwab_redirect_uri: Annotated[
        str, about("Callback address, exactly as the developer portal has it.", form="web")
    ] = "https://127.0.0.1:8182"
    schwab_use_pkce: Annotated[bool, about("Send a PKCE S256 challenge with the sign-in.")] = False
    schwab_access_interval_minutes: Annotated[
        Annotated[int, Meta(ge=1, le=29)],
        about("How often the access token is renewed.", "minutes"),
    ] = 25
    schwab_refresh_interval_days: Annotated[
        Annotated[float, Meta(gt=0, le=7)],
        about("Age of the consent at which a new one is due.", "days"),
    ] = 6.0
    schwab_persist_refresh_to_env: Annotated[
        bool, about("Append a new refresh token to .env.back, never to .env.")
    ] = False
    schwab_symbols: Annotated[
        SomeNames, about("Shares, indexes, futures, options, currencies.")
    ] = (
        "MNQ",
        "MES",
        "SPY",
        "QQQ",
        "VIX",
    )
    schwab_level2_symbols: Annotated[
        Names,
        about("Shares, funds and options (OCC) whose book is streamed; empty: SCHWAB_SYMBOLS."),
    ] = ()
    schwab_tick_channel: Annotated[
        str, about("Channel that ticks are published on.", form="channel")
    ] = "market_data:ticks"
    schwab_level2_channel: Annotated[
        str, about("Channel that books are published on.", form="channel")
    ] = "market_data:level2"
    schwab_symbol_limit: Annotated[
        Annotated[int, Meta(ge=1, le=5000)], about("Symbols that one stream may hold.", "symbols")
    ] = 500
    schwab_requests_per_minute: Annotated[
        Annotated[int, Meta(ge=1, le=500)],
        about("REST requests that we allow ourselves.", "per minute"),
    ] = 110
    schwab_chain_interval_s: Annotated[
        Positive, about("How often a whole chain is asked for by REST.", "s")
    ] = 60.0
    schwab_request_timeout_s: Annotated[Positive, about("Time that a request may take.", "s")] = (
        15.0
    )
    schwab_silence_s: Annotated[
        Positive, about("Silence in session after which the stream counts as dead.", "s")
    ] = 30.0
    schwab_reconnect_max_s: Annotated[
        Positive, about("Longest wait between two connections.", "s")
    ] = 60.0
    schwab_base_url: Annotated[
        str, about("Schwab's API; another address only for tests.", form="web")
    ] = "https://api.schwabapi.com"


class TastytradeSettings(SchwabSettings, frozen=True, kw_only=True):
    """TastyTrade's DXLink stream."""

    tastytrade_enabled: Annotated[bool, about("Use TastyTrade beside the main source.")] = False
    tastytrade_client_id: Annotated[Secret | None, about("Id of the OAuth application.")] = None
    tastytrade_client_secret: Annotated[
        Secret | None, about("Secret of the OAuth application.")
    ] = None
    tastytrade_refresh_token: Annotated[
        Secret | None, about("Grant of the account; does not expire.")
    ] = None
    tastytrade_symbol_list: Annotated[
        SomeNames, about("Shares, indexes, futures, options, currencies.")
    ] = (
        "MNQ",
        "MES",
        "SPY",
        "QQQ",
        "VIX",
    )
    tastytrade_depth_levels: Annotated[
        Annotated[int, Meta(ge=1, le=100)], about("Levels of the book that are kept.", "levels")
    ] = 10
    tastytrade_use_sandbox: Annotated[bool, about("Use the sandbox instead of the live API.")] = (
        False
    )
    tastytrade_silence_s: Annotated[
        Positive, about("Silence after which the stream counts as dead.", "s")
    ] = 60.0
    tastytrade_base_url: Annotated[
        str | None, about("API; unset: the vendor's, live or sandbox.", form="web")
    ] = None


class VendorSettings(TastytradeSettings, frozen=True, kw_only=True):
    """gexbot, Sierra Chart and Cboe."""

    gexbot_enabled: Annotated[bool, about("Poll gexbot, for comparison with our own figures.")] = (
        False
    )
    gexbot_api_key: Annotated[Secret | None, about("Key of the gexbot account.")] = None
    gexbot_symbols: Annotated[SomeNames, about("Tickers to poll.")] = ("ES_SPX", "NQ_NDX", "SPX")
    gexbot_categories: Annotated[SomeNames, about("Categories to poll: full, zero, one.")] = (
        "zero",
    )
    gexbot_poll_interval_s: Annotated[
        Annotated[float, Meta(ge=1)], about("Time between two polls of a ticker in session.", "s")
    ] = 1.0
    gexbot_off_hours_interval_s: Annotated[
        Annotated[float, Meta(ge=1)], about("Time between two polls out of session.", "s")
    ] = 300.0
    gexbot_base_url: Annotated[str, about("gexbot's API.", form="web")] = "https://api.gex.bot/v2"

    sierra_enabled: Annotated[bool, about("Follow Sierra Chart's files.")] = False
    sierra_data_dir: Annotated[
        Path | None, about("Sierra Chart's Data folder, with the .scid files.")
    ] = None
    sierra_depth_dir: Annotated[
        Path | None, about("Folder of the .depth files; unset: MarketDepthData in the data folder.")
    ] = None
    sierra_symbols: Annotated[Names, about("Files to follow, like MNQM26_FUT_CME.")] = ()
    sierra_price_multipliers: Annotated[
        Names, about("Symbols whose prices are stored scaled, like 6JM26=0.000001.", form="pair")
    ] = ()
    sierra_poll_ms: Annotated[Count, about("How often the files are looked at.", "ms")] = 200
    sierra_output_path: Annotated[
        Path | None, about("File that levels are written to for a Sierra study; unset: none.")
    ] = None
    sierra_dtc_enabled: Annotated[bool, about("Use the DTC server for symbols that it serves.")] = (
        False
    )
    sierra_dtc_host: Annotated[str, about("Address of the DTC server.")] = "127.0.0.1"
    sierra_dtc_port: Annotated[Port, about("Port of the DTC server.", "port")] = 11099

    cboe_poll_interval_s: Annotated[
        Annotated[float, Meta(ge=10)],
        about("Time between two polls of Cboe's delayed chains.", "s"),
    ] = 60.0
    cboe_base_url: Annotated[str, about("Cboe's delayed quotes.", form="web")] = (
        "https://cdn.cboe.com/api/global/delayed_quotes"
    )
