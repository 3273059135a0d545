"""A headless Chromium on a running API; skipped, with the reason, where there is none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from gex_pipeline.gateway.signin import one_time_link
from gex_pipeline_tests.gateway.market import KEYS
from gex_pipeline_tests.gateway.store import server_url, store
from gex_pipeline_tests.serving.process import Api, api

__all__ = ["server_url", "store"]

FLAGS = [  # root has no sandbox; nothing calls home
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def started() -> Iterator[Any]:
    """Yield a browser; while it lives, its event loop is that of the thread."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on the PATH (Debian: apt install chromium)")
    with sync_api.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield one
        one.close()


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """One browser for all of these tests."""
    with started() as one:
        yield one


@pytest.fixture(scope="package")
def running(
    browser: Any, server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """One API for all of these tests."""
    folder: Path = tmp_path_factory.mktemp("page")
    with api(server_url, folder) as one:
        yield one


@pytest.fixture
def page(browser: Any, running: Api, store: redis.Redis) -> Iterator[Any]:
    """The page of the one API."""
    with opened(browser, store, running) as one:
        yield one


@contextmanager
def opened(browser: Any, store: redis.Redis, running: Api) -> Iterator[Any]:
    """Yield the page, opened by a one-time link; a fault of its script fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    one = context.new_page()
    one.set_default_timeout(20_000)
    faults: list[str] = []
    one.on("pageerror", lambda error: faults.append(str(error)))
    one.goto(one_time_link(store, KEYS, running.base))
    one.wait_for_url(f"{running.base}/*")
    yield one
    context.close()
    assert not faults
