"""The vendor's account as a reader may see it: whether we are signed in, and until when."""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from gex_pipeline.gateway.answer import Mode
from gex_pipeline.gateway.keys import Scope
from gex_pipeline.gateway.read import Gateway
from gex_pipeline.gateway.services import beat_age_s
from gex_pipeline.gateway.streamer import AWAY_S, STREAMER
from gex_pipeline.market.sessions import SECOND_NS

SignInState = Literal["none", "pending", "done", "failed"]
_REFUSED: Final = "auth_required"
_STARTING: Final = "waiting"
_FIGURES: Final = {
    "consent": ("given_ts", "age_s", "ends_ts", "left_s", "due_ts", "due"),
    "access": ("ends_ts", "left_s"),
}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """How the sign-in stands, by the streamer's newest word; times in seconds since 1970, UTC."""

    mode: Mode
    may_sign_in: bool
    """Whether whoever asks may begin a sign-in."""
    age_s: float | None
    """Since the streamer said so."""
    state: str | None
    """The stream's: streaming, reconnecting, auth_required, …"""
    signed_in: bool | None
    """False: only a person can go on."""
    problem: str | None
    """Why a person must sign in, in the streamer's words; null: nobody must, as far as is known."""
    account: str | None
    """The account's id, masked."""
    access_ends_ts: int | None
    access_left_s: int | None
    """Negative: it is over, and is renewed when it is needed."""
    consent_given_ts: int | None
    consent_age_s: int | None
    consent_ends_ts: int | None
    consent_left_s: int | None
    """Negative: it is over."""
    consent_due_ts: int | None
    consent_due: bool | None
    """Whether a new sign-in is due."""
    consent_note: str | None
    """Why the consent's age is unknown, or that it is a guess."""
    token_problem: str | None
    """Why the token is in memory alone; null: it is on disk."""
    sign_in: SignInState
    """How the newest sign-in that was begun at the streamer stands."""
    sign_in_id: str | None
    sign_in_problem: str | None
    """Why it failed."""
    null_reasons: dict[str, str]
    """Of each figure that is null, one word for programs."""


async def account_state(gateway: Gateway, scopes: Iterable[Scope]) -> Account:
    """Return how the sign-in stands, to a key of these scopes.

    Raises:
        UnavailableError: the hot store does not answer.
    """
    fields = await gateway.hash(gateway.place.keys.status(STREAMER))
    found = account_of(fields, gateway.place.mode, gateway.wall_ns())
    return msgspec.structs.replace(found, may_sign_in="ops" in scopes)


def account_of(fields: dict[str, str], mode: Mode, now_ns: int) -> Account:
    """Return the account of a streamer's status; what one that is away said last stays."""
    now_s = now_ns // SECOND_NS
    age_s = beat_age_s(fields, now_ns)
    away = age_s is None or age_s > AWAY_S
    state = fields.get("state")
    access_ts = _seconds(fields, "access_ends_ts")
    given_ts, ends_ts, due_ts = (
        _seconds(fields, f"consent_{name}_ts") for name in ("given", "ends", "due")
    )
    sign_in, failed = _sign_in("" if away else fields.get("sign_in", ""))
    found = Account(
        mode=mode,
        may_sign_in=False,
        age_s=age_s,
        state=state,
        signed_in=None if away or state in (None, _STARTING) else state != _REFUSED,
        problem=fields.get("detail") if state == _REFUSED else None,
        account=fields.get("account"),
        access_ends_ts=access_ts,
        access_left_s=None if access_ts is None else access_ts - now_s,
        consent_given_ts=given_ts,
        consent_age_s=None if given_ts is None else now_s - given_ts,
        consent_ends_ts=ends_ts,
        consent_left_s=None if ends_ts is None else ends_ts - now_s,
        consent_due_ts=due_ts,
        consent_due=None if due_ts is None else due_ts <= now_s,
        consent_note=fields.get("consent_note") or None,
        token_problem=fields.get("token_problem") or None,
        sign_in=sign_in,
        sign_in_id=fields.get("sign_in_id") or None,
        sign_in_problem=failed,
        null_reasons={},
    )
    return msgspec.structs.replace(found, null_reasons=_null_reasons(found))


def _null_reasons(found: Account) -> dict[str, str]:
    """Return why figures are null: nobody said, or what was said has none."""
    silent = "no_streamer" if found.age_s is None else None
    starting = "starting" if found.state in (None, _STARTING) else None
    nobody = "not_signed_in" if found.signed_in is False else None
    reasons = {
        "age_s": "no_streamer",
        "state": silent or "starting",
        "signed_in": silent or starting or "streamer_away",
        "account": silent or starting or "not_set",
    }
    for what, word in (("consent", "unknown_age"), ("access", "no_access_token")):
        why = silent or starting or nobody or word
        reasons |= {f"{what}_{name}": why for name in _FIGURES[what]}
    return {name: why for name, why in reasons.items() if getattr(found, name) is None}


def _sign_in(said: str) -> tuple[SignInState, str | None]:
    """Return the state and, of a sign-in that failed, why."""
    match said:
        case "":
            return "none", None
        case "pending":
            return "pending", None
        case "done":
            return "done", None
        case _:
            return "failed", said


def _seconds(fields: dict[str, str], name: str) -> int | None:
    text = fields.get(name, "")
    return int(text) if text.isdigit() else None
