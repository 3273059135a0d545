"""The breaker's state, told to a person once when it opens and once when it is closed again."""

import asyncio

from gex_pipeline.feeds.breaker import Breaker
from gex_pipeline.streamer.bell import Bell

REFUSED = "rest_refused"
_LOOK_S = 0.25


async def tell_refusals(breaker: Breaker, bell: Bell) -> None:
    """Ring while no requests are sent, until cancelled."""
    while True:
        if breaker.state == "closed":
            bell.still(REFUSED)
        else:
            bell.ring(
                REFUSED,
                "warning",
                f"{breaker.reason}. Chains and quotes are not asked for until a single request is"
                " answered, which is tried by itself; a stream goes on. If it lasts, lower"
                " SCHWAB_REQUESTS_PER_MINUTE and see that no other program uses the same app key.",
            )
        await asyncio.sleep(_LOOK_S)
