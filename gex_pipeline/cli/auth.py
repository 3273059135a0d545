"""`gex auth`: sign in at Schwab, and see that the sign-in stays alive."""

import asyncio
import contextlib
import os
import signal
import sys
import webbrowser
from collections.abc import Iterator
from typing import Final

import click
import msgspec

from gex_pipeline.cli.account import SIMULATED, access, client_opener
from gex_pipeline.cli.environment import service_settings
from gex_pipeline.cli.logs import log_to_stderr
from gex_pipeline.cli.signinstatus import lines, status_of
from gex_pipeline.errors import ConsentError, FeedError, SettingsError
from gex_pipeline.feeds.consent import CONSENT_LIFE_S, utc_text
from gex_pipeline.feeds.schwab.callback import listening
from gex_pipeline.feeds.schwab.client import renew
from gex_pipeline.feeds.schwab.signin import CODE_LIFE_S, PENDING_S
from gex_pipeline.feeds.schwab.verification import Check, verify
from gex_pipeline.settings import Origin, Settings, origin_of
from gex_pipeline.streamer.account import Access, Account
from gex_pipeline.streamer.bell import Bell

_SOURCES: Final = ("schwab", SIMULATED)


@click.group()
def auth() -> None:
    """Sign in at Schwab, and see that the sign-in stays alive.

    A person signs in once a week; everything else renews itself. Without Schwab credentials all of
    this is done with the simulator, which must run. Exit code 3: only a person can go on.

    \b
    Example:
      gex auth login
      gex auth status
    """


@auth.command()
@click.option("--manual", is_flag=True, help="Paste the address; no browser, no listener.")
@click.option("--browser/--no-browser", default=True, help="Open the link in a browser here.")
def login(*, manual: bool, browser: bool) -> None:
    """Sign in: open the link, allow, and come back.

    The answer is taken at SCHWAB_REDIRECT_URI on this machine; with --manual, or where nothing can
    listen there, the address that the browser ended at is pasted. A running streamer takes the new
    sign-in up by itself.

    \b
    Example:
      gex auth login
      gex auth login --manual
    """
    settings, origin = _checked()
    asyncio.run(_login(access(settings, origin), origin, manual=manual, browser=browser))


async def _login(entry: Access, origin: Origin, *, manual: bool, browser: bool) -> None:
    sign_in = entry.sign_in
    pending = sign_in.begin()
    _say(_name(origin))
    _say(f"Open this link within {PENDING_S // 60} minutes, sign in and allow:\n\n{pending.url}\n")
    if manual:
        received = await _pasted(pending.redirect_uri)
    else:
        async with listening(pending.redirect_uri, sign_in.fits, sign_in.store.now_s()) as listener:
            if browser and _has_screen():
                await asyncio.to_thread(_open_browser, pending.url)
            if listener.problem:
                _say(listener.problem)
                received = await _pasted(pending.redirect_uri)
            else:
                received = await _called(listener.received, pending.redirect_uri)
    with _asked_once(origin):
        await sign_in.finish(received)
    if not sign_in.store.save():
        raise FeedError(f"{sign_in.store.problem}", "Free the disk and sign in again.")
    ends = utc_text(sign_in.store.now_s() + CONSENT_LIFE_S)
    click.echo(f"Signed in until {ends}. The token is in {sign_in.store.folder}.")


async def _called(received: "asyncio.Future[str]", redirect_uri: str) -> str:
    _say(f"Waiting for the browser at {redirect_uri}.")
    if redirect_uri.startswith("https"):
        _say("It will warn of a certificate that this machine made for itself: go on there.")
    _say(f"Schwab's code lives {CODE_LIFE_S} seconds: do not wait on that warning.")
    try:
        async with asyncio.timeout(PENDING_S):
            answer = await received
    except TimeoutError:
        raise ConsentError("Nobody answered in time", "Begin again: gex auth login") from None
    _say("The answer has come; asking for the token.")
    return answer


async def _pasted(redirect_uri: str) -> str:
    _say(f"The browser ends at an address that begins with {redirect_uri} and may show an error.")
    _say(f"Paste that address here within {CODE_LIFE_S} seconds, then press Enter:")
    pasted: str = await asyncio.to_thread(sys.stdin.readline)
    if not pasted.strip():
        raise ConsentError("Nothing was pasted", "Begin again: gex auth login --manual")
    return pasted


@auth.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead.")
@click.pass_context
def verify_sign_in(ctx: click.Context, *, as_json: bool) -> None:
    """Renew without a browser and check every step: new token, saved, snapshots, accepted.

    \b
    Example:
      gex auth verify
    """
    settings, origin = _checked()
    entry = access(settings, origin)
    checks = asyncio.run(_verify(entry))
    if as_json:
        click.echo(msgspec.json.encode(checks))
    else:
        _say(_name(origin))
        for each in checks:
            click.echo(f"{'ok    ' if each.ok else 'FAILED'} {each.name:<9} {each.detail}")
    ctx.exit(0 if all(each.ok for each in checks) else 1)


