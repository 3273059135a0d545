"""The surface: what it sums to, what is 0 in it and what is null."""

import math
from typing import Any, get_args

import msgspec
import numpy as np
import pytest

from gex_pipeline.errors import ConventionError
from gex_pipeline.exposure.book import make_book
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.exposure.fold import fold, snapshots
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.scopes import NAMES
from gex_pipeline.exposure.smile import solve_smile
from gex_pipeline.exposure.surface import Asked, Cells, Kind, Surface, chain_surface, surface
from gex_pipeline.market.arrays import Floats
from gex_pipeline_tests.exposure.builders import LATER, NEXT, Row, chain, change, ladder, quoted
from gex_pipeline_tests.synthetic import synthetic_chain

TIGHT = 1e-12
ALL: dict[str, Any] = {"span": None}


def cells(found: Surface, weight: str = "open_interest") -> Cells:
    """Return a weight's cells, which are there."""
    some: Cells = getattr(found, weight)
    assert some is not None
    return some


def two_roots() -> list[Row]:
    """Return two dates; the later one has both roots."""
    return [
        *quoted(ladder(), NEXT, oi=10.0, volume=3.0),
        *quoted(ladder(4900, 5100), LATER, oi=20.0, volume=1.0),
        *quoted(ladder(), LATER, "SPX", oi=5.0, volume=2.0),
    ]


@pytest.mark.parametrize("scope", NAMES)
def test_rows_and_columns_add_up_to_the_strikes_and_expiries(scope: str) -> None:
    """To 1e-12 of the gross, by open interest and by volume, calls, puts and net."""
    lines = clean_chain(synthetic_chain(1600, 20))
    snapshot = fold(lines, (scope,))[scope]
    found = chain_surface(lines, Asked(scope=scope, each_root=True, span=None))

    assert found.strikes.tolist() == [row.strike for row in snapshot.strikes]
    assert [(c.date, c.roots, c.settle_ns) for c in found.columns] == [
        (row.expiry, (row.root,), row.settle_ns) for row in snapshot.expiries
    ]
    assert snapshot.volume is not None
    for weight, suffix, gross in (
        ("open_interest", "", snapshot.gross_gex),
        ("volume", "_volume", snapshot.volume.gross_gex),
    ):
        some, tolerance = cells(found, weight), TIGHT * (gross or 0)
        for side in ("call", "put", "net"):
            rows = [getattr(row, f"{side}_gex{suffix}") or 0 for row in snapshot.strikes]
            assert np.allclose(np.nansum(getattr(some, side), axis=1), rows, 0, tolerance)
        net = [getattr(row, f"net_gex{suffix}") or 0 for row in snapshot.expiries]
        assert np.allclose(np.nansum(some.net, axis=0), net, 0, tolerance)
    calls = [row.call_gex or 0 for row in snapshot.expiries]
    tolerance = TIGHT * (snapshot.gross_gex or 0)
    assert np.allclose(np.nansum(cells(found).call, axis=0), calls, 0, tolerance)


@pytest.mark.parametrize("kind", ["gex", "dex", "vex", "cex"])
@pytest.mark.parametrize("scope", ["all", "monthly", "front1"])
def test_every_exposure_adds_up_to_the_totals(kind: Kind, scope: str) -> None:
    """Net of all cells is the snapshot's figure, and calls and puts are its two parts."""
    lines = clean_chain(synthetic_chain(1600, 20))
    snapshot = fold(lines, (scope,))[scope]
    found = chain_surface(lines, Asked(scope=scope, exposure=kind, span=None))

    assert snapshot.volume is not None
    for weight, view in (("open_interest", snapshot), ("volume", snapshot.volume)):
        some = cells(found, weight)
        size = float(np.nansum(np.abs(some.call)) + np.nansum(np.abs(some.put)))
        total = getattr(view, "net_gex" if kind == "gex" else kind)
        assert np.nansum(some.net) == pytest.approx(total, abs=TIGHT * size)
        assert np.allclose(some.call + some.put, some.net, 0, TIGHT * size, equal_nan=True)


def test_the_vendors_surface_adds_up_to_the_vendors_total() -> None:
    """Unexpired rows, its own gamma; null where it gives none."""
    lines = clean_chain(synthetic_chain(1600, 20))
    lines = msgspec.structs.replace(
        lines, gamma=np.where(lines.strike == 6000, np.nan, lines.gamma)
    )
    found = chain_surface(lines, Asked(exposure="vendor", span=None))
    vendor = fold(lines)["all"].vendor

    assert vendor is not None
    some = cells(found)
    assert np.nansum(some.net) == pytest.approx(vendor.net_gex, abs=TIGHT * vendor.gross_gex)
    assert np.isnan(some.net[found.strikes == 6000]).all()

    without = msgspec.structs.replace(lines, gamma=np.full_like(lines.gamma, np.nan))
    found = chain_surface(without, Asked(exposure="vendor"))
    assert (found.open_interest, found.volume) == (None, None)
    assert found.null_reasons == dict.fromkeys(("open_interest", "volume"), "no_vendor_gamma")


def test_one_cell_by_hand() -> None:
    """A call of 10 and a put of 4 contracts at one strike: gamma x 10 x 100 x S^2 x 1%, less 4."""
    rows = change(quoted(ladder(), LATER, oi=10.0), 5000, -1, oi=4.0)
    book = made(rows)
    found = surface(book, Asked())

    line = int(np.flatnonzero(book.chain.strike == 5000)[0])
    gamma = book.greeks.gamma[book.greeks.line == line][0]
    row = found.strikes.tolist().index(5000)
    assert cells(found).call[row, 0] == pytest.approx(gamma * 10 * 100 * 5000**2 * 0.01)
    assert cells(found).put[row, 0] == pytest.approx(-gamma * 4 * 100 * 5000**2 * 0.01)
    assert cells(found).net[row, 0] == pytest.approx(gamma * 6 * 100 * 5000**2 * 0.01)


