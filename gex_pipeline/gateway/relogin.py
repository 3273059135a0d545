"""A new sign-in at the vendor, for a reader who may: begun and finished by the streamer.

The streamer alone holds the app's secret. The address that a person pastes has a code in it, so it
lies under a one-time key for as long as the streamer may need to take it, and nowhere else.
"""

import contextlib
import logging
import secrets
import time
from collections import deque
from typing import Final

import msgspec

from gex_pipeline.errors import TooOftenError
from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.gateway.streamer import ask_streamer
from gex_pipeline.hot.control import new_request

LONGEST_URL: Final = 4096
MOST_BEGINS: Final = 5
BEGINS_S: Final = 60.0
PASTED_S: Final = 60
"""Life of the one-time key."""
_BEGIN_S: Final = 15.0
_FINISH_S: Final = 45.0
"""The vendor's token endpoint may take its time; longer than the streamer waits for it."""

log = logging.getLogger(__name__)


class Begun(msgspec.Struct, frozen=True):
    """What a person needs for a sign-in that has begun."""

    id: str
    """Which one it is: `sign_in_id` of the account's state."""
    url: str
    """The consent page, to be opened in a browser."""
    expires_in_s: int
    redirect_uri: str
    listening: bool
    """Whether the callback is taken by the streamer; else its address must be pasted."""
    problem: str | None = None
    """Why it is not."""


class SignIns:
    """The sign-ins that readers ask for; at most five begin in a minute."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._begun_s: deque[float] = deque(maxlen=MOST_BEGINS)

    async def begin(self, by: str) -> Begun:
        """Begin a sign-in; one that was pending is void. `by` is the id of the key that asks.

        Raises:
            TooOftenError: too many began within a minute.
            DeclinedError, UnavailableError: as `ask_streamer`.
        """
        self._count()
        said = await ask_streamer(self._gateway, new_request("sign_in", by=by), _BEGIN_S)
        log.info("key %s began a sign-in", by)
        return msgspec.json.decode(said, type=Begun)

    async def finish(self, by: str, url: str) -> None:
        """Finish the pending sign-in with the address that the browser was sent to.

        Raises:
            DeclinedError: the address signs nobody in, and why.
            UnavailableError: as `ask_streamer`, or the vendor does not answer.
        """
        store, once = self._gateway.store, secrets.token_urlsafe(16)
        key = self._gateway.place.keys.signin(once)
        try:
            await store.set(key, url.encode(), ex=PASTED_S)
        except STORE_ERRORS as error:
            raise store_away(error) from error
        try:
            request = new_request("sign_in_finish", once, by=by)
            await ask_streamer(self._gateway, request, _FINISH_S)
        finally:
            with contextlib.suppress(*STORE_ERRORS):
                await store.delete(key)
        log.info("key %s finished a sign-in", by)

    async def cancel(self, by: str) -> None:
        """Void the pending sign-in, if there is one.

        Raises:
            DeclinedError, UnavailableError: as `ask_streamer`.
        """
        await ask_streamer(self._gateway, new_request("sign_in_cancel", by=by), _BEGIN_S)
        log.info("key %s cancelled the sign-in", by)

    def _count(self) -> None:
        now_s, begun_s = time.monotonic(), self._begun_s
        if len(begun_s) == MOST_BEGINS and now_s - begun_s[0] < BEGINS_S:
            wait_s = BEGINS_S - (now_s - begun_s[0])
            raise TooOftenError("Sign-ins", int(wait_s) + 1)
        begun_s.append(now_s)
