"""Writing what is played: frames onto the namespace's tapes, and all that the sender derives."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np
import redis

from gex_pipeline.hot.batch import pack_batch
from gex_pipeline.hot.frame import Position, encode_packed
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.projection import Packed, Projection
from gex_pipeline.hot.session import SESSION_TTL_S
from gex_pipeline.hot.tape import FIELD, trim
from gex_pipeline.lake.recording import KIND_TAGS, Stretch
from gex_pipeline.market.codec import batch_of_rows, decode_events
from gex_pipeline.replay.plan import Plan
from gex_pipeline.replay.tape import Batch

TRIM_ABOVE: Final = 0.6
HOLD_ABOVE: Final = 0.8
"""Share of the server's memory above which nothing more is played: it may be the live one."""
_OPTION: Final = KIND_TAGS.index("option_quote")
_TICKS: Final = [KIND_TAGS.index(tag) for tag in ("trade", "quote", "book")]


class Writer:
    """Writes one generation of a namespace that this process alone owns."""

    def __init__(self, store: redis.Redis, keys: Keys, plan: Plan) -> None:
        self.events = 0
        self._store, self._keys, self._plan = store, keys, plan
        self._projections: dict[str, Projection] = {}

    def write(self, batches: Iterable[Batch], *, quietly: bool) -> bool:
        """Write batches in the order of their first events; False: the server has no room.

        `quietly` publishes no message: the namespace comes to a moment that it starts at. Nor does
        it where nobody listens.
        """
        ordered = sorted(batches, key=lambda b: (b.first_ns, b.stretch.tape, b.position))
        if not ordered:
            return True
        quietly = quietly or not self._heard()
        with self._store.pipeline(transaction=True) as pipe:
            for batch in ordered:
                self._add_frame(pipe, batch)
            for tape in dict.fromkeys(batch.stretch.tape for batch in ordered):
                own = [batch for batch in ordered if batch.stretch.tape == tape]
                self._project(pipe, tape, own, quietly=quietly)
                pipe.expire(self._keys.tape(tape), SESSION_TTL_S)
            try:
                replies = pipe.execute(raise_on_error=False)
            except redis.ResponseError as error:  # the whole transaction is refused
                _only_for_memory(error)
                return False
        refused = [each for each in replies if isinstance(each, redis.ResponseError)]
        for reason in refused:
            if "equal or smaller" not in str(reason):  # it is there, from before a lost connection
                _only_for_memory(reason)
                return False
        for batch in ordered:
            self._projection(batch.stretch.tape).published(batch.position.seq)
        self.events += sum(batch.end - batch.start for batch in ordered)
        return True

    def trim(self, tape: str, through: Position) -> None:
        """Forget a tape's events up to a position that its readers have passed."""
        trim(self._store, self._keys, tape, through)

    def tidy(self) -> None:
        """Trim the ticks to their session and to their share of memory."""
        for projection in self._projections.values():
            projection.tidy()

    def memory_share(self) -> float:
        """Return how much of its memory the server uses; 0 where it knows no limit."""
        info: Any = self._store.info("memory")
        return info["used_memory"] / info["maxmemory"] if info.get("maxmemory") else 0.0

    def _heard(self) -> bool:
        """Whether anybody listens to the namespace's messages: else they go nowhere."""
        channels = (self._keys.ticks_channel, self._keys.level2_channel)
        with self._store.pipeline(transaction=False) as pipe:
            pipe.pubsub_numsub(*channels)
            pipe.pubsub_numpat()
            try:
                listeners, patterns = pipe.execute()
            except redis.ResponseError:  # a server that cannot tell
                return True
        return bool(patterns) or any(count for _, count in listeners)

    def _add_frame(self, pipe: Any, batch: Batch) -> None:
        stretch, count = batch.stretch, batch.end - batch.start
        rows = batch_of_rows(stretch.encoded(batch.start, batch.end), count)
        data = encode_packed(
            stretch.tape, batch.position, count, stretch.session_date, pack_batch(rows, count)
        )
        pipe.xadd(self._keys.tape(stretch.tape), {FIELD: data}, id=str(batch.position))

    def _project(self, pipe: Any, tape: str, own: Sequence[Batch], *, quietly: bool) -> None:
        projection = self._projection(tape)
        if quietly:
            projection.published(own[-1].position.seq)
        for _, group in groupby(own, key=lambda batch: id(batch.stretch)):
            batches = list(group)
            stretch = batches[0].stretch
            projection.note_session(stretch.session_date, batches[0].first_ns)
            self._project_range(pipe, projection, stretch, (batches[0].start, batches[-1].end))

    def _project_range(
        self, pipe: Any, projection: Projection, stretch: Stretch, span: tuple[int, int]
    ) -> None:
        """Derive from consecutive events; option quotes stay as the lake encoded them."""
        if self._plan.option_ticks:
            count = span[1] - span[0]
            rows = batch_of_rows(stretch.encoded(*span), count)
            projection.add_events(pipe, decode_events(rows))
            return
        kinds = stretch.kind[slice(*span)]
        ticks = np.flatnonzero(np.isin(kinds, _TICKS)) + span[0]
        if ticks.size:
            rows = batch_of_rows(b"".join(stretch.chosen(ticks)), ticks.size)
            projection.add_events(pipe, decode_events(rows))
        options = np.flatnonzero(kinds == _OPTION) + span[0]
        subjects = stretch.subject[options]
        for subject in np.unique(subjects).tolist():
            places = options[subjects == subject]
            rows = batch_of_rows(b"".join(stretch.chosen(places)), places.size)
            newest_ns = int(stretch.recv_ns[places].max())
            packed = Packed(pack_batch(rows, places.size), newest_ns, int(stretch.seq[places[-1]]))
            projection.add_options(pipe, stretch.names[subject], packed)

    def _projection(self, tape: str) -> Projection:
        if tape not in self._projections:
            self._projections[tape] = Projection(
                self._store,
                self._keys,
                self._plan.source,
                option_ticks=self._plan.option_ticks,
                ticks_mb=self._plan.ticks_mb,
            )
        return self._projections[tape]


def _only_for_memory(error: redis.ResponseError) -> None:
    """Raise what is no lack of memory."""
    if "OOM" not in str(error) and "maxmemory" not in str(error):
        raise error
