"""What one connection has subscribed, and what of it a moment tells."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from gex_pipeline.simulator.books import BookTeller
from gex_pipeline.simulator.candles import CandleTeller
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.frames import Frame, Request, Told, data_frame
from gex_pipeline.simulator.services import (
    CHART_EQUITY,
    CHART_FUTURES,
    EQUITIES,
    FIELD_COUNT,
    FOREX,
    FUTURES,
    FUTURES_OPTIONS,
    NASDAQ_BOOK,
    NYSE_BOOK,
    OPTIONS,
    OPTIONS_BOOK,
)
from gex_pipeline.simulator.telling import OptionTeller, SpotTeller, Teller

_SPOTS: Final = (EQUITIES, FUTURES, FOREX, FUTURES_OPTIONS)
_BOOKS: Final = (NYSE_BOOK, NASDAQ_BOOK, OPTIONS_BOOK)
_CANDLES: Final = (CHART_EQUITY, CHART_FUTURES)
_SPOT_SHARE: Final = 0.2
"""Of all updates, at most so many are of anything but options."""
_BOOK_SHARE: Final = 0.1
_IMAGE_ITEMS: Final = 200


class Subscriptions:
    """Keys and fields of each service."""

    def __init__(self, desk: Desk, limit: int) -> None:
        """Take how many keys there may be, of all services together."""
        self._desk = desk
        self._limit = limit
        self._tellers: dict[str, Teller] = {
            **{service: SpotTeller(desk, service) for service in _SPOTS},
            OPTIONS: OptionTeller(desk),
            **{service: BookTeller(desk, service) for service in _BOOKS},
            **{service: CandleTeller(desk, service) for service in _CANDLES},
        }
        self._keys: dict[str, dict[str, None]] = {service: {} for service in self._tellers}
        self._fields = {name: frozenset(range(FIELD_COUNT[name])) for name in self._tellers}
        self._turns = {_SPOTS: 0, _BOOKS: 0}

    def __len__(self) -> int:
        return sum(map(len, self._keys.values()))

    def keys(self) -> dict[str, list[str]]:
        """Return the keys of each service that has some."""
        return {service: list(keys) for service, keys in self._keys.items() if keys}

    def change(self, request: Request) -> bool:
        """Carry out a request; False, and nothing is changed, where that is beyond the limit."""
        service, command = request.service, request.command
        keys, known = dict.fromkeys(listed(request)), self._keys[service]
        match command:
            case "SUBS":
                after = keys
            case "ADD":
                after = known | keys
            case "UNSUBS":
                after = {key: None for key in known if key not in keys}
            case _:
                after = known
        if len(self) - len(known) + len(after) > self._limit:
            return False
        self._keys[service] = after
        if "fields" in request.parameters and command != "UNSUBS":
            self._fields[service] = frozenset(map(int, request.parameters["fields"].split(",")))
        return True

    def images(self, request: Request) -> Iterator[Frame]:
        """Yield the first images that a SUBS or ADD is followed by."""
        ts_ns, service = self._desk.now_ns(), request.service
        keys = listed(request)
        self._tellers[service].forget(keys)
        told = self._tell(service, keys, ts_ns)
        for first in range(0, len(told), _IMAGE_ITEMS):
            part = told[first : first + _IMAGE_ITEMS]
            yield data_frame({service: part}, request.command, ts_ns)

    def updates(self, count: int, ts_ns: int) -> Frame | None:
        """Return a frame with about so many changed keys; None where nothing is new."""
        spots = self._next(_SPOTS, round(count * _SPOT_SHARE))
        books = self._next(_BOOKS, round(count * _BOOK_SHARE))
        taken = sum(map(len, (*spots.values(), *books.values())))
        options = {OPTIONS: self._drawn(max(count - taken, 0), ts_ns)}
        candles = {service: list(self._keys[service]) for service in _CANDLES}
        told = {
            service: items
            for service, keys in (spots | options | books | candles).items()
            if (items := self._tell(service, keys, ts_ns))
        }
        return data_frame(told, "SUBS", ts_ns) if told else None

    def _tell(self, service: str, keys: Sequence[str], ts_ns: int) -> Told:
        return self._tellers[service].tell(keys, self._fields[service], ts_ns) if keys else []

    def _next(self, services: tuple[str, ...], count: int) -> dict[str, list[str]]:
        """Return about so many keys of some services, at least one, in turns."""
        every = [(service, key) for service in services for key in self._keys[service]]
        share, turn = min(len(every), max(1, count)), self._turns[services]
        self._turns[services] += share
        keys: dict[str, list[str]] = {service: [] for service in services}
        for step in range(share):
            service, key = every[(turn + step) % len(every)]
            keys[service].append(key)
        return keys

    def _drawn(self, count: int, ts_ns: int) -> list[str]:
        """Return so many options, at random."""
        options = list(self._keys[OPTIONS])
        some = min(len(options), count)
        if not some:
            return []
        dice = np.random.default_rng([self._desk.market.seed, ts_ns])
        places = dice.choice(len(options), some, replace=False).tolist()
        return [options[place] for place in places]


def listed(request: Request) -> list[str]:
    """Return the keys of a request."""
    return [key.rstrip() for key in request.parameters.get("keys", "").split(",") if key.strip()]
