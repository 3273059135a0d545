"""Moments as people and programs write them: ISO times, and nanoseconds."""

import datetime
from typing import Final

from gex_pipeline.errors import InstantError
from gex_pipeline.market.sessions import FIRST_DAY, LAST_DAY, NEW_YORK, SECOND_NS

_LEAST_NS: Final = 10**15
"""Anything less is no time of a market in nanoseconds; seconds and milliseconds are too small."""


def instant_ns(text: str) -> int:
    """Return UTC nanoseconds of a text: themselves, or an ISO time, New York's without an offset.

    Raises:
        InstantError: neither, or outside the trading calendar.
    """
    text = text.strip()
    if text.isdigit():
        return _checked(int(text), text) if int(text) >= _LEAST_NS else _refuse(text)
    try:  # a plus sign in an address comes as a space
        moment = datetime.datetime.fromisoformat(text[:19] + text[19:].replace(" ", "+"))
    except ValueError:
        return _refuse(text)
    if len(text) <= len("2026-11-20"):
        return _refuse(text)
    local = moment if moment.tzinfo else moment.replace(tzinfo=NEW_YORK)
    elapsed = local - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    ns = elapsed // datetime.timedelta(microseconds=1) * (SECOND_NS // 1_000_000)
    return _checked(ns, text)


def _checked(ns: int, text: str) -> int:
    days = ns // (86_400 * SECOND_NS)
    if days > (LAST_DAY - datetime.date(1970, 1, 1)).days:
        return _refuse(text)
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days)
    return ns if FIRST_DAY < day < LAST_DAY else _refuse(text)


def _refuse(text: str) -> int:
    raise InstantError(text, FIRST_DAY.isoformat(), LAST_DAY.isoformat())
