"""The countdown of a consent: when which word is said, and what is null."""

import pytest

from gex_pipeline.feeds.consent import CONSENT_LIFE_S, consent_of, utc_text, warning_of
from gex_pipeline.feeds.oldtokens import EXPIRED_AT, GUESSED, Wrapped

NOW = 1_800_000_000
HOUR_S = 3600


def wrapped(born: int, expires_at: int = EXPIRED_AT) -> Wrapped:
    """A sign-in of that birth."""
    return {"creation_timestamp": born, "token": {"expires_at": expires_at}}


@pytest.mark.parametrize(
    ("left_h", "due_days", "said"),
    [
        (168, 6.0, None),
        (48.01, 6.0, None),
        (48, 6.0, ("warning", "less than 48 hours")),
        (24.01, 6.0, ("warning", "less than 48 hours")),
        (24, 6.0, ("warning", "less than 24 hours")),
        (6, 6.0, ("critical", "less than 6 hours")),
        (0.01, 6.0, ("critical", "less than 6 hours")),
        (0, 6.0, ("critical", "ended at")),
        (-100, 6.0, ("critical", "ended at")),
        (96, 3.0, ("warning", "is due")),
        (96.01, 3.0, None),
        (47, 3.0, ("warning", "less than 48 hours")),
    ],
)
def test_each_step_has_its_word(
    left_h: float, due_days: float, said: tuple[str, str] | None
) -> None:
    """48, 24 and 6 hours before the end, at the end, and where it is earlier when one is due."""
    born = round(NOW + left_h * HOUR_S - CONSENT_LIFE_S)
    found = warning_of(consent_of(wrapped(born), NOW, due_days), NOW)

    assert (found and found.level) == (said and said[0])
    if found and said:
        assert said[1] in found.text
        assert utc_text(born + CONSENT_LIFE_S) in found.text
        assert found.text.endswith("gex auth login")


def test_within_a_step_the_words_stay() -> None:
    """So that an alert is told once and not each time somebody looks."""
    born = NOW - CONSENT_LIFE_S + 20 * HOUR_S
    texts = {
        str(warning_of(consent_of(wrapped(born), now, 6.0), now))
        for now in range(NOW, NOW + 13 * HOUR_S, 600)
    }

    assert len(texts) == 1


def test_a_guess_and_an_unknown_age_say_so() -> None:
    """A guess counts down with its note; an unknown age is null, and nothing is said of its end."""
    guess = consent_of(wrapped(NOW - 100) | {GUESSED: True}, NOW, 6.0)
    unknown = consent_of(wrapped(0, NOW + 60), NOW, 6.0)

    assert (guess.consent_age_s, "guess" in guess.note) == (100, True)
    assert unknown.consent_age_s is unknown.consent_ends_ts is unknown.consent_due_ts is None
    assert "unknown" in unknown.note
    assert (unknown.access_ends_ts, unknown.access_left_s) == (NOW + 60, 60)
    assert (guess.access_ends_ts, guess.access_left_s) == (None, None)
    assert warning_of(unknown, NOW) is None
