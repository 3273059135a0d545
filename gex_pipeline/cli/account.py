"""The vendor's account as settings describe it: where the sign-in lies, and who asks for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gex_pipeline.cli.environment import ENV_FILE
from gex_pipeline.cli.signinstatus import masked
from gex_pipeline.feeds.schwab.client import open_client
from gex_pipeline.feeds.schwab.signin import Application, SignIn
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.settings import Origin, Settings
from gex_pipeline.streamer.account import Access

SIMULATED: Final = "simulator"
OLD_FILE: Final = "schwab_tokens.json"
"""In the data folder: where an earlier version kept the token."""


def access(settings: Settings, origin: Origin) -> Access:
    """Return how a process signs in; its store is upgraded, or filled if it is empty."""
    store = token_store(settings, origin)
    store.prepare()
    if origin.source != SIMULATED and settings.schwab_refresh_token is not None:
        store.seed(settings.schwab_refresh_token.reveal())
    return Access(
        store,
        client_opener(settings, origin, store),
        SignIn(application(settings, origin), store),
        settings.schwab_refresh_interval_days,
        masked(settings.schwab_account_id),
    )


def token_store(settings: Settings, origin: Origin) -> TokenStore:
    """Return the store of the sign-in as it is; nothing is read or written yet."""
    if origin.mode == "simulated":
        return TokenStore(tokens_folder(settings, origin))
    return TokenStore(
        tokens_folder(settings, origin),
        old=settings.gex_data_dir.absolute() / OLD_FILE,
        env_back=env_back(settings),
    )


def env_back(settings: Settings) -> Path | None:
    """Return the file beside `.env` that gets new refresh tokens, if they are wanted there."""
    keep = settings.schwab_persist_refresh_to_env
    return Path.cwd() / f"{ENV_FILE}.back" if keep else None


def client_opener(
    settings: Settings, origin: Origin, store: TokenStore, *, renew_after_s: float | None = None
) -> Callable[[], Any]:
    """Return what opens the signed-in client; by default it renews as the settings say."""
    app = application(settings, origin)

    def open_it() -> Any:
        return open_client(
            store,
            app.key,
            app.secret,
            base_url=app.base_url,
            timeout_s=app.timeout_s,
            renew_after_s=renew_after_s or settings.schwab_access_interval_minutes * 60,
        )

    return open_it


def application(settings: Settings, origin: Origin) -> Application:
    """Return the app that asks for consent; the simulator takes any credentials."""
    key, secret = settings.schwab_client_id, settings.schwab_client_secret
    real = origin.source != SIMULATED and key is not None and secret is not None
    return Application(
        key=key.reveal() if real and key else SIMULATED,
        secret=secret.reveal() if real and secret else SIMULATED,
        redirect_uri=settings.schwab_redirect_uri,
        pkce=settings.schwab_use_pkce,
        base_url=base_url(settings, origin),
        timeout_s=settings.schwab_request_timeout_s,
    )


def tokens_folder(settings: Settings, origin: Origin) -> Path:
    """Return the folder of the sign-in token: a simulated run never opens the real one."""
    if origin.mode == "simulated":
        return origin.root / "tokens"
    return settings.gex_tokens_dir.absolute()


def base_url(settings: Settings, origin: Origin) -> str:
    """Return where the source answers."""
    if origin.source == SIMULATED:
        return f"http://127.0.0.1:{settings.gex_simulator_port}"
    return settings.schwab_base_url
