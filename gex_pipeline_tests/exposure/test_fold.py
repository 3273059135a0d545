"""The fold: every null has its reason, unusable levels lie under raw, scopes are independent."""

import datetime
from typing import Any

import msgspec
import pytest

from gex_pipeline.errors import ConventionError
from gex_pipeline.exposure.carry import Configured, RateChoice
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.exposure.feed import Feed
from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.scopes import NAMES
from gex_pipeline.exposure.snapshot import GexSnapshot
from gex_pipeline_tests.exposure.builders import (
    ASOF_NS,
    LATER,
    NAN,
    NEXT,
    SPOT,
    Row,
    answer,
    assert_sound,
    chain,
    change,
    ladder,
    quoted,
    unexplained,
)
from gex_pipeline_tests.synthetic import synthetic_chain

QUOTED = change(
    change(quoted(ladder(), LATER, oi=10.0, volume=5.0, gamma=0.002), 5100, 1, oi=99.0, volume=9.0),
    4900,
    -1,
    oi=90.0,
    volume=8.0,
)
"""More calls above spot and more puts below: it crosses zero in between."""
UNQUOTED = [row._replace(bid=0.0, ask=0.0, iv=0.2) for row in QUOTED]
"""Vendor volatilities only: nothing of it can be trusted."""


def without(name: str, rows: list[Row] = QUOTED) -> list[Row]:
    """Return the rows with one column empty."""
    empty = 0.0 if name in {"oi", "volume"} else NAN
    return [Row(**(row._asdict() | {name: empty})) for row in rows]


