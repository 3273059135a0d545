"""`gex auth` as a person and a service use it: processes of their own, against the simulator."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gex_pipeline.cli.up import _sign_in_words
from gex_pipeline.feeds.oldtokens import EXPIRED_AT
from gex_pipeline.feeds.tokens import TokenStore
from gex_pipeline.feeds.wall import wall_s
from gex_pipeline.settings import load
from gex_pipeline_tests.feeds.schwab.test_signin import redirect, visit
from gex_pipeline_tests.simulator.serving import running

ROOT = Path(__file__).parents[2]
WITHIN_S = 60
SECRETS = ("key-canary-7d1", "secret-canary-7d1", "98765432", "sim-refresh.", "sim-access.", "C0.")
"""None of it may be in what a command prints."""


class Desk:
    """A folder of a user, with `.env` of nobody, and a simulator that plays Schwab."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.store = TokenStore(folder / ".tokens")
        self.redirect = redirect()
        self.printed: list[str] = []
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "GEX_SOURCE": "schwab",
            "GEX_LOG_FORMAT": "text",
            "SCHWAB_BASE_URL": self.url,
            "SCHWAB_CLIENT_ID": SECRETS[0],
            "SCHWAB_CLIENT_SECRET": SECRETS[1],
            "SCHWAB_ACCOUNT_ID": SECRETS[2],
            "SCHWAB_REDIRECT_URI": self.redirect,
            "GEX_SIMULATOR_PORT": str(port),
        }

    async def start(self, *arguments: str, **more: str) -> asyncio.subprocess.Process:
        """Start `gex auth` with these arguments."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gex_pipeline.cli", "auth", *arguments),
            cwd=self.folder,
            env=self.environment | more,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    async def end(
        self, process: asyncio.subprocess.Process, stdin: bytes = b""
    ) -> tuple[int, str, str]:
        """Return exit code, output and errors; both are looked through for secrets at the end."""
        out, err = await asyncio.wait_for(process.communicate(stdin), WITHIN_S)
        self.printed += [out.decode(), err.decode()]
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def run(self, *arguments: str, **more: str) -> tuple[int, str, str]:
        """Run a command to its end."""
        return await self.end(await self.start(*arguments, **more))

    async def play(self, verb: str) -> None:
        """Have something happen to the vendor."""
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(f"{self.url}/control/{verb}", json={})).is_success

    async def sign_in(self, *arguments: str, **more: str) -> tuple[int, str, str]:
        """Do what a person does: start the command, follow its link, allow, be sent back."""
        process = await self.start("login", "--no-browser", *arguments, **more)
        address = await consented(process)
        if "--manual" in arguments:
            return await self.end(process, f'"{address}"\n'.encode())
        await called(address)
        return await self.end(process)


async def consented(process: asyncio.subprocess.Process) -> str:
    """Wait for the printed link and allow; return where the browser is sent."""
    assert process.stderr is not None
    async with asyncio.timeout(WITHIN_S):
        while True:
            line = (await process.stderr.readline()).decode()
            assert line, "no link was printed"
            if "/v1/oauth/authorize" in line:
                break
    async with httpx.AsyncClient(trust_env=False) as browser:
        return str((await browser.get(f"{line.strip()}&approve=1")).headers["location"])


async def called(address: str) -> None:
    """Visit the callback as soon as it listens."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                answer = await visit(address)
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                assert answer.is_success
                return


@asynccontextmanager
async def desk_of(tmp_path: Path, **settings: Any) -> AsyncIterator[Desk]:
    """A desk; at its end nothing secret has been printed."""
    folder = tmp_path / "user"
    folder.mkdir()
    async with running(tmp_path / "vendor", contracts=400, **settings) as server:
        desk = Desk(folder, server.port)
        yield desk
    said = "\n".join(desk.printed)
    assert [secret for secret in SECRETS if secret in said] == []


def at_desk(tmp_path: Path, act: Callable[[Desk], Awaitable[None]], **settings: Any) -> None:
    """Run an act at a desk."""

    async def run() -> None:
        async with desk_of(tmp_path, **settings) as desk:
            await act(desk)

    asyncio.run(run())


