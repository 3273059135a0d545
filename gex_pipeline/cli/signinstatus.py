"""How the sign-in stands, for `gex auth status`: ages, ends, files, and no secret."""

from collections.abc import Iterator
from typing import Final

import msgspec

from gex_pipeline.errors import SignInError
from gex_pipeline.feeds.consent import Consent, consent_of, utc_text
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.feeds.tokensnapshots import ACCESS_FILE, REFRESH_FILE
from gex_pipeline.settings import Origin, Secret, Settings

_SHOWN: Final = 3
"""Last characters that are shown of an account's id."""


class SignInStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds since 1970; null: unknown, and `note` says why."""

    signed_in: bool
    simulated: bool
    problem: str | None
    """Why a person has to sign in; null: nobody has to now."""
    note: str
    access_ends_ts: int | None = None
    access_left_s: int | None = None
    consent_given_ts: int | None = None
    consent_age_s: int | None = None
    consent_ends_ts: int | None = None
    consent_left_s: int | None = None
    consent_due_ts: int | None = None
    consent_due: bool | None = None
    token_file: str
    access_file: str
    refresh_file: str
    redirect_uri: str
    pkce: bool
    account: str | None
    """Masked; null: SCHWAB_ACCOUNT_ID is not set. It is never sent."""


def status_of(settings: Settings, origin: Origin, store: TokenStore) -> SignInStatus:
    """Return how the sign-in of this environment stands."""
    consent, problem = _consent(settings, store)
    ages = msgspec.structs.asdict(consent) if consent else {"note": problem or ""}
    over = consent is not None and (consent.consent_left_s or 1) <= 0 and not consent.note
    if over and problem is None:
        problem = "The consent is over. Sign in again: gex auth login"
    due_ts = consent.consent_due_ts if consent else None
    return SignInStatus(
        signed_in=problem is None,
        simulated=origin.mode == "simulated",
        problem=problem,
        consent_due=None if due_ts is None else due_ts <= store.now_s(),
        token_file=str(store.path),
        access_file=str(store.folder / ACCESS_FILE),
        refresh_file=str(store.folder / REFRESH_FILE),
        redirect_uri=settings.schwab_redirect_uri,
        pkce=settings.schwab_use_pkce,
        account=masked(settings.schwab_account_id),
        **ages,
    )


def lines(status: SignInStatus) -> Iterator[str]:
    """Yield the lines that people read."""
    if status.simulated:
        yield "SIMULATED sign-in: nothing here is Schwab."
    yield f"signed in  {'yes' if status.signed_in else 'NO'}"
    if status.problem:
        yield f"problem    {status.problem}"
    yield f"access     {_span(status.access_left_s, status.access_ends_ts)}"
    yield f"consent    {_span(status.consent_left_s, status.consent_ends_ts)}"
    if status.consent_due_ts is not None:
        due = " (is due)" if status.consent_due else ""
        yield f"next       a new sign-in is due {utc_text(status.consent_due_ts)}{due}"
    if status.note and not status.problem:
        yield f"note       {status.note}"
    yield f"token      {status.token_file}"
    yield f"snapshots  {status.access_file}, {status.refresh_file}"
    yield f"callback   {status.redirect_uri}"
    if status.account:
        yield f"account    {status.account}, never sent"


def masked(account: Secret | None) -> str | None:
    """Return an account's id with all but its last characters hidden."""
    if account is None:
        return None
    text = account.reveal()
    return "*" * 5 + (text[-_SHOWN:] if len(text) > 2 * _SHOWN else "")


def _consent(settings: Settings, store: TokenStore) -> tuple[Consent | None, str | None]:
    try:
        wrapped = store.read()
    except SignInError as error:
        return None, str(error)
    due_after_days = settings.schwab_refresh_interval_days
    return consent_of(wrapped, store.now_s(), due_after_days), store.refused()


def _span(left_s: int | None, ends_ts: int | None) -> str:
    if left_s is None or ends_ts is None:
        return "unknown"
    words = "over since" if left_s <= 0 else f"{_words(left_s)} more, until"
    return f"{words} {utc_text(ends_ts)}"


def _words(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes = rest // 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
