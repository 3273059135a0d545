"""What a streamer of the real Schwab needs to be set: else it would start on the simulator."""

from collections.abc import Iterator

from gex_pipeline.settings import Settings, origin_of, registry

CREDENTIALS = ("SCHWAB_CLIENT_ID", "SCHWAB_CLIENT_SECRET")
SIGN_IN = "SCHWAB_REFRESH_TOKEN"


def missing(settings: Settings, *, signed_in: bool, store: bool) -> Iterator[str]:
    """Yield a line for each variable that is missing or that leads elsewhere.

    `signed_in`: a token is stored. `store`: the hot store's address is needed too.
    """
    source = settings.gex_source
    if source not in ("auto", "schwab"):
        yield f"GEX_SOURCE is {source}, which is not Schwab. Set it to schwab, or unset it."
    if not settings.schwab_enabled:
        yield "SCHWAB_ENABLED is off. Set it to true, or unset it."
    for name in CREDENTIALS:
        if getattr(settings, name.lower()) is None:
            yield _unset(name)
    if not signed_in and settings.schwab_refresh_token is None:
        yield f"{_unset(SIGN_IN)} Or sign in: gex auth login"
    if store and settings.gex_redis_url is None and origin_of(settings).mode == "real":
        yield f"{_unset('GEX_REDIS_URL')} gex up sets it by itself."


def _unset(name: str) -> str:
    meaning = registry()[name].meaning.rstrip(".")
    return f"{name} is not set ({meaning}). Set it in the environment or in .env."
