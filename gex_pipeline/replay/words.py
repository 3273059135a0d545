"""What people say to a replay: moments, speeds, seconds."""

import datetime
from typing import Final

from gex_pipeline.errors import SessionError
from gex_pipeline.market.sessions import NEW_YORK, SECOND_NS

MOST_STEPS: Final = 3_600
_HOW: Final = "Write 10:30, 10:30:05 or 2026-11-20T10:30, New York time; +30 and -30 are seconds."


def moment_ns(text: str, day: datetime.date) -> int:
    """Return a time of a session date, New York time, as UTC nanoseconds.

    Raises:
        SessionError: it is none.
    """
    try:
        if "T" in text or " " in text:
            local = datetime.datetime.fromisoformat(text)
        else:
            local = datetime.datetime.combine(day, datetime.time.fromisoformat(text))
    except ValueError as error:
        raise SessionError(f"{text!r} is no time of day.", _HOW) from error
    if local.tzinfo is None:
        local = local.replace(tzinfo=NEW_YORK)
    return round(local.timestamp()) * SECOND_NS


def sought_ns(text: str, day: datetime.date, span: tuple[int, int], now_ns: int) -> int:
    """Return the moment that somebody seeks, inside the replay's first and last.

    A bare time that lies outside of it is taken of the evening before: some sessions begin there.

    Raises:
        SessionError: it is no moment of this replay.
    """
    if text[:1] in ("+", "-"):
        try:
            found_ns = now_ns + round(float(text) * SECOND_NS)
        except ValueError as error:
            raise SessionError(f"{text!r} is no number of seconds.", _HOW) from error
        return min(max(found_ns, span[0]), span[1])
    found_ns = moment_ns(text, day)
    if found_ns > span[1] and "T" not in text:
        found_ns = moment_ns(text, day - datetime.timedelta(days=1))
    if not span[0] <= found_ns <= span[1]:
        first, last = (_told(each) for each in span)
        raise SessionError(
            f"{text} lies outside of this replay.", f"It goes from {first} to {last}."
        )
    return found_ns


def _told(ts_ns: int) -> str:
    moment = datetime.datetime.fromtimestamp(ts_ns / SECOND_NS, NEW_YORK)
    return f"{moment:%Y-%m-%d %H:%M:%S} New York"


def speed_of(text: str) -> float | None:
    """Return a speed in market seconds a second; None is as fast as it goes.

    Raises:
        SessionError: it is none.
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise SessionError(f"{text!r} is no speed.", "Give 1, 10, another number above 0, or max.")
    return speed


def seconds_of(text: str) -> int:
    """Return a number of market seconds to step.

    Raises:
        SessionError: it is none.
    """
    if not text.isdigit() or not 1 <= int(text) <= MOST_STEPS:
        raise SessionError(f"{text!r} is no number of seconds.", f"Give 1 to {MOST_STEPS}.")
    return int(text)
