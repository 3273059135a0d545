"""Pain 3 and the legacy shapes: each is read, upgraded once, and what stood there is kept."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gex_pipeline.errors import SignInError
from gex_pipeline.feeds.oldtokens import EXPIRED_AT, GUESSED
from gex_pipeline.feeds.tokens import FILE, TokenStore

ISSUED, MTIME, NOW = 1_700_000_000, 1_700_500_000, 1_700_600_000
BAK = "bak-20231121T205320Z"
ISO = "2023-11-14T22:13:20+00:00"
TOKEN = {"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_in": 1800}
EXPIRES = ISSUED + 1800
LATER = "2023-11-15T22:13:20"
"""One day on, without a zone, as Schwabdev wrote it at times: UTC."""

Make = Callable[[Path], object]


def text(value: object) -> Make:
    """A JSON file."""
    return lambda path: path.write_text(json.dumps(value))


def schwabdev(path: Path, refresh: str = "r", table: str = "schwabdev") -> None:
    """Schwabdev's SQLite file of version 3."""
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute(
            f"CREATE TABLE {table} (access_token_issued TEXT NOT NULL,"
            " refresh_token_issued TEXT NOT NULL, access_token TEXT NOT NULL,"
            " refresh_token TEXT NOT NULL, id_token TEXT NOT NULL, expires_in INTEGER,"
            " token_type TEXT, scope TEXT)"
        )
        row = (LATER, ISO, "a", refresh, "i", 1800, "Bearer", "api")
        base.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 # ours


SHAPES: dict[str, tuple[Make, int, int, bool]] = {
    "bare": (text(TOKEN), MTIME, EXPIRED_AT, True),
    "bare with an expiry": (text(TOKEN | {"expires_at": EXPIRES}), MTIME, EXPIRES, True),
    "no time": (text({"token": TOKEN | {"expires_at": EXPIRES}}), MTIME, EXPIRES, True),
    "null time": (text({"creation_timestamp": None, "token": TOKEN}), MTIME, EXPIRED_AT, True),
    "no expiry": (text({"creation_timestamp": ISSUED, "token": TOKEN}), ISSUED, EXPIRED_AT, False),
    "ruby": (text({"timestamp": ISSUED, "token": TOKEN}), ISSUED, EXPIRED_AT, False),
    "ruby, ISO": (text({"timestamp": ISO, "token": TOKEN}), ISSUED, EXPIRED_AT, False),
    "schwabdev 2": (
        text(
            {
                "access_token_issued": LATER,
                "refresh_token_issued": ISO,
                "token_dictionary": TOKEN,
            }
        ),
        ISSUED,
        EXPIRES + 86_400,
        False,
    ),
    "schwabdev 3": (schwabdev, ISSUED, EXPIRES + 86_400, False),
}


def store_of(folder: Path, **more: Any) -> TokenStore:
    """A store whose clock stands."""
    return TokenStore(folder / "tokens", now_s=lambda: float(NOW), **more)


@pytest.mark.parametrize("place", ["the folder", "the data folder"])
@pytest.mark.parametrize(("make", "born", "expires", "guessed"), SHAPES.values(), ids=SHAPES.keys())
def test_a_legacy_shape_is_upgraded_and_kept(
    tmp_path: Path, make: Make, born: int, expires: int, guessed: bool, place: str
) -> None:
    """Birth from what was issued, else the file's time and marked; no expiry: expired."""
    old = tmp_path / "data" / "schwab_tokens.json"
    store = store_of(tmp_path, old=old)
    source = store.path if place == "the folder" else old
    source.parent.mkdir()
    make(source)
    os.utime(source, (MTIME, MTIME))
    before = source.read_bytes()
    mode = old.parent.stat().st_mode if old.parent.exists() else 0

    store.prepare()
    store.prepare()

    on_disk = json.loads(store.path.read_bytes())
    assert on_disk["creation_timestamp"] == born
    assert on_disk["token"]["expires_at"] == expires
    assert (on_disk["token"]["access_token"], on_disk["token"]["refresh_token"]) == ("a", "r")
    assert on_disk.get(GUESSED, False) == guessed
    kept = source.with_name(f"{source.name}.{BAK}")
    assert kept.read_bytes() == before
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [each for each in source.parent.iterdir() if ".bak-" in each.name] == [kept]
    if source is old:
        assert not old.exists()
        assert old.parent.stat().st_mode == mode
    assert store_of(tmp_path).read() == on_disk