CASES: dict[str, tuple[list[Row], str, dict[str, Any]]] = {
    "good": (QUOTED, "all", {}),
    "empty scope": (QUOTED, "0dte", {}),
    "no row": ([], "all", {}),
    "no spot": (QUOTED, "all", {"spot": NAN}),
    "no OI": (without("oi"), "all", {}),
    "no volume": (without("volume"), "all", {}),
    "neither": (without("oi", without("volume")), "all", {}),
    "no vendor gamma": (without("gamma"), "all", {}),
    "unusable": (UNQUOTED, "all", {}),
    "unusable, no volume": (without("volume", UNQUOTED), "all", {}),
    "no volatility": ([Row(5000, oi=3.0, volume=2.0)], "all", {}),
    "one strike": (
        [Row(5000, right, oi=3.0, iv=0.2, bid=9, ask=9.5) for right in (1, -1)],
        "all",
        {},
    ),
    "all expired": ([Row(5000, oi=3.0, iv=0.2, expiry="2025-05-30")], "all", {}),
    "first date unquoted": ([*QUOTED, Row(5000, expiry=NEXT, oi=0.1, iv=0.2)], "all", {}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_null_has_a_reason(case: str) -> None:
    """Among the snapshot's figures and those of its volume view; and no number is NaN."""
    rows, scope, options = CASES[case]

    assert_sound(answer(rows, scope, **options))


def reasons_of(case: str) -> dict[str, str]:
    """Return the reasons of a case's snapshot."""
    rows, scope, options = CASES[case]
    return answer(rows, scope, **options).null_reasons


@pytest.mark.parametrize(
    ("case", "field", "reason"),
    [
        ("empty scope", "net_gex", "no_contracts"),
        ("empty scope", "net_gex_volume", "no_contracts"),
        ("empty scope", "max_pain", "no_contracts"),
        ("empty scope", "confidence", "no_contracts"),
        ("no spot", "spot", "no_spot"),
        ("no spot", "net_gex", "no_spot"),
        ("no spot", "zero_gamma", "no_spot"),
        ("no spot", "max_pain", "no_spot"),
        ("no spot", "confidence", "no_spot"),
        ("no OI", "net_gex", "no_oi"),
        ("no OI", "zero_gamma", "no_oi"),
        ("no OI", "call_wall", "no_oi"),
        ("no OI", "max_pain", "no_oi"),
        ("no volume", "net_gex_volume", "no_volume"),
        ("neither", "net_gex", "no_oi"),
        ("neither", "net_gex_volume", "no_volume"),
        ("unusable", "zero_gamma", "coverage_unusable"),
        ("unusable", "call_wall", "coverage_unusable"),
        ("unusable", "put_wall", "coverage_unusable"),
        ("unusable", "walls", "coverage_unusable"),
        ("unusable", "expected_move", "coverage_unusable"),
        ("unusable, no volume", "net_gex_volume", "no_volume"),
        ("no volatility", "net_gex", "no_usable_quotes"),
        ("no volatility", "net_gex_volume", "no_usable_quotes"),
    ],
)
def test_the_reason_is_the_true_one(case: str, field: str, reason: str) -> None:
    """What is missing, and not merely the first thing that is."""
    assert reasons_of(case).get(field) == reason


def test_a_good_chain_needs_no_reason() -> None:
    """Nothing is null, and nothing lies under raw."""
    found = answer(QUOTED)

    assert unexplained(msgspec.to_builtins(found)) == []
    assert found.null_reasons == {}
    assert found.raw is None
    assert found.confidence_level == "high"


def test_unusable_coverage_moves_the_levels_under_raw() -> None:
    """Sums stay where they are; levels and walls of both weights are denied, and still there."""
    found = answer(UNQUOTED)
    assert found.confidence_level == "unusable"
    assert found.raw is not None
    assert found.volume is not None

    assert found.net_gex is not None
    assert found.gamma_at_spot is not None
    assert len(found.profile) == 61
    denied = (found.zero_gamma, found.call_wall, found.put_wall, found.walls, found.expected_move)
    assert denied == (None,) * 5
    assert found.flips == ()
    assert (found.volume.zero_gamma, found.volume.walls, found.volume.flips) == (None, None, ())
    assert found.raw.call_wall == 5100
    assert found.raw.put_wall == 4900
    assert found.raw.walls is not None
    assert found.raw.zero_gamma == found.raw.flips[0].spot
    assert found.raw.expected_move is not None
    assert found.raw.expected_move.reason == "no_parity_forward"
    assert found.raw.volume.walls is not None
    assert found.raw.volume.net_gex == found.volume.net_gex


def test_raw_levels_are_those_that_trust_would_have_shown() -> None:
    """The same chain with a dead feed: only trust is lost."""
    trusted = fold(chain(QUOTED))["all"]
    denied = fold(chain(QUOTED), feed=Feed(factor=0.0))["all"]
    assert denied.raw is not None

    for name in ("zero_gamma", "flips", "call_wall", "put_wall", "walls", "expected_move"):
        assert getattr(denied.raw, name) == getattr(trusted, name)
    assert denied.raw.volume == trusted.volume
    assert denied.net_gex == trusted.net_gex
    assert denied.profile == trusted.profile
    assert denied.strikes == trusted.strikes
    assert (denied.confidence, trusted.raw) == (0, None)


@pytest.mark.parametrize(
    ("spot", "scope", "contracts"), [(NAN, "all", 34), (NAN, "next", 34), (NAN, "0dte", 0)]
)
def test_no_spot(spot: float, scope: str, contracts: int) -> None:
    """All figures null, contracts still counted."""
    found = answer(QUOTED, scope, spot=spot)

    assert (found.spot, found.contracts) == (None, contracts)
    assert (found.net_gex, found.zero_gamma, found.profile, found.strikes) == (None, None, (), ())


def test_the_volume_view() -> None:
    """Five contracts each where open interest has ten, one strike apart."""
    found = answer(QUOTED)
    only = answer([row._replace(oi=row.volume) for row in QUOTED])
    assert found.volume is not None

    for name in (
        "net_gex",
        "call_gex",
        "put_gex",
        "dex",
        "vex",
        "cex",
        "flips",
        "walls",
        "profile",
    ):
        assert getattr(found.volume, name) == getattr(only, name)
    assert found.net_gex_volume == found.volume.net_gex


@pytest.mark.parametrize("scope", ["", "everything", "expiry:2025-13-01"])
def test_an_unknown_scope_is_refused(scope: str) -> None:
    """Before any work, also beside known ones and without a spot."""
    with pytest.raises(ConventionError, match="Scope"):
        fold(chain(QUOTED), ("all", scope))
    with pytest.raises(ConventionError, match="Scope"):
        fold(chain(QUOTED, spot=NAN), (scope,))


@pytest.mark.parametrize("seed", [1, 2])
def test_other_scopes_change_no_bit(seed: int) -> None:
    """Alone, in company, in another order: the same bytes."""
    cleaned = clean_chain(synthetic_chain(900, 20, seed=seed))
    together = fold(cleaned, (*NAMES, f"expiry:{LATER}"))
    backwards = fold(cleaned, tuple(reversed(together)))
    for scope, found in together.items():
        data = msgspec.json.encode(found)

        assert msgspec.json.encode(fold(cleaned, (scope,))[scope]) == data
        assert msgspec.json.encode(backwards[scope]) == data


def test_the_callers_rate_serves_where_the_chain_implies_none() -> None:
    """It discounts, and its source is shown."""
    found = fold(chain(QUOTED), configured=Configured(rate=RateChoice(0.05, "parent")))["all"]
    assert found.coverage is not None

    assert (found.coverage.rate, found.coverage.rate_source) == (0.05, "parent")
    assert found.net_gex != fold(chain(QUOTED))["all"].net_gex


def test_another_convention_is_another_identity() -> None:
    """A narrower window for forwards still answers, under its own id."""
    other = msgspec.structs.replace(GEXC_1, forward_strikes=4)
    found = fold(chain(QUOTED), convention=other)["all"]

    assert found.convention == other.id != GEXC_1.id
    assert fold(chain(QUOTED))["all"].convention == GEXC_1.id


def test_the_header() -> None:
    """Whose figures, of which moment, by which rule."""
    found = answer(QUOTED, "next")

    assert (found.symbol, found.scope, found.source, found.spot) == ("SPX", "next", "test", SPOT)
    assert (found.ts_event_ns, found.asof_rule) == (ASOF_NS, "session")
    assert (found.contracts, found.convention) == (34, "gexc-1:356bfcae")


def test_expired_rows_are_out_of_everything() -> None:
    """Counted in coverage, and no other byte changes."""
    expired = [Row(k, 1, expiry=datetime.date(2025, 5, 30), oi=1e6, iv=0.2) for k in (4900, 5000)]
    with_them, without_them = answer([*QUOTED, *expired]), answer(QUOTED)
    assert with_them.coverage is not None
    assert (with_them.coverage.expired_contracts, with_them.coverage.expired_oi) == (2, 2e6)

    def bare(found: GexSnapshot) -> GexSnapshot:
        assert found.coverage is not None
        coverage = msgspec.structs.replace(found.coverage, expired_contracts=0, expired_oi=0.0)
        return msgspec.structs.replace(found, coverage=coverage)

    assert bare(with_them) == bare(without_them)
