"""What one connection has been told: a full image of a key first, then what has changed."""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from gex_pipeline.market.arrays import Bools, Floats, Ints
from gex_pipeline.simulator.desk import Desk
from gex_pipeline.simulator.fields import (
    COLUMN_OF,
    NUMBERED,
    WHOLE,
    as_streamed,
    option_numbers,
    option_terms,
)
from gex_pipeline.simulator.frames import Item, Told

_NAMES: Final = tuple(map(str, NUMBERED))
_IS_WHOLE: Final = tuple(number in WHOLE for number in NUMBERED)
_FIRST_SIZE: Final = 256


class Teller(Protocol):
    """A service as one connection hears it."""

    def forget(self, keys: Sequence[str]) -> None:
        """Make the next telling of these keys a full image."""

    def tell(self, keys: Sequence[str], fields: frozenset[int], ts_ns: int) -> Told:
        """Return what is new of these keys; those that nobody quotes are silent."""


class SpotTeller:
    """Level one of all but options on indexes and funds."""

    def __init__(self, desk: Desk, service: str) -> None:
        self._desk = desk
        self._service = service
        self._told: dict[str, Item] = {}

    def forget(self, keys: Sequence[str]) -> None:
        """Make the next telling of these keys a full image."""
        for key in keys:
            self._told.pop(key, None)

    def tell(self, keys: Sequence[str], fields: frozenset[int], ts_ns: int) -> Told:
        """Return what is new; keys that nobody quotes are silent."""
        return [(key, new) for key in keys if (new := self._new(key, fields, ts_ns))]

    def _new(self, key: str, fields: frozenset[int], ts_ns: int) -> Item:
        market = self._desk.spot_fields(self._service, key, ts_ns)
        if market is None:
            return {}
        told = self._told.setdefault(key, {})
        new = {
            number: value
            for number, value in market.items()
            if int(number) in fields and told.get(number) != value
        }
        told |= new
        self._desk.published(ts_ns).spots.setdefault(key, {}).update(new)
        return new


class OptionTeller:
    """Options: a matrix of what each key was told, compared in one step."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._places: dict[str, int] = {}
        self._told: Floats = np.full((_FIRST_SIZE, len(NUMBERED)), np.nan)
        self._terms: dict[str, frozenset[int]] = {}
        """Fields that never change, as far as a key has had them."""

    def forget(self, keys: Sequence[str]) -> None:
        """Make the next telling of these keys a full image."""
        places = [self._place(key) for key in keys]
        self._told[places] = np.nan
        for key in keys:
            self._terms.pop(key, None)

    def tell(self, keys: Sequence[str], fields: frozenset[int], ts_ns: int) -> Told:
        """Return what is new; keys that are not listed on the date are silent."""
        published = self._desk.published(ts_ns)
        board = published.board
        keys = [key for key in keys if key in board.row_of]
        if not keys:
            return []
        rows = np.array([board.row_of[key] for key in keys], dtype=np.int64)
        market = self._desk.market.options(board, rows, ts_ns)
        sheet = as_streamed(published.with_trades(rows, market))
        numbers = option_numbers(board, rows, sheet)
        columns = [column for number, column in COLUMN_OF.items() if number in fields]
        published.tell(rows, sheet, columns)
        items = _items(numbers, self._changed(keys, fields, numbers))
        self._add_terms(items, keys, rows, fields, ts_ns)
        return [(key, item) for key, item in zip(keys, items, strict=True) if item]

    def _changed(self, keys: Sequence[str], fields: frozenset[int], numbers: Floats) -> Bools:
        places = [self._place(key) for key in keys]
        told = self._told[places]
        wanted = np.array([number in fields for number in NUMBERED])
        changed: Bools = (numbers != told) & wanted
        self._told[places] = np.where(changed, numbers, told)
        return changed

    def _add_terms(
        self,
        items: list[Item],
        keys: Sequence[str],
        rows: Ints,
        fields: frozenset[int],
        ts_ns: int,
    ) -> None:
        """Add the fields that never change to the items of keys that have not had them."""
        board, today = self._desk.published(ts_ns).board, self._desk.today(ts_ns)
        for item, key, row in zip(items, keys, rows.tolist(), strict=True):
            had = self._terms.get(key, frozenset())
            if had >= fields:
                continue
            self._terms[key] = had | fields
            terms = option_terms(board, row, today).items()
            item |= {number: value for number, value in terms if int(number) in fields - had}

    def _place(self, key: str) -> int:
        place = self._places.setdefault(key, len(self._places))
        if place >= len(self._told):
            self._told = np.vstack([self._told, np.full_like(self._told, np.nan)])
        return place


def _items(numbers: Floats, changed: Bools) -> list[Item]:
    """Return an item per row with the fields that changed."""
    items: list[Item] = [{} for _ in range(len(numbers))]
    rows, columns = np.nonzero(changed)
    values = numbers[rows, columns].tolist()
    for row, column, value in zip(rows.tolist(), columns.tolist(), values, strict=True):
        items[row][_NAMES[column]] = int(value) if _IS_WHOLE[column] else value
    return items
