"""Schwab's chain answer."""

from typing import Any

import numpy as np
import pytest

from gex_pipeline.errors import ChainFileError
from gex_pipeline.feeds.schwab.chains import read_chain
from gex_pipeline_tests.feeds.builders import schwab_contract, schwab_file

IN_SESSION_MS = 1747236600000  # Wednesday 2025-05-14, 11:30 New York
EVENING_MS = IN_SESSION_MS + 8 * 3_600_000
QUOTE = {"bid": 228.3, "ask": 228.5, "last": 228.1, "mark": 228.2}


def share_spot(underlying: dict[str, Any] | None, **fields: Any) -> float:
    """Return the spot of a share's chain whose underlyingPrice is 227."""
    share: dict[str, Any] = {
        "symbol": "AAPL",
        "isIndex": False,
        "underlyingPrice": 227.0,
        "underlying": underlying,
    }
    return read_chain(schwab_file(**share | fields)).spot


def test_one_contract() -> None:
    """Percent becomes a fraction, milliseconds nanoseconds; the placeholder 29 is never used."""
    chain = read_chain(schwab_file())

    assert (chain.symbol, chain.source, chain.spot) == ("SPX", "schwab-json", 5659.91)
    assert chain.root.tolist() == ["SPXW"]
    assert chain.expiry[0] == np.datetime64("2025-05-20")
    assert chain.right.tolist() == [1]
    assert chain.strike.tolist() == [5660.0]
    assert (chain.bid[0], chain.ask[0]) == (76.0, 77.4)
    assert chain.iv[0] == pytest.approx(0.18658, rel=1e-15)
    assert (chain.gamma[0], chain.open_interest[0], chain.volume[0]) == (0.002, 44.0, 35.0)
    assert chain.ts_quote_ns.tolist() == [1746824397889000000]
    assert chain.ts_source_ns == 1746824397889000000
    assert chain.settlement.tolist() == ["P"]
    assert chain.dropped == {}


def test_a_strike_may_hold_several_contracts() -> None:
    """AM and PM contracts of one date share a strike's list; the root tells them apart."""
    am = schwab_contract("SPX   250516C05660000", settlementType="A")
    pm = schwab_contract("SPXW  250516C05660000")
    put = schwab_contract("SPXW  250516P05660000", settlementType="?")
    chain = read_chain(schwab_file(am, pm, put, key="2025-05-16:2"))

    assert chain.root.tolist() == ["SPX", "SPXW", "SPXW"]
    assert chain.settlement.tolist() == ["A", "P", ""]
    assert chain.right.tolist() == [1, 1, -1]


@pytest.mark.parametrize("absent", [-999.0, "-999.0", "NaN", None])
def test_absent_greeks_are_nan(absent: float | str | None) -> None:
    """-999 is Schwab's word for none, not a volatility of -9.99."""
    chain = read_chain(schwab_file(schwab_contract(volatility=absent, gamma=absent)))

    assert np.isnan(chain.iv).all()
    assert np.isnan(chain.gamma).all()


def test_sentinels_of_quotes_stay() -> None:
    """A bid of -999 reaches the engine, which counts it."""
    assert read_chain(schwab_file(schwab_contract(bid=-999.0))).bid.tolist() == [-999.0]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"multiplier": 10.0}, "multiplier"),
        ({"multiplier": 10.0, "mini": True}, "multiplier"),
        ({"mini": True}, "adjusted"),
        ({"nonStandard": True}, "adjusted"),
        ({"symbol": "BABA2 250520C00100000"}, "adjusted"),
        ({"symbol": "SPXW", "strikePrice": "?"}, "symbol"),
    ],
)
def test_other_contracts_are_dropped_and_counted(fields: dict[str, Any], reason: str) -> None:
    """What delivers something else than 100 plain units makes no row."""
    chain = read_chain(schwab_file(schwab_contract(), schwab_contract(**fields)))

    assert len(chain) == 1
    assert chain.dropped == {reason: 1}