@pytest.mark.parametrize("manual", [False, True])
def test_a_person_signs_in_and_everything_else_renews(tmp_path: Path, manual: bool) -> None:
    """Login by callback or by paste; then status, verify and refresh without a person."""

    async def act(desk: Desk) -> None:
        code, out, _ = await desk.run("status")
        assert (code, "NO" in out, "gex auth login" in out) == (3, True, True)

        code, out, _ = await desk.sign_in(*(["--manual"] if manual else []))
        assert (code, "Signed in until" in out) == (0, True)

        code, out, _ = await desk.run("status", "--json")
        found = json.loads(out)
        assert code == 0
        assert (found["signed_in"], found["simulated"]) == (True, False)
        assert found["account"] == "*****432"
        assert 6.9 * 86_400 < found["consent_left_s"] <= 7 * 86_400
        assert 1700 < found["access_left_s"] <= 1800
        assert found["consent_due"] is False

        before = desk.store.read()
        code, out, err = await desk.run("verify")
        assert code == 0, out + err
        names = [line.split()[1] for line in out.splitlines()]
        assert names == ["private", "renewed", "saved", "snapshots", "accepted", "consent"]
        assert all(line.startswith("ok ") for line in out.splitlines())
        after = desk.store.read()
        assert after["token"]["access_token"] != before["token"]["access_token"]
        assert after["creation_timestamp"] == before["creation_timestamp"]

        code, out, _ = await desk.run("refresh")
        assert (code, "good until" in out) == (0, True)
        assert desk.store.read()["token"]["access_token"] != after["token"]["access_token"]

    at_desk(tmp_path, act)


def test_a_dead_sign_in_is_exit_code_3_everywhere(tmp_path: Path) -> None:
    """Each command says what to do; the status knows it without asking again."""

    async def act(desk: Desk) -> None:
        await desk.sign_in()
        await desk.play("revoke")
        for command in (["refresh"], ["verify"], ["status"]):
            code, out, err = await desk.run(*command)
            assert code == 3, command
            assert "gex auth login" in out + err
        rotating = await desk.start("rotate")
        assert rotating.stderr is not None
        async with asyncio.timeout(WITHIN_S):  # though the access token in hand still lives
            while b"consent_ends: Schwab does not take" not in await rotating.stderr.readline():
                pass
        rotating.terminate()
        await rotating.communicate()
        await desk.sign_in()
        assert (await desk.run("status"))[0] == 0
        assert (await desk.run("refresh"))[0] == 0

    at_desk(tmp_path, act)


def test_a_check_that_fails_is_exit_code_1(tmp_path: Path) -> None:
    """A vendor that does not answer is nothing that a person can cure."""

    async def act(desk: Desk) -> None:
        await desk.sign_in()
        code, out, _ = await desk.run("verify", SCHWAB_BASE_URL="http://127.0.0.1:9")
        assert code == 1
        assert "FAILED renewed" in out
        code, _, err = await desk.run("refresh", SCHWAB_BASE_URL="http://127.0.0.1:9")
        assert (code, err.count("\n")) == (1, 1)
        assert "Run it again in a minute" in err
        assert "by itself" not in out + err

    at_desk(tmp_path, act)


def test_a_wrong_answer_is_told(tmp_path: Path) -> None:
    """Pasted: another state; exit code 3, one line with fact and cure."""

    async def act(desk: Desk) -> None:
        process = await desk.start("login", "--manual")
        await consented(process)
        wrong = f"{desk.redirect}/?code=C0.x%40&state=other\n"
        code, out, err = await desk.end(process, wrong.encode())
        assert (code, out) == (3, "")
        assert "another sign-in" in err
        process = await desk.start("login", "--manual")
        await consented(process)
        code, _, err = await desk.end(process, b"\n")
        assert (code, "Nothing was pasted" in err) == (3, True)
        assert desk.store.empty

    at_desk(tmp_path, act)


