"""Changes of level: when the confidence of figures came to another word, and for which reasons.

A change is between two recorded seconds of one symbol and scope that follow each other, however
much time lies between them, and a function of their rows alone. The first second ever has none.
"""

from collections.abc import Iterable, Sequence

from gex_pipeline.market.events import GexSecond, LevelChange


def level_change(before: GexSecond, after: GexSecond) -> LevelChange | None:
    """Return the change between a second's row and the next one's; None: the level stayed.

    Figures of different conventions are never compared.
    """
    if before.confidence_level == after.confidence_level or before.convention != after.convention:
        return None
    return LevelChange(
        symbol=after.symbol,
        ts_event_ns=after.ts_event_ns,
        ts_recv_ns=after.ts_recv_ns,
        scope=after.scope,
        convention=after.convention,
        level=after.confidence_level,
        level_before=before.confidence_level,
        confidence=after.confidence,
        confidence_before=before.confidence,
        reasons=after.reasons or "",
        reasons_before=before.reasons or "",
    )


class Levels:
    """What the newest rows of each symbol and scope say, so that the next ones' changes show.

    Of each it knows two: the newest second may have been cut short, and is then made again.
    """

    def __init__(self, rows: Iterable[GexSecond] = ()) -> None:
        self._known: dict[tuple[str, str], tuple[GexSecond, ...]] = {}
        for row in rows:
            self._learn(row)

    def changes(self, rows: Sequence[GexSecond]) -> list[LevelChange]:
        """Return the changes that a second's rows bring, in their order."""
        found = (self._learn(row) for row in rows)
        return [change for change in found if change is not None]

    def _learn(self, row: GexSecond) -> LevelChange | None:
        key = (row.symbol, row.scope)
        earlier = [one for one in self._known.get(key, ()) if one.ts_recv_ns < row.ts_recv_ns]
        self._known[key] = (*earlier[-1:], row)
        return level_change(earlier[-1], row) if earlier else None
