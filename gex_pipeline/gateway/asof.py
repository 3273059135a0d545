"""As of: the figures of a second as live had them, out of the lake's events alone.

The newest chain image at or before the second (chain_1m), and what its tape says behind it; without
an image the tape from its first event. The table gex is not looked at.
"""

import datetime
from collections.abc import Iterator
from typing import Final

import msgspec

from gex_pipeline.errors import NotRecordedError
from gex_pipeline.exposure.asof import Stretch, image_at
from gex_pipeline.exposure.gaps import Lost
from gex_pipeline.exposure.lane import LOST, SILENCE_RECORDED_S
from gex_pipeline.exposure.live import Image, asof_ns, trading_date
from gex_pipeline.exposure.moment import LiveSnapshot, figures
from gex_pipeline.exposure.scopes import check_scope
from gex_pipeline.exposure.underlying import Underlying
from gex_pipeline.hot.chains import decode_image
from gex_pipeline.lake.images import OWN, newest_image
from gex_pipeline.lake.moments import Moments, Prefix
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.told import origin_of, told_of
from gex_pipeline.market import sessions
from gex_pipeline.market.symbology import calendar_of

_NS: Final = sessions.SECOND_NS
_ATTEMPTS: Final = 3
"""Times that the list of files may change under a question: end of day replaces parts."""
_OURS: Final = (OWN, "api")
"""Sources of tapes that feed no lane."""


class Known(msgspec.Struct, frozen=True):
    """What is known of an underlying before its tape is read on."""

    symbol: str
    tape: str
    image: Image | None

    @property
    def seq(self) -> int:
        """The number after which the tape is read."""
        return self.image.positions[self.tape][1] if self.image else 0


def figures_at(paths: LakePaths, symbol: str, scope: str, ts_ns: int) -> LiveSnapshot:
    """Return the figures of one scope as of a moment.

    Raises:
        ConventionError: a scope of an unknown name.
        NotRecordedError: the lake does not hold the moment.
    """
    check_scope(scope)
    return figures(image_of(paths, symbol, ts_ns), (scope,), final=True)[scope]


def image_of(paths: LakePaths, symbol: str, ts_ns: int) -> Image:
    """Return an underlying as of a moment: at the end of the last second that live recorded.

    Outside the hours in which its options quote that is the close; in a long silence the second at
    which live stopped.

    Raises:
        NotRecordedError: the lake does not hold the moment.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _image_of(paths, symbol, ts_ns)
        except FileNotFoundError as error:
            if attempt == _ATTEMPTS - 1:
                gone = f"the file {error.filename or error} that it names is gone"
                raise NotRecordedError(symbol, _told(ts_ns), gone) from error
    raise AssertionError("the last attempt returns or raises")


def _image_of(paths: LakePaths, symbol: str, ts_ns: int) -> Image:
    second_ns = asof_ns(ts_ns // _NS * _NS, symbol)
    while True:
        known = _known(paths, symbol, second_ns)
        moments = Moments(paths, read_chain(paths, known.tape))
        prefix = moments.prefix(second_ns)
        heard_ns = _heard_ns(moments, known, prefix.position[1]) if prefix else 0
        if prefix is None or not heard_ns:
            raise _not_recorded(moments, symbol, ts_ns)
        recorded_ns = (heard_ns + SILENCE_RECORDED_S * _NS) // _NS * _NS
        if second_ns <= recorded_ns:
            break
        second_ns = asof_ns(recorded_ns, symbol)
    if retired := moments.retired(known.seq + 1, prefix.next_seq):
        raise NotRecordedError(symbol, _told(ts_ns), f"the events of {retired[0]} were let go")
    underlying = _underlying(moments, known, symbol)
    stretch = _stretch(moments, known, underlying.day or trading_date(second_ns), prefix)
    image = image_at(underlying, stretch, second_ns)
    if not image.contracts:
        raise _not_recorded(moments, symbol, ts_ns)
    return image


def _known(paths: LakePaths, symbol: str, second_ns: int) -> Known:
    """Return the newest image at or before a second, else the tape that tells of the underlying."""
    calendar = calendar_of(symbol)
    stored = newest_image(paths, read_chain(paths, f"{OWN}.{calendar}"), symbol, second_ns)
    if stored is not None:
        image = decode_image(stored.image)
        return Known(symbol, next(iter(image.positions)), image)
    for tape in paths.tapes():
        source, _, of = tape.partition(".")
        if of == calendar and source not in _OURS:
            moments = Moments(paths, read_chain(paths, tape))
            if origin_of(moments, symbol) is not None:
                return Known(symbol, tape, None)
    raise NotRecordedError(symbol, _told(second_ns), "it holds no option quotes of it")


def _underlying(moments: Moments, known: Known, symbol: str) -> Underlying:
    """Return the underlying as it is known, on the trading date of its tape's next event."""
    if known.image is not None:
        underlying = Underlying(symbol, known.image.source, known.image.mode)
        underlying.restore(known.image)
        return underlying
    source, mode = origin_of(moments, symbol) or ("", "")
    underlying = Underlying(symbol, source, "real" if mode == "live" else mode)
    first = moments.next_place(1)
    if first is not None:
        underlying.roll(trading_date(first[1] - 1))
    return underlying


