"""The basis in force at a moment, and figures moved by it; more in serving/test_futures.py."""

from typing import Any

import msgspec
import pytest

from gex_pipeline.exposure.feed import Feed
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.futures import FutureBasis, in_force, moved
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.synthetic import ASOF_NS, synthetic_chain

S = SECOND_NS
LIVE = FutureBasis(
    ts_ns=ASOF_NS,
    method="live",
    basis=21.5,
    contract="/ESM25",
    quoted="/ES",
    samples=30,
    ts_live_ns=ASOF_NS,
)
PARITY = msgspec.structs.replace(LIVE, method="parity", basis=20.0, ts_live_ns=ASOF_NS - 400 * S)
ROLLED = msgspec.structs.replace(LIVE, method=None, basis=None, reason="roll")


@pytest.mark.parametrize(
    ("known", "after_s", "contract", "expected"),
    [
        (LIVE, 0, None, (21.5, "live", 0, False, None)),
        (LIVE, 5, "/ESM25", (21.5, "live", 5, False, None)),
        (LIVE, 5.1, None, (21.5, "last", 5.1, False, None)),
        (LIVE, 300, None, (21.5, "last", 300, False, None)),
        (LIVE, 300.1, None, (21.5, "last", 300.1, True, None)),
        (LIVE, 86_400, None, (21.5, "last", 86_400, True, None)),
        (LIVE, 86_401, None, (None, None, 86_401, True, "too_old")),
        (LIVE, 9, "/ESU25", (None, None, 9, True, "roll")),
        (PARITY, 9, None, (20.0, "parity", 9, False, None)),
        (PARITY, 301, None, (20.0, "parity", 301, True, None)),
        (ROLLED, 1, "/ESM25", (None, None, 1, True, "roll")),
        (None, 0, "/ESM25", (None, None, None, True, "never_measured")),
    ],
)
def test_a_basis_grows_old_by_itself(
    known: FutureBasis | None, after_s: float, contract: str | None, expected: tuple[Any, ...]
) -> None:
    """Whatever the engine does: stale after 300 s, none after 24 hours or a roll."""
    found = in_force("/ES", known, ASOF_NS + round(after_s * S), 300, contract)
    assert (found.points, found.source, found.age_s, found.stale, found.reason) == expected


def test_a_setting_moves_the_limit() -> None:
    """A minute, and a basis of 61 s is stale."""
    assert in_force("/ES", LIVE, ASOF_NS + 61 * S, 60, None).stale


def test_whose_quotes_were_taken_is_told() -> None:
    """A contract of the root is its own, the micro is not."""
    for quoted, twin in (("/ES", False), ("/ESM25", False), ("/MES", True), (None, False)):
        known = msgspec.structs.replace(LIVE, quoted=quoted)
        assert in_force("/ES", known, ASOF_NS, 300, None).from_twin is twin


def test_what_lies_under_raw_moves_too() -> None:
    """Of coverage that does not carry levels; and reasons that are there stay as they are."""
    chain = synthetic_chain(600, 4)
    snapshot = fold(clean_chain(chain), ("all",), feed=Feed(factor=0.0))["all"]
    plain = msgspec.json.decode(msgspec.json.encode(snapshot))
    assert plain["confidence_level"] == "unusable"
    found = moved(plain, "ES_SPX", in_force("/ES", LIVE, ASOF_NS, 300, None))

    assert found["zero_gamma"] is None
    assert found["null_reasons"] == plain["null_reasons"]
    for name in ("call_wall", "put_wall", "zero_gamma"):
        assert found["raw"][name] == plain["raw"][name] + 21.5
        assert found["raw"]["volume"][name] == plain["raw"]["volume"][name] + 21.5
    assert found["raw"]["expected_move"]["strike"] == (
        plain["raw"]["expected_move"]["strike"] + 21.5
    )
    none = moved(plain, "ES_SPX", in_force("/ES", ROLLED, ASOF_NS, 300, None))
    assert none["raw"]["call_wall"] is None
    assert none["null_reasons"]["zero_gamma"] == "coverage_unusable"
    assert none["null_reasons"]["max_pain"] == "roll"


def test_the_snapshot_that_is_moved_stays_as_it_is() -> None:
    """Others answer from it."""
    snapshot = fold(clean_chain(synthetic_chain(600, 4)), ("all",))["all"]
    plain = msgspec.json.decode(msgspec.json.encode(snapshot))
    moved(plain, "/ES", in_force("/ES", LIVE, ASOF_NS, 300, None))
    moved(plain, "/ES", in_force("/ES", None, ASOF_NS, 300, None))
    assert plain == msgspec.json.decode(msgspec.json.encode(snapshot))
