"""All that asks by REST, under one rate limit and one breaker: chains, quotes, and who looks."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from gex_pipeline.feeds.breaker import Breaker
from gex_pipeline.feeds.ratelimit import RateLimit
from gex_pipeline.feeds.schwab.rest import Rest
from gex_pipeline.streamer.account import Account
from gex_pipeline.streamer.bell import Bell
from gex_pipeline.streamer.chainpoll import ChainPoll
from gex_pipeline.streamer.desk import Answer
from gex_pipeline.streamer.following import Following
from gex_pipeline.streamer.lookups import Lookups
from gex_pipeline.streamer.quotepoll import QuotePoll
from gex_pipeline.streamer.refusals import tell_refusals


class Asking:
    """The loops that ask, and what they say of themselves."""

    def __init__(
        self,
        account: Account,
        following: Following,
        bell: Bell,
        per_minute: int,
        connected: Callable[[], bool],
    ) -> None:
        """Prepare; `connected` says whether the stream brings data."""
        self._account = account
        self._bell = bell
        self._following = following
        self.rest = Rest(account.client, RateLimit(per_minute), Breaker())
        self.chains = ChainPoll(account, following, self.rest, bell, connected)
        self.quotes = QuotePoll(self.rest, following.plan, following.intake, connected)
        self.lookups = Lookups(
            self.rest, following.intake.tapes.time.stamp_ns, lambda: account.refused
        )

    def loops(self, chain_interval_s: float) -> list[Coroutine[Any, Any, None]]:
        """Return what runs side by side until cancelled."""
        return [
            self.chains.run(chain_interval_s),
            self._following.run(),
            self.quotes.run(),
            self.lookups.run(),
            tell_refusals(self.rest.breaker, self._bell),
        ]

    def answers(self) -> dict[str, Answer]:
        """Return what can be asked of it, by verb."""
        return {"quote": self.lookups.answer}

    def status(self) -> dict[str, object]:
        """Return its part of the status hash."""
        chains = self.chains
        caches = {
            "quotes": self.lookups.cache,
            "expirations": chains.listed,
            "windows": self.rest.learned,
        }
        return {
            "chain_rounds": chains.rounds,
            "chain_failures": chains.failures,
            "requests": self.rest.requests,
            "polling": "on" if self.quotes.active else "off",
            "quote_polls": self.quotes.polls,
            "contracts_exchanged": self._following.exchanged,
            "breaker": self.rest.breaker.state,
            "breaker_opened": self.rest.breaker.opened,
            "http": msgspec.json.encode(self._account.journal.paths).decode(),
            "caches": msgspec.json.encode(caches).decode(),
        }
