"""What the streamer is asked for in a reader's name: it alone talks to the vendor."""

from typing import Final

from gex_pipeline.errors import DeclinedError, UnavailableError
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.gateway.requests import ask
from gex_pipeline.gateway.services import beat_age_s
from gex_pipeline.hot.control import Request

STREAMER: Final = "streamer"
AWAY_S: Final = 10.0
"""One that has said nothing for longer is not asked; it tells its status each second."""
_NOT_NOW: Final = 1
"""Exit code of an error that passes by itself."""


async def streamer_lives(gateway: Gateway) -> bool:
    """Return whether a streamer gives signs of life: nobody else would answer.

    Raises:
        UnavailableError: the hot store does not answer.
    """
    fields = await gateway.hash(gateway.place.keys.status(STREAMER))
    age_s = beat_age_s(fields, gateway.wall_ns())
    return age_s is not None and age_s <= AWAY_S


async def ask_streamer(gateway: Gateway, request: Request, within_s: float) -> str:
    """Return what the streamer answers to a request.

    Raises:
        DeclinedError: it does not do that, and says why.
        UnavailableError: none runs, it does not answer, or it cannot for now; or no hot store.
    """
    if not await streamer_lives(gateway):
        raise _away("no_streamer", "No streamer runs.")
    answer = await ask(gateway.store, gateway.place.keys, STREAMER, request, within_s)
    if answer is None:
        raise _away("no_answer", "The streamer does not answer.")
    if answer.ok:
        return answer.detail
    if answer.code > _NOT_NOW:
        raise DeclinedError(answer.detail)
    raise UnavailableError("not_now", answer.detail, "")


def _away(reason: str, fact: str) -> UnavailableError:
    cure = "Start it: gex up, or gex stream. A sign-in works without it: gex auth login"
    return UnavailableError(reason, fact, cure)
