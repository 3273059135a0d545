"""Questions to a service on its control stream, asked and awaited without a thread."""

import asyncio
import time
from typing import Any, Final, cast

import msgspec
import redis.asyncio

from gex_pipeline.gateway.cache import STORE_ERRORS, store_away
from gex_pipeline.hot import control
from gex_pipeline.hot.keys import Keys

ANSWER_S: Final = 10.0
_POLL_S: Final = 0.02


async def ask(
    store: redis.asyncio.Redis,
    keys: Keys,
    service: str,
    request: control.Request,
    within_s: float = ANSWER_S,
) -> control.Reply | None:
    """Return a service's reply to a request; None: there was none in time.

    Raises:
        UnavailableError: the hot store does not answer.
    """
    name, fields = keys.control(service), msgspec.structs.asdict(request)
    deadline_s = time.monotonic() + within_s
    try:
        after: Any = await store.xadd(name, cast("Any", fields), maxlen=control.KEPT)
        while time.monotonic() < deadline_s:
            entries = await store.xrange(name, min=f"({after.decode()}")
            if answer := control.find_reply(entries, request):
                return answer
            await asyncio.sleep(_POLL_S)
    except STORE_ERRORS as error:
        raise store_away(error) from error
    return None
