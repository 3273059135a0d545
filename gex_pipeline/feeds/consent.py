"""How long a sign-in still lives: the access token minutes, the person's consent seven days."""

import datetime
from typing import Final, Literal

import msgspec

from gex_pipeline.feeds.oldtokens import EXPIRED_AT, GUESSED, Wrapped

CONSENT_LIFE_S: Final = 7 * 86_400
"""From the person's consent to the death of the refresh token; no renewal prolongs it."""
WARN_HOURS: Final = (48, 24, 6)
_HOUR_S: Final = 3600
_CRITICAL_HOURS: Final = 6

Level = Literal["warning", "critical"]


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in at one moment; times in seconds since 1970, null where nobody knows."""

    access_ends_ts: int | None
    """None: there is no access token yet that is known to live."""
    access_left_s: int | None
    consent_given_ts: int | None
    consent_age_s: int | None
    consent_ends_ts: int | None
    consent_left_s: int | None
    """Negative: it is over."""
    consent_due_ts: int | None
    """When a new sign-in is due."""
    note: str = ""
    """Why the age is unknown, or that it is a guess; empty: it is known."""


class Told(msgspec.Struct, frozen=True):
    """What a person should be told of a consent."""

    level: Level
    text: str


def consent_of(wrapped: Wrapped, now_s: float, due_after_days: float) -> Consent:
    """Return how a stored sign-in stands."""
    now, born = int(now_s), int(wrapped["creation_timestamp"])
    access = wrapped["token"]["expires_at"]
    has_access = access > EXPIRED_AT
    known = born > 0
    return Consent(
        access_ends_ts=access if has_access else None,
        access_left_s=access - now if has_access else None,
        consent_given_ts=born if known else None,
        consent_age_s=now - born if known else None,
        consent_ends_ts=born + CONSENT_LIFE_S if known else None,
        consent_left_s=born + CONSENT_LIFE_S - now if known else None,
        consent_due_ts=born + round(due_after_days * 86_400) if known else None,
        note=_note(known=known, guessed=bool(wrapped.get(GUESSED))),
    )


def warning_of(consent: Consent, now_s: float) -> Told | None:
    """Return what to tell now: 48, 24 and 6 hours before the end, at it, and when a new one is due.

    The words stay the same until the next step, so that each is told once.
    """
    if consent.consent_left_s is None or consent.consent_ends_ts is None:
        return None
    ends = utc_text(consent.consent_ends_ts)
    hours = [each for each in WARN_HOURS if consent.consent_left_s <= each * _HOUR_S]
    if consent.consent_left_s <= 0:
        return Told("critical", f"The Schwab consent ended at {ends}. {_CURE}")
    if hours:
        level: Level = "critical" if hours[-1] <= _CRITICAL_HOURS else "warning"
        fact = f"The Schwab consent ends in less than {hours[-1]} hours, at {ends}."
        return Told(level, f"{fact} {_CURE}")
    if consent.consent_due_ts is not None and consent.consent_due_ts <= now_s:
        return Told("warning", f"A new Schwab sign-in is due; the old one ends at {ends}. {_CURE}")
    return None


def utc_text(seconds: float) -> str:
    """Return a moment as people read it, UTC."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M UTC")


_CURE: Final = "Sign in again before it costs data: gex auth login"


def _note(*, known: bool, guessed: bool) -> str:
    if not known:
        return "the refresh token came from SCHWAB_REFRESH_TOKEN; its age is unknown"
    if guessed:
        return "the age is a guess from the time of an older token file; the consent may be older"
    return ""