async def _verify(entry: Access) -> list[Check]:
    client = entry.open_client()
    try:
        return await verify(client, entry.store, entry.due_after_days)
    finally:
        await client.close_async_session()


@auth.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
@click.pass_context
def status(ctx: click.Context, *, as_json: bool) -> None:
    """Show how old the sign-in is, when it ends, and where its files are; no network.

    \b
    Example:
      gex auth status
      gex auth status --json | jq .consent_left_s
    """
    settings, origin = _checked()
    found = status_of(settings, origin, access(settings, origin).store)
    click.echo(msgspec.json.encode(found) if as_json else "\n".join(lines(found)))
    ctx.exit(0 if found.signed_in else 3)


@auth.command()
def refresh() -> None:
    """Renew the access token now.

    \b
    Example:
      gex auth refresh
    """
    settings, origin = _checked()
    entry = access(settings, origin)
    with _asked_once(origin):
        asyncio.run(_refresh(entry))
    ends = utc_text(entry.store.read()["token"]["expires_at"])
    click.echo(f"The access token is good until {ends}.")


async def _refresh(entry: Access) -> None:
    client = entry.open_client()
    try:
        await renew(client, force=True)
    finally:
        await client.close_async_session()


@auth.command()
@click.option(
    "--access-interval-minutes",
    type=click.IntRange(1, 29),
    help="Age of an access token at which it is renewed; else SCHWAB_ACCESS_INTERVAL_MINUTES.",
)
@click.option(
    "--refresh-interval-days",
    type=click.FloatRange(0, 7, min_open=True),
    help="Age of the consent at which a new one is due; else SCHWAB_REFRESH_INTERVAL_DAYS.",
)
def rotate(*, access_interval_minutes: int | None, refresh_interval_days: float | None) -> None:
    """Keep the sign-in alive until it is stopped, without streamer and Dagster.

    Renews the access token, warns 48, 24 and 6 hours before the consent ends, and waits for a new
    sign-in when it has. One line for each; ends cleanly on Ctrl-C or SIGTERM.

    \b
    Example:
      gex auth rotate
      gex auth rotate --access-interval-minutes 25 --refresh-interval-days 6
    """
    settings, origin = _checked()
    entry = access(settings, origin)
    minutes = access_interval_minutes or settings.schwab_access_interval_minutes
    entry.store.read()  # nothing to keep alive: told at once
    log_to_stderr(settings.gex_log_level, settings.gex_log_format)
    opener = client_opener(settings, origin, entry.store, renew_after_s=minutes * 60)
    due = refresh_interval_days or entry.due_after_days
    asyncio.run(_rotate(entry._replace(open_client=opener, due_after_days=due)))
    _say("Stopped.")


async def _rotate(entry: Access) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    account = Account(entry, Bell("auth"))
    tasks = [asyncio.create_task(each) for each in (account.keep_fresh(), stop.wait())]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await account.close()
    for task in done:
        task.result()


@contextlib.contextmanager
def _asked_once(origin: Origin) -> Iterator[None]:
    """Say of what fails for now who asks again: a command that has ended does not."""
    try:
        yield
    except FeedError as error:
        if error.cure != FeedError.AGAIN:
            raise
        simulated = origin.source == SIMULATED
        cure = "Start the simulator: gex simulate" if simulated else "Run it again in a minute."
        raise FeedError(error.reason, cure) from None


def _checked() -> tuple[Settings, Origin]:
    """Return the settings.

    Raises:
        SettingsError: they name a source that nobody signs in at, or no credentials for it.
    """
    settings = service_settings(strict=False)
    origin = origin_of(settings)
    if origin.source not in _SOURCES:
        raise SettingsError((f"GEX_SOURCE is {origin.source}; gex auth signs in at Schwab.",))
    missing = [
        name
        for name, value in (
            ("SCHWAB_CLIENT_ID", settings.schwab_client_id),
            ("SCHWAB_CLIENT_SECRET", settings.schwab_client_secret),
        )
        if value is None and origin.source == "schwab"
    ]
    if missing:
        cure = "The developer portal shows it: docs/schwab.md."
        raise SettingsError(tuple(f"{name} is not set. {cure}" for name in missing))
    return settings, origin


def _name(origin: Origin) -> str:
    return "SIMULATED sign-in: nothing here is Schwab." if origin.mode == "simulated" else "Schwab"


def _has_screen() -> bool:
    """Return whether a browser would open a window: one in the terminal would take it over."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_browser(url: str) -> None:
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(url)


def _say(words: str) -> None:
    click.echo(words, err=True)
