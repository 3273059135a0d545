"""The book: sums per group, and the scan of a scope."""

import numpy as np
import pytest

from gex_pipeline.exposure.book import Book, make_book
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.exposure.cut import cut_book
from gex_pipeline.exposure.fold import snapshots
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.scopes import scope_groups
from gex_pipeline.market.arrays import Floats
from gex_pipeline_tests.exposure.builders import (
    NEXT,
    OPEX,
    Row,
    chain,
    ladder,
    quoted,
    smile,
)
from gex_pipeline_tests.synthetic import synthetic_chain


def book(rows: list[Row], profile_nodes: int = 61) -> Book:
    """Return the book of rows."""
    found = chain(rows)
    return make_book(found, smile(found), GEXC_1, 2 * profile_nodes - 1)


def scan_of(of: Book, scope: str) -> tuple[Floats, Floats]:
    """Return nodes and sums of a scope's scan."""
    (cut,) = cut_book(of, [scope_groups(of.chain, of.smile.live, scope)])
    return cut.scan


ROWS = [
    *quoted(ladder(), NEXT, sigma=0.5, oi=10.0, volume=1.0),
    Row(5000, oi=9.0),  # the only row of its expiry, without a volatility
    *quoted(ladder(), OPEX, "SPX", oi=20.0),
    *quoted(ladder(), OPEX, "SPXW", oi=30.0),
]


def test_sums_are_the_lines_of_each_group() -> None:
    """Also where a group has no usable line: 0 and not its neighbour's."""
    found = book(ROWS)

    assert found.start.tolist() == [0, 17, 17, 34, 51]
    names = ("call_gex", "put_gex", "dex", "vex", "cex")
    for weight, exposure in enumerate(found.exposures):
        for row, name in enumerate(names):
            column = getattr(exposure, name)
            expected = [column[found.greeks.group == g].sum() for g in range(4)]
            scale = np.abs(column).sum()
            assert found.sums[weight, row] == pytest.approx(expected, abs=1e-14 * scale)
    assert (found.sums[:, :, 1] == 0).all()


def test_the_scan_at_spot_is_the_net_exposure() -> None:
    """Each group and weight, to 1e-9 of its gross."""
    cleaned = clean_chain(synthetic_chain(1000, 8))
    found = make_book(cleaned, smile(cleaned), GEXC_1)
    call, put = found.sums[:, 0], found.sums[:, 1]
    at_spot = found.scan[:, :, found.x.size // 2] * cleaned.spot

    assert np.max(np.abs(at_spot - (call + put)) / (call - put)) < 1e-12


@pytest.mark.parametrize(("scope", "nodes"), [("all", 121), ("next", 1201), ("monthly", 1201)])
def test_one_date_is_scanned_finely(scope: str, nodes: int) -> None:
    """Both roots of a date are one date; the fine scan agrees with the coarse at common nodes."""
    found = book(ROWS)
    groups = scope_groups(found.chain, found.smile.live, scope)
    x, sums = scan_of(found, scope)

    assert x.size == nodes
    assert sums.shape == (2, nodes)
    coarse = found.scan[:, groups].sum(axis=1)
    common = sums[:, :: (nodes - 1) // 120]
    assert common == pytest.approx(coarse, rel=1e-9, abs=1e-10 * np.abs(coarse).max())


@pytest.mark.parametrize("profile_nodes", [61, 201])
def test_the_inner_half_of_the_scan_is_the_profile(profile_nodes: int) -> None:
    """The scan spans twice the profile's +-10%, in the same steps."""
    x = book(ROWS, profile_nodes).x

    assert x.size == 2 * profile_nodes - 1
    inner = x[(profile_nodes - 1) // 2 : -(profile_nodes - 1) // 2]
    assert inner.size == profile_nodes
    assert np.exp(inner[[0, -1]]) == pytest.approx([1 / 1.1, 1.1], rel=1e-14)
    assert np.exp(x[[0, -1]]) == pytest.approx([1 / 1.21, 1.21], rel=1e-14)


def test_a_fine_scan_is_computed_once() -> None:
    """Several names of one date share it, and all else that is computed of it."""
    found = snapshots(book(ROWS), ("next", "front0", f"expiry:{NEXT}"))
    first, *others = found.values()

    assert list(found) == [answer.scope for answer in found.values()]
    assert first.strikes
    assert all(other.strikes is first.strikes for other in others)
