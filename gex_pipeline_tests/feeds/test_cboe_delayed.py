"""Cboe's option JSON."""

import numpy as np
import pytest

from gex_pipeline.errors import ChainFileError
from gex_pipeline.feeds.cboe import read_delayed
from gex_pipeline_tests.feeds.builders import delayed_file, delayed_option


def test_one_option() -> None:
    """Numbers come as they are, IV is a fraction already, the time is UTC."""
    chain = read_delayed(delayed_file(delayed_option("RUTW231020P01812500")))

    assert (chain.symbol, chain.source, chain.spot) == ("RUT", "cboe-json", 1806.1)
    assert chain.ts_source_ns == 1695266262 * 10**9
    assert chain.root.tolist() == ["RUTW"]
    assert chain.expiry[0] == np.datetime64("2023-10-20")
    assert chain.right.tolist() == [-1]
    assert chain.strike.tolist() == [1812.5]
    assert (chain.bid[0], chain.ask[0], chain.iv[0]) == (40.5, 41.1, 0.1871)
    assert (chain.gamma[0], chain.open_interest[0], chain.volume[0]) == (0.0041, 120.0, 3.0)
    assert chain.ts_quote_ns.tolist() == [0]
    assert chain.settlement.tolist() == [""]


@pytest.mark.parametrize("missing", [None, "NaN", "--", ""])
def test_missing_numbers_are_nan(missing: str | None) -> None:
    """Null, a text that is no number, or no key at all."""
    without_key = delayed_option()
    del without_key["bid"]
    chain = read_delayed(
        delayed_file(delayed_option(bid=missing), without_key, current_price=missing)
    )

    assert np.isnan(chain.bid).all()
    assert np.isnan(chain.spot)
    assert chain.ask.tolist() == [41.1, 41.1]


def test_numbers_as_text_count() -> None:
    """A number in quotes is that number."""
    assert read_delayed(delayed_file(delayed_option(bid="40.25"))).bid.tolist() == [40.25]


@pytest.mark.parametrize(
    ("symbol", "named"),
    [
        ("_SPX", "SPX"),
        ("^NDX", "NDX"),
        ("$XSP", "XSP"),
        ("AAPL", "AAPL"),
        (None, "RUT"),
        ("", "RUT"),
    ],
)
def test_symbol(symbol: str | None, named: str) -> None:
    """The document's symbol without its mark; without one, the roots' underlying."""
    assert read_delayed(delayed_file(symbol=symbol)).symbol == named


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        ("2023-09-21T03:17:42+00:00", 1695266262),
        ("2023-09-20 23:17:42-04:00", 1695266262),
        ("yesterday", 0),
        ("0001-01-01 00:00:00", 0),
        (None, 0),
        (12, 0),
    ],
)
def test_timestamp(timestamp: str | int | None, seconds: int) -> None:
    """UTC unless it names an offset; 0 if it is no time."""
    assert read_delayed(delayed_file(timestamp=timestamp)).ts_source_ns == seconds * 10**9


def test_unusable_options_are_counted() -> None:
    """Symbols that are none and adjusted roots make no row."""
    options = [
        delayed_option(name) for name in ("RUT231020C01800000", "RUT", "RUT1231020C01800000")
    ]
    chain = read_delayed(delayed_file(*options, delayed_option(option=None)))  # type: ignore[arg-type]

    assert len(chain) == 1
    assert chain.dropped == {"symbol": 2, "adjusted": 1}


def test_another_shape_is_refused_with_the_place() -> None:
    """The message says where the document is not what it should be."""
    with pytest.raises(
        ChainFileError, match=r"found a Cboe option JSON of another shape .*options"
    ):
        read_delayed(b'{"data": {"symbol": "_SPX"}}')
