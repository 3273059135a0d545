"""Open interest: none of it on a closed market is a blank, not a fact; live and as of alike."""

import datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gex_pipeline.exposure.columns import Columns
from gex_pipeline.feeds.schwab.answers import read_part
from gex_pipeline.market import sessions
from gex_pipeline.market.events import OptionQuote
from gex_pipeline_tests.exposure.test_trades import NAMES, batch_of, bits, quote
from gex_pipeline_tests.synthetic import DAY

S = sessions.SECOND_NS
CLOSE_NS = sessions.et_ns(DAY, 16, 15)
WEEKEND = datetime.date(2025, 5, 11)
"""The Sunday on which the sample was taken."""


def held(*told: tuple[int, int | None]) -> float:
    """Return what stands after (time, open interest), the same one by one and all at once."""
    single, many = Columns("SPX"), Columns("SPX")
    events = [quote(recv_ns=ts_ns, open_interest=count) for ts_ns, count in told]
    for event in events:
        single.write(event)
    many.write_many(batch_of(events))
    assert bits(single.copy()) == bits(many.copy())
    return float(single.copy().open_interest[1])


@pytest.mark.parametrize(
    ("ts_ns", "count", "stands"),
    [
        (CLOSE_NS - 1, 0, 0.0),
        (CLOSE_NS, 0, 100.0),
        (CLOSE_NS, 7, 7.0),
        (sessions.regular_open_ns(DAY) - 1, 0, 100.0),
        (sessions.regular_open_ns(DAY), 0, 0.0),
        (sessions.et_ns(WEEKEND, 12), 0, 100.0),
        (CLOSE_NS - 1, None, 100.0),
        (CLOSE_NS, None, 100.0),
    ],
)
def test_a_blank_of_a_closed_market_changes_nothing(
    ts_ns: int, count: int | None, stands: float
) -> None:
    """In session 0 is believed; what the source does not say changes nothing at any time."""
    assert held((ts_ns - S, 100), (ts_ns, count)) == stands


def test_the_last_believed_count_of_a_batch_stands() -> None:
    """A blank behind it hides it not, and a count of the evening before the open is taken."""
    assert held((CLOSE_NS - S, 100), (CLOSE_NS, 120), (CLOSE_NS + S, 0)) == 120
    assert held((CLOSE_NS, 0)) == 0


TOLD = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(-3, 3), st.sampled_from([None, 0, 5, 9])),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(told=TOLD, cut=st.integers(0, 30))
def test_many_at_once_are_as_one_by_one(told: list[tuple[str, int, int | None]], cut: int) -> None:
    """Around the close, wherever a batch ends."""
    moments = sorted(CLOSE_NS + seconds * S for _, seconds, _ in told)
    events = [
        quote(name, ts_ns, open_interest=count)
        for (name, _, count), ts_ns in zip(told, moments, strict=True)
    ]
    single, many = Columns("SPX"), Columns("SPX")

    for event in events:
        single.write(event)
    for part in (events[:cut], events[cut:]):
        many.write_many(batch_of(part))

    assert bits(single.copy()) == bits(many.copy())


@pytest.mark.samples
def test_a_real_weekend_answer_zeroes_nothing(samples: Path) -> None:
    """Schwab's own Sunday: 162 contracts, all with open interest 0, after a good answer."""
    data = (samples / "schwab" / "chain_SPX_weekend_oi_zero.json").read_bytes()
    expiry = datetime.date(2025, 5, 20)
    part = read_part(data, expiry, expiry)
    sunday_ns = sessions.et_ns(WEEKEND, 12)
    blank = [each for each in part.events(sunday_ns) if isinstance(each, OptionQuote)]
    good = [
        msgspec.structs.replace(
            each, open_interest=index + 1, ts_recv_ns=sunday_ns - 3 * 86_400 * S
        )
        for index, each in enumerate(blank)
    ]
    columns = Columns("SPX")

    for event in (*good, *blank):
        columns.write(event)

    assert {event.open_interest for event in blank} == {0}
    assert (columns.copy().open_interest[1:] == np.arange(1, len(blank) + 1)).all()