def _stretch(moments: Moments, known: Known, day: datetime.date, prefix: Prefix) -> Stretch:
    """Return what the tape tells of the underlying; `day` is the trading date it is on so far."""
    after, last = known.seq, prefix.position[1]
    holes = tuple(_holes(moments, known, prefix))
    open_gaps = bool(holes or (known.image and known.image.gaps))
    told = told_of(moments, known.symbol, after, last, every=open_gaps)
    return Stretch(
        positions={known.tape: prefix.position},
        heard_ns=_heard_ns(moments, known, last),
        newest_ns=told.newest_ns,
        quotes=told.quotes,
        quote_seq=told.quote_seq,
        events=told.events,
        days=tuple(_days(moments, day, prefix)),
        holes=holes,
    )


def _heard_ns(moments: Moments, known: Known, through_seq: int) -> int:
    heard_ns = moments.heard_ns(known.seq, through_seq)
    return heard_ns or (known.image.heard_ns if known.image else 0)


def _days(
    moments: Moments, day: datetime.date, prefix: Prefix
) -> Iterator[tuple[int, datetime.date]]:
    """Yield the dates whose open the tape passes, and the event that it passes it with."""
    until = trading_date(prefix.next_ns)
    while day < until:
        day = sessions.next_trading_day(day)
        passed = moments.prefix(sessions.regular_open_ns(day))
        if passed is not None and passed.next_seq <= prefix.position[1]:
            yield passed.next_seq, day


def _holes(moments: Moments, known: Known, prefix: Prefix) -> Iterator[tuple[int, Lost]]:
    """Yield what the lake lost of the tape behind what is known, and the event that shows it."""
    for first, last in moments.holes(known.seq, prefix.next_seq - 1):
        following = moments.next_place(last + 1)
        if following is None or first == 1:  # before its first event a tape lacks nothing
            continue
        from_ns = _heard_ns(moments, known, first - 1) or moments.seen_ns(first - 1)
        yield following[0], Lost(from_ns, following[1], LOST)


def _not_recorded(moments: Moments, symbol: str, ts_ns: int) -> NotRecordedError:
    span = moments.span()
    tape = moments.chain.tape
    held = f"of {tape} it holds nothing that says so"
    if span is not None:
        held = f"of {tape} it holds {_told(span[0])} to {_told(span[1])}"
    return NotRecordedError(symbol, _told(ts_ns), held)


def _told(ts_ns: int) -> str:
    return sessions.et_datetime(ts_ns).isoformat(timespec="seconds")