def test_a_guess_stays_one_through_renewals(tmp_path: Path) -> None:
    """schwab-py hands back birth and token alone; a new sign-in is no guess."""
    store = store_of(tmp_path)
    store.folder.mkdir()
    text(TOKEN)(store.path)
    store.prepare()
    born = store.read()["creation_timestamp"]
    renewed = {"creation_timestamp": born, "token": TOKEN | {"expires_at": NOW}}

    store.write(renewed)
    again = store_of(tmp_path).read()
    store.write(renewed | {"creation_timestamp": NOW})

    assert again[GUESSED] is True
    assert GUESSED not in store.read()


def test_a_stored_token_stands_above_the_old_place(tmp_path: Path) -> None:
    """The data folder's file is left alone where the store has a token of its own."""
    old = tmp_path / "schwab_tokens.json"
    text(TOKEN | {"refresh_token": "older"})(old)
    store = store_of(tmp_path, old=old)
    store.folder.mkdir()
    text({"creation_timestamp": ISSUED, "token": TOKEN | {"expires_at": EXPIRES}})(store.path)

    store.prepare()

    assert store.read()["token"]["refresh_token"] != "older"  # noqa: S105 # no password
    assert old.exists()
    assert [path.name for path in store.folder.iterdir() if path.name != "schwab_token.lock"] == [
        FILE
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text('{"creation_timestamp": 17000000'),
        lambda path: path.write_bytes(b"\0" * 64),
        lambda path: schwabdev(path, refresh="enc:gAAAA"),
        lambda path: schwabdev(path, table="other"),
        lambda path: path.write_bytes(b"SQLite format 3\0 and no more"),
        lambda path: path.write_text("[" * 100_000),
    ],
    ids=["truncated", "zeros", "encrypted", "another table", "cut SQLite", "deep"],
)
def test_pain_3_what_cannot_be_read_is_told_and_kept(tmp_path: Path, make: Make) -> None:
    """It stays as it is, also when a new sign-in takes its place."""
    store = store_of(tmp_path)
    store.folder.mkdir()
    make(store.path)
    before = store.path.read_bytes()

    store.prepare()
    with pytest.raises(SignInError, match="kept as it is"):
        store.read()
    seeded = store.seed("r")
    assert (store.path.read_bytes(), seeded) == (before, False)

    store.write({"creation_timestamp": ISSUED, "token": TOKEN | {"expires_at": EXPIRES}})

    assert store.read()["creation_timestamp"] == ISSUED
    assert (store.folder / f"{FILE}.{BAK}").read_bytes() == before


def test_two_old_files_of_one_second_are_both_kept(tmp_path: Path) -> None:
    """A name that is taken gets a number."""
    store = store_of(tmp_path)
    store.folder.mkdir()
    for refresh in ("r1", "r2"):
        text(TOKEN | {"refresh_token": refresh})(store.path)
        store.prepare()

    kept = sorted(path.name for path in store.folder.iterdir() if ".bak-" in path.name)
    assert kept == [f"{FILE}.{BAK}", f"{FILE}.{BAK}-1"]


def test_while_another_process_renews_nothing_is_upgraded(tmp_path: Path) -> None:
    """It is read as it is; whoever renews keeps the old file as well."""
    store, other = store_of(tmp_path), store_of(tmp_path)
    store.folder.mkdir()
    text(TOKEN)(store.path)
    handle = other._open_lock()
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)
        store.prepare()
        untouched = json.loads(store.path.read_bytes())
    finally:
        os.close(handle)

    assert untouched == TOKEN
    assert store.read()["token"]["refresh_token"] in TOKEN.values()
