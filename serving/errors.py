"""Every error as problem+json (RFC 9457), with a cure in `detail`."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from gex_pipeline.errors import (
    ConventionError,
    DeclinedError,
    GexError,
    InputError,
    KeyFileError,
    NoDataError,
    NoSessionError,
    NotServedError,
    SessionOverError,
    SwitchedOffError,
    TooOftenError,
    UnavailableError,
    UnknownSymbolError,
)

MEDIA_TYPE: Final = "application/problem+json"
_RETRY_S: Final = "5"
_log = logging.getLogger(__name__)
_STATUS: Final[tuple[tuple[type[GexError], HTTPStatus, str], ...]] = (
    (NoSessionError, HTTPStatus.NOT_FOUND, "no_session"),
    (SessionOverError, HTTPStatus.CONFLICT, "session_over"),
    (NotServedError, HTTPStatus.NOT_FOUND, "not_served"),
    (SwitchedOffError, HTTPStatus.NOT_FOUND, "switched_off"),
    (NoDataError, HTTPStatus.NOT_FOUND, "no_data"),
    (UnknownSymbolError, HTTPStatus.NOT_FOUND, "unknown_symbol"),
    (DeclinedError, HTTPStatus.CONFLICT, "declined"),
    (TooOftenError, HTTPStatus.TOO_MANY_REQUESTS, "too_often"),
    (ConventionError, HTTPStatus.BAD_REQUEST, "unknown_name"),
    (KeyFileError, HTTPStatus.SERVICE_UNAVAILABLE, "key_file"),
    (InputError, HTTPStatus.BAD_REQUEST, "bad_input"),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    (GexError, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
)
"""The first that fits."""


class Problem(msgspec.Struct, frozen=True):
    """What every error looks like."""

    type: str
    title: str
    status: int
    detail: str
    """The fact and its cure."""
    reason: str
    """One word for programs."""


def problem_of(error: GexError) -> Problem:
    """Return the problem that one of our errors is."""
    status, reason = next((s, r) for kind, s, r in _STATUS if isinstance(error, kind))
    if isinstance(error, UnavailableError):
        reason = error.reason
    return make_problem(status, str(error), reason)


def make_problem(status: HTTPStatus, detail: str, reason: str) -> Problem:
    """Return a problem of a status."""
    return Problem(f"urn:gex:problem:{reason}", status.phrase, status.value, detail, reason)


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """Return the response that carries a problem."""
    extra = {"Retry-After": _RETRY_S} if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **extra, **(headers or {})},
    )


def on_gex_error(_: Request[Any, Any, Any], error: GexError) -> Response[bytes]:
    """Answer one of our own errors."""
    wait = error.retry_after_s if isinstance(error, TooOftenError) else None
    return answer(problem_of(error), {"Retry-After": str(wait)} if wait else None)


def on_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the framework found wrong: no such address, a bad parameter, no key."""
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("internal_error", exc_info=error)
        return answer(make_problem(status, _INTERNAL, "internal"))
    reason = status.phrase.lower().replace(" ", "_")
    return answer(make_problem(status, _detail(error), reason), error.headers)


def on_any_error(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a fault of ours: nothing of its text goes out, all of it goes to the log."""
    _log.error("internal_error", exc_info=error)
    return answer(make_problem(HTTPStatus.INTERNAL_SERVER_ERROR, _INTERNAL, "internal"))


_INTERNAL: Final = "A fault of the server. Its log has the story; please report it."


def _detail(error: HTTPException) -> str:
    """Return what is wrong: of a bad parameter its name and rule, without the address."""
    found = error.extra if isinstance(error.extra, list) else []
    rules = [f"{each.get('key')}: {each.get('message')}" for each in found]
    return f"{'; '.join(rules)}. Correct it; GET /schema has the rules." if rules else error.detail
