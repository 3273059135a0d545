"""Both HTTP libraries that authlib's session may stand on, and the check at the start."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from gex_pipeline.errors import LibraryError
from gex_pipeline.feeds.schwab import wire
from gex_pipeline.feeds.schwab.library import AsyncOAuth2Client, http
from gex_pipeline.feeds.schwab.wire import check_wire

ROOT = Path(__file__).parents[3]
SIGN_IN = "gex_pipeline_tests/feeds/schwab/test_client.py"
_NAME = "from gex_pipeline.feeds.schwab.library import http; print(http.__name__)"


def test_transports_and_errors_are_those_of_the_sessions_own_library() -> None:
    """Those of another one would pass by our `except`."""
    assert issubclass(AsyncOAuth2Client, http.AsyncClient)
    assert http.AsyncHTTPTransport.__mro__[1] is http.AsyncBaseTransport


def test_a_session_of_another_library_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its cure."""
    monkeypatch.setattr(wire, "AsyncOAuth2Client", dict)

    with pytest.raises(LibraryError, match="authlib"):
        asyncio.run(check_wire())


def test_the_sign_in_works_on_httpx2_too(tmp_path: Path) -> None:
    """Authlib takes httpx2 where it is installed; httpx under that name has classes of its own."""
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(httpx.__file__).parent, tmp_path / "httpx2", ignore=without)
    places = os.pathsep.join((str(tmp_path), str(ROOT)))
    environment = os.environ | {"PYTHONPATH": places, "PYTHONDONTWRITEBYTECODE": "1"}

    def python(*arguments: str) -> str:
        command = (sys.executable, *arguments)
        done = subprocess.run(  # noqa: S603 # ourselves
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert python("-c", _NAME).strip() == "httpx2"
    base = f"--basetemp={tmp_path / 'base'}"
    assert " passed" in python("-m", "pytest", "-q", "-p", "no:cacheprovider", base, SIGN_IN)