def test_rotate_renews_warns_and_stops(tmp_path: Path) -> None:
    """Without a sign-in it ends with 3; else it renews what is due, and ends with 0 on SIGTERM."""

    async def act(desk: Desk) -> None:
        assert (await desk.run("rotate"))[0] == 3
        await desk.sign_in()
        wrapped = desk.store.read()
        due = wrapped["token"] | {"expires_at": EXPIRED_AT}
        soon = int(wall_s()) - 7 * 86_400 + 20 * 3600
        desk.store.write({"creation_timestamp": soon, "token": due})
        process = await desk.start("rotate", "--access-interval-minutes", "25")
        async with asyncio.timeout(WITHIN_S):
            while desk.store.read()["token"]["expires_at"] == EXPIRED_AT:  # noqa: ASYNC110 # a file
                await asyncio.sleep(0.05)
        assert process.stderr is not None
        lines = [(await process.stderr.readline()).decode() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        code, _, err = await desk.end(process)
        said = "".join(lines) + err
        assert code == 0
        assert "the access token is renewed" in said
        assert "less than 24 hours" in said
        assert err.endswith("Stopped.\n")

    at_desk(tmp_path, act)


def test_the_simulator_is_signed_in_to_as_well(tmp_path: Path) -> None:
    """Without credentials: its own consent page, its own folder, and it says what it is."""

    async def act(desk: Desk) -> None:
        code, out, _ = await desk.sign_in(GEX_SOURCE="simulator")
        assert code == 0
        assert str(desk.folder / "data" / "sim" / "tokens") in out
        code, out, _ = await desk.run("status", GEX_SOURCE="simulator")
        assert (code, "SIMULATED" in out) == (0, True)
        assert not desk.store.folder.exists()

    at_desk(tmp_path, act)


def test_a_refresh_token_of_the_settings_fills_an_empty_store(tmp_path: Path) -> None:
    """It renews; nobody knows when its consent ends, and the status says so."""

    async def act(desk: Desk) -> None:
        await desk.sign_in()
        refresh = desk.store.read()["token"]["refresh_token"]
        more = {"SCHWAB_REFRESH_TOKEN": refresh, "GEX_TOKENS_DIR": str(desk.folder / "other")}
        code, out, err = await desk.run("status", "--json", **more)
        found = json.loads(out)
        assert (code, found["consent_ends_ts"], found["consent_age_s"]) == (0, None, None)
        assert "age is unknown" in found["note"]
        assert "nobody knows when its consent ends" in err
        code, out, _ = await desk.run("verify", **more)
        assert (code, "age is unknown" in out) == (0, True)

    at_desk(tmp_path, act)


def test_the_screen_of_gex_up_says_how_the_sign_in_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None: what to do; one: until when; one of unknown age: that it is unknown."""
    monkeypatch.chdir(tmp_path)
    settings = load({"GEX_SOURCE": "schwab", "SCHWAB_CLIENT_ID": "k", "SCHWAB_CLIENT_SECRET": "s"})
    store = TokenStore(tmp_path / ".tokens")

    none = _sign_in_words(settings)
    store.seed("r")
    unknown = _sign_in_words(settings)
    token = {"refresh_token": "r", "access_token": "a", "expires_at": EXPIRED_AT}
    store.write({"creation_timestamp": int(wall_s()), "token": token})
    known = _sign_in_words(settings)

    assert "gex auth login" in none
    assert "unknown" in unknown
    assert known.startswith("until 2")


def test_every_missing_credential_is_named(tmp_path: Path) -> None:
    """Both at once, exit code 2."""

    async def act(desk: Desk) -> None:
        code, _, err = await desk.run("status", SCHWAB_CLIENT_ID="", SCHWAB_CLIENT_SECRET="")
        assert code == 2
        assert "SCHWAB_CLIENT_ID" in err
        assert "SCHWAB_CLIENT_SECRET" in err

    at_desk(tmp_path, act)


def test_new_refresh_tokens_go_to_env_back_and_never_to_env(tmp_path: Path) -> None:
    """The line is beside .env, private; .env has the same bytes as before."""

    async def act(desk: Desk) -> None:
        env = desk.folder / ".env"
        env.write_text("SCHWAB_PERSIST_REFRESH_TO_ENV=true\n")
        assert (await desk.sign_in())[0] == 0
        assert env.read_text() == "SCHWAB_PERSIST_REFRESH_TO_ENV=true\n"
        back = desk.folder / ".env.back"
        token = desk.store.read()["token"]["refresh_token"]
        assert back.read_text() == f"SCHWAB_REFRESH_TOKEN={token}\n"
        assert back.stat().st_mode & 0o777 == 0o600

    at_desk(tmp_path, act)
