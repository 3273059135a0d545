"""Dagster's look at the sign-in: renewed when it is due, and one word when it is dead."""

import asyncio
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest

from gex_pipeline.defs.resources import Pipeline
from gex_pipeline.defs.schedules import refresh_token, token_refresh
from gex_pipeline.feeds.oldtokens import EXPIRED_AT
from gex_pipeline.feeds.schwab.signin import SignIn
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline_tests.feeds.schwab.test_signin import application, consented, redirect
from gex_pipeline_tests.simulator.serving import running

# Dagster 1.13 warns of parameters that it gives to itself.
pytestmark = pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning")


def look() -> str:
    """Why the schedule has nothing to do; empty: it asks for a run."""
    found: Any = token_refresh(dg.build_schedule_context(), pipeline=Pipeline())
    return str(found.skip_message) if isinstance(found, dg.SkipReason) else ""


def run() -> tuple[bool, str]:
    """Run the job; whether it succeeded, and what it failed with."""
    with dg.DagsterInstance.ephemeral() as instance:
        done = refresh_token.execute_in_process(
            instance=instance, resources={"pipeline": Pipeline()}, raise_on_error=False
        )
        return done.success, " ".join(str(event) for event in done.all_events)


def run_out(store: TokenStore) -> str:
    """Make the stored access token an old one, and return it."""
    wrapped = store.read()
    store.write(wrapped | {"token": wrapped["token"] | {"expires_at": EXPIRED_AT}})
    return str(wrapped["token"]["access_token"])


def test_the_job_renews_what_is_due_and_says_what_a_person_must_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No sign-in: rests and says so; due: renewed; dead: fails once, then rests with the reason."""
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.chdir(user)
    store = TokenStore(user / ".tokens")

    async def act() -> None:
        async with running(tmp_path / "vendor", contracts=400) as server:
            url = f"http://127.0.0.1:{server.port}"
            for name, value in {
                "GEX_SOURCE": "schwab",
                "SCHWAB_CLIENT_ID": "key",
                "SCHWAB_CLIENT_SECRET": "secret",
                "SCHWAB_BASE_URL": url,
                "GEX_DATA_DIR": str(user / "data"),
            }.items():
                monkeypatch.setenv(name, value)
            assert "gex auth login" in look()

            sign_in = SignIn(application(url, redirect()), store)
            await sign_in.finish(await consented(sign_in.begin()))
            assert "more minutes" in look()
            old = run_out(store)
            assert look() == ""
            assert (await asyncio.to_thread(run))[0]
            assert store.read()["token"]["access_token"] != old

            run_out(store)
            async with httpx.AsyncClient(trust_env=False) as script:
                assert (await script.post(f"{url}/control/revoke", json={})).is_success
            assert look() == ""
            success, said = await asyncio.to_thread(run)
            assert not success
            assert "gex auth login" in said
            assert "gex auth login" in look()

    asyncio.run(act())
