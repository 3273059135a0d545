"""What Schwab's token endpoint says: a token, a refusal that only a person can cure, or not now."""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Final

from gex_pipeline.errors import FeedError, SignInError
from gex_pipeline.feeds.schwab.library import OAuthError, http
from gex_pipeline.feeds.wall import wall_s

FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 300.0
_LONGEST_ASKED_S: Final = 600.0
_OK, _REFUSED = 200, (400, 401)
_DEAD = ("unsupported_token_type", "invalid_client", "invalid_grant", "refresh_token")

log = logging.getLogger(__name__)


class NotNowError(FeedError):
    """The token endpoint gives no token for now; `retry_after_s`: what it asks for, if it does."""

    def __init__(self, fact: str, retry_after_s: float | None = None) -> None:
        super().__init__(fact)
        self.retry_after_s = retry_after_s


class Pause:
    """Keeps calls to the token endpoint apart after it has failed: 5 s, doubled up to 5 minutes.

    What it asks for in Retry-After is kept to, up to ten minutes.
    """

    def __init__(self, mono_s: Callable[[], float] = time.monotonic) -> None:
        self.failures = 0
        self._mono_s = mono_s
        self._until_s = mono_s()

    @property
    def left_s(self) -> float:
        """Time until the next call may be made."""
        return max(0.0, self._until_s - self._mono_s())

    def failed(self, error: FeedError) -> None:
        """Count a failure; the next call waits."""
        asked_s = error.retry_after_s if isinstance(error, NotNowError) else None
        own_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self.failures, 16))
        self.failures += 1
        wait_s = own_s if asked_s is None else min(max(asked_s, 1.0), _LONGEST_ASKED_S)
        self._until_s = self._mono_s() + wait_s

    def worked(self) -> None:
        """Begin anew."""
        self.failures, self._until_s = 0, self._mono_s()


def screened(response: Any) -> Any:
    """Let an answer through that authlib reads rightly: a token, or a refusal by its name.

    Anything else that is JSON, a 429 of the gateway say, authlib would take for the new token.

    Raises:
        NotNowError: it is neither.
    """
    status = response.status_code
    body = _object_of(response)
    if status == _OK and isinstance(body.get("access_token"), str):
        return response
    if status in _REFUSED and "error" in body:
        return response
    if status == _OK:
        raise NotNowError("Schwab's token endpoint answered without a token")
    raise NotNowError(f"Schwab's token endpoint answered {status}", _retry_after_s(response))


@asynccontextmanager
async def told() -> AsyncIterator[None]:
    """Turn the libraries' errors into ours; no text of an answer gets into a message."""
    try:
        yield
    except OAuthError as error:
        raise refusal(error) from None
    except http.HTTPError as error:
        raise FeedError(f"Schwab did not answer ({type(error).__name__})") from None
    except ValueError as error:
        raise FeedError(f"Schwab answered no JSON ({type(error).__name__})") from None


def refusal(error: Any) -> FeedError:
    """Return our error for what the endpoint calls one: dead, wrong credentials, or neither."""
    said = f"{error.error} {error.description}"
    if error.error == "invalid_client" and "refresh" not in said:
        return SignInError(
            "Schwab does not know this app key and secret",
            "Compare SCHWAB_CLIENT_ID and SCHWAB_CLIENT_SECRET with the developer portal,"
            " then sign in again: gex auth login",
        )
    if any(word in said for word in _DEAD):
        return SignInError("Schwab does not take the stored refresh token any more")
    return FeedError("Schwab refused to renew the access token")


def _object_of(response: Any) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after_s(response: Any) -> float | None:
    """Return what Retry-After asks for, in seconds or as a date; None: nothing that can be read."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - wall_s())
    except ValueError:
        return None
