"""The chain's own judgements of its quotes."""

import msgspec
import numpy as np
import pytest

from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline_tests.exposure.builders import ASOF_NS, NAN, Row, chain


@pytest.mark.parametrize(
    ("bid", "ask", "usable"),
    [
        (1.0, 1.1, True),
        (1.0, 1.0, True),  # locked
        (1.1, 1.0, False),  # crossed
        (0.0, 1.0, False),
        (NAN, 1.0, False),
        (1.0, NAN, False),
        (-999.0, 1.0, False),
    ],
)
def test_two_sided(bid: float, ask: float, usable: bool) -> None:
    """A positive bid and an ask not below it."""
    assert bool(chain([Row(5000, bid=bid, ask=ask)]).two_sided[0, 0]) is usable


@pytest.mark.parametrize(
    ("age_s", "live", "usable"),
    [(300, True, True), (301, True, False), (301, False, True), (0, True, True)],
)
def test_live_quotes_age(age_s: int, live: bool, usable: bool) -> None:
    """Five minutes at most; the quotes of a file are all of one moment."""
    found = chain(
        [
            Row(5000, bid=1, ask=2, ts=ASOF_NS - age_s * SECOND_NS),
            Row(5005, bid=1, ask=2, ts=ASOF_NS),
        ]
    )

    two_sided = msgspec.structs.replace(found, live=live).two_sided

    assert two_sided[0].tolist() == [usable, True]


def test_a_live_quote_without_a_time_is_none() -> None:
    """Nobody knows how old it is."""
    found = msgspec.structs.replace(chain([Row(5000, bid=1, ask=2)]), live=True)

    assert not found.two_sided.any()


def test_the_middle() -> None:
    """(bid + ask) / 2, and NaN where a side is missing."""
    found = chain([Row(5000, bid=1, ask=2), Row(5005, bid=NAN, ask=2)])

    assert found.mid[0, 0] == 1.5
    assert np.isnan(found.mid[0, 1])


def test_contracts_count_expired_ones() -> None:
    """All that are listed."""
    assert chain([Row(5000), Row(5000, -1), Row(5000, expiry="2025-05-30")]).contracts == 3