@pytest.mark.parametrize(
    ("timestamp", "key", "expiry"),
    [
        ("2025-05-20T20:00:00.000+00:00", "2025-05-19:8", "2025-05-20"),
        ("2025-05-21T00:30:00.000+00:00", "2025-05-19:8", "2025-05-20"),
        (None, "2025-05-20:9", "2025-05-20"),
        ("soon", "2025-05-20:9", "2025-05-20"),
    ],
)
def test_fields_stand_in_for_a_symbol(timestamp: str | None, key: str, expiry: str) -> None:
    """Without an OCC symbol the contract is its own fields, the date New York's or the key's."""
    contract = schwab_contract(optionRoot="SPXW", expirationDate=timestamp) | {"symbol": None}
    chain = read_chain(schwab_file(contract, key=key))

    assert chain.root.tolist() == ["SPXW"]
    assert chain.expiry[0] == np.datetime64(expiry)
    assert (chain.right[0], chain.strike[0]) == (1, 5660.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"optionRoot": "TOOLONGROOT"},
        {"optionRoot": None},
        {"expirationDate": None},
        {"putCall": None},
    ],
)
def test_fields_that_name_nothing_are_counted(fields: dict[str, Any]) -> None:
    """No symbol and a gap in the fields: no contract."""
    whole = schwab_contract()
    contract = whole | {"symbol": "", "optionRoot": "SPXW"} | fields
    listed = {"2025-13-40:9": {"5660.0": [contract]}}
    chain = read_chain(schwab_file(callExpDateMap=listed))

    assert chain.dropped == {"symbol": 1}


@pytest.mark.parametrize(
    ("underlying", "spot"),
    [
        (QUOTE | {"quoteTime": IN_SESSION_MS}, 228.4),
        (QUOTE | {"tradeTime": IN_SESSION_MS, "quoteTime": None}, 228.4),
        (QUOTE | {"quoteTime": IN_SESSION_MS, "bid": 0.0}, 228.1),
        (QUOTE | {"quoteTime": IN_SESSION_MS, "bid": 229.0}, 228.1),
        (QUOTE | {"quoteTime": EVENING_MS}, 228.1),
        ({"quoteTime": EVENING_MS, "mark": 228.2}, 228.2),
        ({"quoteTime": IN_SESSION_MS}, 227.0),
        (None, 227.0),
    ],
)
def test_spot_of_a_share(underlying: dict[str, Any] | None, spot: float) -> None:
    """In session the middle of a two-sided quote; else the last price; else underlyingPrice."""
    assert share_spot(underlying) == pytest.approx(spot, rel=1e-15)


def test_spot_of_an_index_is_its_level() -> None:
    """An index has no quote: its level counts, in session too."""
    assert share_spot(QUOTE | {"quoteTime": IN_SESSION_MS}, isIndex=True) == 227.0


def test_no_spot_is_nan() -> None:
    """A chain without any price has none, for the engine to report."""
    assert np.isnan(share_spot(None, underlyingPrice=-999.0))


def test_source_time_is_the_newest_in_the_answer() -> None:
    """The underlying's, or the options': an index stands still while its options quote on."""
    quoted_ms = int(read_chain(schwab_file()).ts_quote_ns.max()) // 10**6
    for index_ms in (quoted_ms - 900_000, quoted_ms + 5):
        times = {"quoteTime": index_ms - 3, "tradeTime": index_ms}
        newest_ms = max(index_ms, quoted_ms)

        assert read_chain(schwab_file(underlying=times)).ts_source_ns == newest_ms * 10**6


def test_a_chain_cut_by_schwab_says_so() -> None:
    """Its rows are read, and `truncated` is counted."""
    chain = read_chain(schwab_file(isChainTruncated=True))

    assert len(chain) == 1
    assert chain.dropped == {"truncated": 1}


@pytest.mark.parametrize("status", ["NO_DATA", "FAILED"])
def test_an_answer_without_contracts_is_an_empty_chain(status: str) -> None:
    """A window without expiries is no error of the feed."""
    chain = read_chain(schwab_file(status=status, callExpDateMap={}, putExpDateMap=None))

    assert len(chain) == 0
    assert chain.ts_source_ns == 0


def test_another_shape_is_refused_with_the_place() -> None:
    """The message says where the document is not what it should be."""
    with pytest.raises(
        ChainFileError, match=r"found a Schwab chain JSON of another shape .*Expected"
    ):
        read_chain(b'{"callExpDateMap": {"2025-05-20:9": []}}')
