"""Settings of the Discord feed: `GEX_FEED_*` and `DISCORD_*`; and the whole, `Settings`."""

from typing import Annotated

from msgspec import Meta

from gex_pipeline.settings.kinds import Names, Positive, SomeNames, about
from gex_pipeline.settings.secret import Secret
from gex_pipeline.settings.vendors import VendorSettings


class Settings(VendorSettings, frozen=True, kw_only=True):
    """Every setting of the project; a field is the lower-case name of its variable."""

    gex_feed_enabled: Annotated[bool, about("Post the GEX feed to Discord.")] = False
    gex_feed_symbols: Annotated[SomeNames, about("Tickers that the feed shows.")] = ("NQ_NDX",)
    gex_feed_channel_map: Annotated[
        Names,
        about("Channels of single tickers, like ES_SPX=1234; others go to all.", form="pair"),
    ] = ()
    gex_feed_update_seconds: Annotated[
        Annotated[float, Meta(ge=0.5)], about("Time between two edits of a message.", "s")
    ] = 1.0
    gex_feed_refresh_minutes: Annotated[
        Annotated[int, Meta(ge=1, le=60)],
        about("Wall-clock marks at which the message is posted anew.", "minutes"),
    ] = 5
    gex_feed_window_seconds: Annotated[
        Annotated[int, Meta(ge=15)], about("Window over which changes are shown.", "s")
    ] = 60
    gex_feed_open: Annotated[str, about("Start of the feed, New York time.", form="clock")] = (
        "09:35"
    )
    gex_feed_close: Annotated[str, about("End of the feed, New York time.", form="clock")] = "16:00"
    gex_feed_force_window: Annotated[bool, about("Post at any hour, for replays.")] = False
    gex_feed_backoff_max_s: Annotated[Positive, about("Longest wait after a refusal.", "s")] = 60.0
    gex_feed_metrics_enabled: Annotated[
        bool, about("Write the feed's telemetry to the hot store.")
    ] = True
    gex_feed_metrics_key: Annotated[str, about("Key of that telemetry.", form="channel")] = (
        "metrics:gex_feed"
    )
    discord_bot_token: Annotated[Secret | None, about("Token of the bot that posts.")] = None
    discord_gex_feed_channel_ids: Annotated[
        Names, about("Channels that the feed is posted to.", form="id")
    ] = ()
    discord_alert_channel_ids: Annotated[
        Names, about("Channels that alerts go to.", form="id")
    ] = ()
    discord_base_url: Annotated[
        str, about("Discord's API; another address for tests.", form="web")
    ] = "https://discord.com/api/v10"