def test_roots_are_summed_or_apart() -> None:
    """Two roots of a date are one column, and two on request; both add up to the same."""
    book = made(two_roots())
    together, apart = surface(book, Asked(**ALL)), surface(book, Asked(each_root=True, **ALL))

    assert [(c.date, c.roots) for c in together.columns] == [
        (NEXT, ("SPXW",)),
        (LATER, ("SPX", "SPXW")),
    ]
    assert [(c.date, c.roots) for c in apart.columns] == [
        (NEXT, ("SPXW",)),
        (LATER, ("SPX",)),
        (LATER, ("SPXW",)),
    ]
    assert together.columns[1].settle_ns == apart.columns[2].settle_ns > apart.columns[1].settle_ns
    both = np.nansum(cells(apart).net[:, 1:], axis=1)
    assert np.allclose(cells(together).net[:, 1], both, 1e-12)


def test_a_cell_is_0_where_listed_and_null_where_not_listed_or_excluded() -> None:
    """0 is a fact, null is not knowing; a side that is not listed is null alone."""
    rows = change(quoted(ladder(), LATER, oi=1.0), 4900, 1, oi=0.0)
    rows = change(rows, 4900, -1, oi=0.0)
    rows = [row for row in rows if (row.strike, row.right) != (5100, -1)]
    rows += [*quoted(ladder(4950, 5050), NEXT, oi=1.0), Row(4800, -1, oi=50.0)]
    found = surface(made(rows), Asked())
    at = {strike: row for row, strike in enumerate(found.strikes.tolist())}
    some = cells(found)

    assert (some.call[at[4900], 1], some.put[at[4900], 1], some.net[at[4900], 1]) == (0, 0, 0)
    assert math.isnan(some.net[at[4900], 0])  # not listed on the first date
    assert math.isnan(some.net[at[4800], 1])  # listed, without a volatility
    assert math.isnan(some.put[at[5100], 1])
    assert some.net[at[5100], 1] == some.call[at[5100], 1] > 0


def test_the_span_leaves_out_far_strikes_and_says_how_many() -> None:
    """|log(K/S)| up to the span, 10% unless another is asked for; none of it changes a cell."""
    lines = clean_chain(synthetic_chain(1600, 4))
    every, near = chain_surface(lines, Asked(**ALL)), chain_surface(lines, Asked(span=0.02))
    inside = np.abs(np.log(every.strikes / 6000)) <= 0.02

    assert (every.strikes_left_out, Asked().span) == (0, 0.1)
    assert near.strikes.tolist() == every.strikes[inside].tolist()
    assert near.strikes_left_out == int((~inside).sum())
    assert same(cells(near).net, cells(every).net[inside])


def test_a_scope_is_part_of_all() -> None:
    """Its columns are those of all, cell for cell."""
    lines = clean_chain(synthetic_chain(1600, 20))
    every, some = (chain_surface(lines, Asked(scope=s, **ALL)) for s in ("all", "to_opex"))
    rows = np.isin(every.strikes, some.strikes)

    assert some.columns == every.columns[: len(some.columns)]
    assert same(cells(some).net, cells(every).net[rows][:, : len(some.columns)])


def test_a_weight_without_an_answer_is_null_with_its_reason() -> None:
    """No volume, no contracts, no spot; a weight that was not asked for is null without."""
    quiet = surface(made(quoted(ladder(), oi=1.0)), Asked())
    assert (quiet.volume, quiet.null_reasons) == (None, {"volume": "no_volume"})

    one = surface(made(quoted(ladder(), oi=1.0)), Asked(weights=("open_interest",)))
    assert (one.volume, one.null_reasons) == (None, {})

    empty = surface(made(quoted(ladder(), oi=1.0)), Asked(scope="0dte"))
    assert (empty.columns, empty.strikes.size) == ((), 0)
    assert set(empty.null_reasons.values()) == {"no_contracts"}

    lines = msgspec.structs.replace(clean_chain(synthetic_chain(200, 2)), spot=np.nan)
    blind = chain_surface(lines, Asked())
    assert (blind.strikes.size, set(blind.null_reasons.values())) == (0, {"no_spot"})


def test_an_unknown_scope_is_refused() -> None:
    """As the fold refuses it."""
    with pytest.raises(ConventionError, match="front0"):
        chain_surface(clean_chain(synthetic_chain(200, 2)), Asked(scope="some"))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_the_order_of_rows_changes_no_bit(kind: Kind) -> None:
    """Two orders of the same rows, one surface."""
    rows = two_roots()
    first, second = (surface(made(some), Asked(exposure=kind)) for some in (rows, rows[::-1]))

    for weight in ("open_interest", "volume"):
        one, other = getattr(first, weight), getattr(second, weight)
        assert (one is None) == (other is None)
        if one is not None:
            assert same(one.net, other.net)


def test_the_snapshot_of_the_same_book_has_the_same_answers() -> None:
    """A weight is null in the surface exactly where its figures are."""
    book = made(two_roots())
    for scope, snapshot in snapshots(book, NAMES).items():
        found = surface(book, Asked(scope=scope))
        assert (found.open_interest is None) == (snapshot.net_gex is None)
        assert (found.volume is None) == (snapshot.net_gex_volume is None)


def made(rows: list[Row]) -> Any:
    """Return the book of rows."""
    lines = chain(rows)
    return make_book(lines, solve_smile(lines, GEXC_1), GEXC_1)


def same(one: Floats, other: Floats) -> bool:
    """Whether two matrices are equal to the bit, NaN where the other has it."""
    return bool(np.array_equal(one, other, equal_nan=True))
