"""Whether a sign-in renews itself: each step done once, and what it showed."""

from typing import Any

import msgspec

from gex_pipeline.errors import FeedError, SignInError
from gex_pipeline.feeds.consent import consent_of, utc_text
from gex_pipeline.feeds.oldtokens import Wrapped
from gex_pipeline.feeds.schwab.client import renew
from gex_pipeline.feeds.schwab.tokenanswer import told
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.feeds.tokensnapshots import read_access, read_refresh

_OK = 200
_OPEN = 0o077


class Check(msgspec.Struct, frozen=True):
    """One step and what came of it; nothing secret is in it."""

    name: str
    ok: bool
    detail: str


async def verify(client: Any, store: TokenStore, due_after_days: float) -> list[Check]:
    """Return the steps of a renewal without a browser, the first that fails last.

    Raises:
        SignInError: only a person can go on.
    """
    before = store.read()
    checks = [_private(store)]
    try:
        await renew(client, force=True)
    except SignInError:
        raise
    except FeedError as error:
        return [*checks, Check("renewed", ok=False, detail=error.reason)]
    after = store.read()
    checks += [_rotated(before, after), _saved(store, after), _snapshots(store, after)]
    checks += [await _accepted(client), _consent(store, after, due_after_days)]
    return checks


def _private(store: TokenStore) -> Check:
    modes = [path.stat().st_mode & 0o777 for path in (store.folder, store.path) if path.exists()]
    words = " and ".join(f"{mode:04o}" for mode in modes)
    return Check("private", ok=not any(mode & _OPEN for mode in modes), detail=f"modes {words}")


def _rotated(before: Wrapped, after: Wrapped) -> Check:
    old, new = before["token"], after["token"]
    changed = old["access_token"] != new["access_token"]
    kept = "kept" if old["refresh_token"] == new["refresh_token"] else "replaced"
    same_birth = before["creation_timestamp"] == after["creation_timestamp"]
    detail = f"a new access token until {utc_text(new['expires_at'])}; the refresh token is {kept}"
    if not changed:
        detail = "the access token is the old one"
    elif not same_birth:
        detail = "another sign-in was stored meanwhile"
    return Check("renewed", ok=changed, detail=detail)


def _saved(store: TokenStore, after: Wrapped) -> Check:
    """Look past memory: another process must find the same on the disk."""
    try:
        same = TokenStore(store.folder).read() == after and store.problem is None
    except SignInError:
        same = False
    return Check("saved", ok=same, detail=str(store.problem or store.path))


def _snapshots(store: TokenStore, after: Wrapped) -> Check:
    token = after["token"]
    try:
        access, refresh = read_access(store.folder), read_refresh(store.folder)
    except SignInError as error:
        return Check("snapshots", ok=False, detail=str(error))
    same = (access.access_token, access.expires_at, refresh.refresh_token) == (
        token["access_token"],
        token["expires_at"],
        token["refresh_token"],
    )
    detail = "both hold the new tokens" if same else "they hold other tokens than the file"
    return Check("snapshots", ok=same, detail=detail)


async def _accepted(client: Any) -> Check:
    try:
        async with told():
            answer = await client.get_user_preferences()
    except FeedError as error:
        return Check("accepted", ok=False, detail=error.reason)
    return Check("accepted", ok=answer.status_code == _OK, detail=f"status {answer.status_code}")


def _consent(store: TokenStore, after: Wrapped, due_after_days: float) -> Check:
    consent = consent_of(after, store.now_s(), due_after_days)
    if consent.consent_ends_ts is None:
        return Check("consent", ok=True, detail=consent.note)
    note = f" ({consent.note})" if consent.note else ""
    alive = (consent.consent_left_s or 0) > 0 or bool(note)
    return Check("consent", ok=alive, detail=f"ends {utc_text(consent.consent_ends_ts)}{note}")
