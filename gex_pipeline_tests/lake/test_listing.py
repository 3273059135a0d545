"""Listing: cheap when nothing changed, and never out of date."""

from pathlib import Path

import pytest

from gex_pipeline.errors import LakeVersionError
from gex_pipeline.lake import listing, records
from gex_pipeline.lake.listing import chain_of, chains, derived_records
from gex_pipeline.lake.parts import Manifest, Part, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline_tests.lake.builders import MONDAY, TAPE, add_part, derive, finish_day

TRADE = {"trades": [{"price": 6000.0}]}


@pytest.fixture
def paths(tmp_path: Path) -> LakePaths:
    """A lake of one part."""
    paths = LakePaths(tmp_path)
    add_part(paths, TRADE)
    return paths


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Monotonic time of the listing."""
    now = [1000.0]
    monkeypatch.setattr("gex_pipeline.lake.listing.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tapes whose folders were read."""
    seen: list[str] = []

    def read(paths: LakePaths, tape: str) -> object:
        seen.append(tape)
        return read_chain(paths, tape)

    monkeypatch.setattr(listing, "read_chain", read)
    return seen


def test_an_unchanged_folder_is_listed_no_more_once_it_is_settled(
    paths: LakePaths, clock: list[float], reads: list[str]
) -> None:
    """Listed while its last change may share a tick with the next one, then once more, then not."""
    assert chain_of(paths, TAPE).cursor == 1
    clock[0] += 0.09
    chain_of(paths, TAPE)
    clock[0] += 0.02
    chain_of(paths, TAPE)
    assert len(reads) == 3

    clock[0] += 1000
    assert chain_of(paths, TAPE).cursor == 1
    assert len(reads) == 3


def test_a_commit_is_seen_at_once(paths: LakePaths, clock: list[float]) -> None:
    """A part, a manifest, a tape that is new: each at the next listing."""
    for _ in range(3):
        chain_of(paths, TAPE)
        clock[0] += 1

    add_part(paths, TRADE)
    assert chain_of(paths, TAPE).cursor == 2
    clock[0] += 1
    add_part(paths, TRADE, tape="schwab.equity")
    assert [(each.tape, each.cursor) for each in chains(paths)] == [("schwab.equity", 1), (TAPE, 2)]
    finish_day(paths, {"trades": TRADE["trades"] * 2})
    assert [type(node) for node in chain_of(paths, TAPE).nodes] == [Manifest]


def test_a_record_is_decoded_once(paths: LakePaths) -> None:
    """The same file gives the same object; another file of that name is read."""
    place = paths.part(TAPE, 1) / "part.json"
    first = records.decoded(place, Part)
    assert records.decoded(place, Part) is first

    other = place.with_name("other.json")
    other.write_bytes(place.read_bytes().replace(b'"epoch":1', b'"epoch":7'))
    other.replace(place)

    assert records.decoded(place, Part).epoch == 7


def test_derived_records_are_replaced(paths: LakePaths) -> None:
    """The newest record of a name counts; other days stay."""
    derive(paths, "gex_1m", [{"spot": 1.0}])
    derive(paths, "gex_1m", [{"spot": 1.0}], date=MONDAY)
    assert [each.rows for each in derived_records(paths)] == [1, 1]

    derive(paths, "gex_1m", [{"spot": 1.0}, {"spot": 2.0}])

    assert [each.rows for each in derived_records(paths)] == [2, 1]


def test_a_newer_lake_is_refused_by_name(paths: LakePaths) -> None:
    """The file, its version, ours, and what to do."""
    add_part(paths, TRADE, schema=99)

    with pytest.raises(LakeVersionError, match=r"part\.json is of lake schema 99, .* Update gex"):
        chain_of(paths, TAPE)
