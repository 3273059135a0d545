"""`gex keys`: make, list and revoke API keys."""

import datetime
from contextlib import suppress

import click
import msgspec

from gex_pipeline.cli.environment import service_settings
from gex_pipeline.errors import UnavailableError
from gex_pipeline.gateway.connection import hot_url
from gex_pipeline.gateway.keyring import queue_mirror
from gex_pipeline.gateway.keys import SCOPES, ApiKey, KeyStore, Scope
from gex_pipeline.hot.clockstore import live_clock
from gex_pipeline.hot.connect import UNREACHABLE, connect
from gex_pipeline.hot.keys import Keys
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline.settings import Settings, origin_of


@click.group()
def keys() -> None:
    """Make, list and revoke API keys.

    A key works within a second of being made, and no longer than two after it was revoked. Only a
    digest is kept, in keys.json of the data folder.

    \b
    Example:
      gex keys create --label notebook
      gex keys list
      gex keys revoke 3k9x0q2a
    """


@keys.command()
@click.option("--label", default="", help="What it is for.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=("read",),
    show_default=True,
    help="What it may do; give it twice for both.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def create(*, label: str, scopes: tuple[Scope, ...], as_json: bool) -> None:
    """Make a key and print it: this once, for it is kept nowhere.

    \b
    Example:
      gex keys create --label notebook --scope read
    """
    settings = service_settings(strict=False)
    file = KeyStore(settings.gex_data_dir)
    key, text = file.create(tuple(dict.fromkeys(scopes)), label, _now())
    _mirror(settings, file)
    if as_json:
        click.echo(msgspec.json.encode({"id": key.id, "key": text, "scopes": key.scopes}))
        return
    click.echo(text)
    click.echo(f"Send it as  Authorization: Bearer {text[:12]}…  It is not shown again.", err=True)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead.")
def list_keys(*, as_json: bool) -> None:
    """List the keys that are valid.

    \b
    Example:
      gex keys list --json | jq '.[].id'
    """
    file = KeyStore(service_settings(strict=False).gex_data_dir)
    valid = [key for key in file.keys().values() if not key.revoked]
    if as_json:
        shown = [{name: getattr(key, name) for name in _SHOWN} for key in valid]
        click.echo(msgspec.json.encode(shown))
        return
    for key in valid:
        click.echo(_line(key))
    if not valid:
        click.echo("There is no key. Make one: gex keys create", err=True)


@keys.command()
@click.argument("key_id")
def revoke(*, key_id: str) -> None:
    """Make a key invalid for ever.

    \b
    Example:
      gex keys revoke 3k9x0q2a
    """
    settings = service_settings(strict=False)
    file = KeyStore(settings.gex_data_dir)
    key = file.revoke(key_id)
    _mirror(settings, file)
    click.echo(f"{key.id} is revoked.")


_SHOWN = ("id", "scopes", "label", "made")


def _line(key: ApiKey) -> str:
    return f"{key.id}  {','.join(key.scopes):<8}  {key.made or '-':<20}  {key.label}".rstrip()


def _mirror(settings: Settings, file: KeyStore) -> None:
    """Tell the hot store; one that is away takes the file when the API comes back to it."""
    origin = origin_of(settings)
    given = settings.gex_redis_url.reveal() if settings.gex_redis_url else None
    with suppress(UnavailableError, *UNREACHABLE), connect(hot_url(given, origin.root)) as store:
        pipe = store.pipeline(transaction=False)
        queue_mirror(pipe, Keys(origin.prefix), file)
        pipe.execute()


def _now() -> str:
    seconds = live_clock().anchor_event_ns // SECOND_NS
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
