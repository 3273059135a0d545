"""OCC symbols, one at a time and a column at once."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gex_pipeline.errors import ContractError
from gex_pipeline.market.contracts import (
    OptionContract,
    Right,
    format_occ,
    parse_occ,
    parse_occ_columns,
)

RIGHTS: tuple[Right, Right] = ("C", "P")

BAD_SYMBOLS = (
    "",
    "SPX",
    "SPXW  251308C06880000",  # month 13
    "SPXW  250230C06880000",  # 30 February
    "SPXW  250229C06880000",  # no leap year
    "SPXW  250931P06880000",  # 31 September
    "SPXW  250001P06880000",  # month 0
    "SPXW  250100P06880000",  # day 0
    "SPXW  251208X06880000",  # neither call nor put
    "SPXW  251208c06880000",
    "spxw  251208C06880000",
    "SPXW  251208C0688000",  # a digit short
    "SPXW  251208C068800000",  # a digit long
    "SPXW  251208C00000000",  # strike 0
    "SPXW 251208C06880000",  # padded to 5
    "SPXW   251208C06880000",  # padded to 7
    " SPXW 251208C06880000",
    "SP XW 251208C06880000",
    "SPXWWWW251208C06880000",  # seven letters
    "      251208C06880000",  # no root
    "251208C06880000",
    "SPXW  25120８C06880000",  # a digit, but not one of ours
    "SPXW  251208C0688000é",
    "SPX\x00  251208C06880000",
    "SPXW  251208C06880000 ",
    "SPXW  251208C06880000\n",
    "./ESZ25",
)


@st.composite
def contracts(draw: st.DrawFn) -> OptionContract:
    """Any contract that OCC can write."""
    return OptionContract(
        root=draw(st.from_regex(r"[A-Z0-9]{1,6}", fullmatch=True)),
        expiry=draw(st.dates(datetime.date(2000, 1, 1), datetime.date(2099, 12, 31))),
        right=draw(st.sampled_from(RIGHTS)),
        strike=draw(st.integers(1, 99_999_999)) / 1000,
    )


def test_parse_by_hand() -> None:
    """SPXW, 8 December 2025, call, 06880000 thousandths = 6880 dollars."""
    expected = OptionContract("SPXW", datetime.date(2025, 12, 8), "C", 6880.0)

    assert parse_occ("SPXW  251208C06880000") == expected
    assert parse_occ("SPXW251208C06880000") == expected


@pytest.mark.parametrize(
    ("digits", "strike"),
    [("00650500", 650.5), ("00002125", 2.125), ("00000001", 0.001), ("99999999", 99_999.999)],
)
def test_strike_keeps_its_decimals(digits: str, strike: float) -> None:
    """A strike of 650.5 is not 650: all three decimals count."""
    assert parse_occ(f"SPY   261120P{digits}").strike == strike
    assert parse_occ_columns([f"SPY261120P{digits}"]).strike.tolist() == [strike]


def test_adjusted_root_ends_in_a_digit() -> None:
    """BABA2 delivers something else than 100 shares of BABA."""
    assert parse_occ("BABA2 251219C00100000").adjusted
    assert not parse_occ("BABA  251219C00100000").adjusted


@pytest.mark.parametrize("text", BAD_SYMBOLS)
def test_bad_symbol_is_named(text: str) -> None:
    """What is no contract raises an error that repeats the text and shows the right form."""
    with pytest.raises(ContractError, match="Expected an OCC symbol") as error:
        parse_occ(text)

    assert repr(text) in str(error.value)


@given(contracts())
def test_round_trip(contract: OptionContract) -> None:
    """Each contract comes back equal from its 21 characters and from the unpadded form."""
    text = format_occ(contract)

    assert len(text) == 21
    assert parse_occ(text) == contract
    assert parse_occ(text.replace(" ", "")) == contract


@pytest.mark.parametrize(
    ("root", "year", "strike"),
    [
        ("SPX", 1999, 1.0),
        ("SPX", 2100, 1.0),
        ("SPX", 2025, 0.0),
        ("SPX", 2025, 100_000.0),
        ("SPX", 2025, 1.0005),
        ("SPX", 2025, float("nan")),
        ("SPX", 2025, -1.0),
        ("spx", 2025, 1.0),
        ("SPXWEEK", 2025, 1.0),
        ("", 2025, 1.0),
        ("A/B", 2025, 1.0),
    ],
)
def test_what_occ_cannot_write_is_refused(root: str, year: int, strike: float) -> None:
    """A root, year or strike that does not fit raises instead of being cut to fit."""
    with pytest.raises(ContractError):
        format_occ(OptionContract(root, datetime.date(year, 6, 1), "C", strike))


def test_columns_by_hand() -> None:
    """Roots, dates, +1 and -1, dollars; the bad row in the middle holds only empty values."""
    columns = parse_occ_columns(["SPXW  251208C06880000", "junk", "BABA2251219P00100500"])

    assert columns.ok.tolist() == [True, False, True]
    assert columns.root.tolist() == ["SPXW", "", "BABA2"]
    assert columns.expiry.astype(str).tolist() == ["2025-12-08", "NaT", "2025-12-19"]
    assert columns.right.tolist() == [1, 0, -1]
    np.testing.assert_array_equal(columns.strike, [6880.0, np.nan, 100.5])


def test_no_symbols_no_rows() -> None:
    """An empty chain is five empty columns."""
    assert [column.size for column in parse_occ_columns([])] == [0] * 5


def test_columns_refuse_what_the_parser_refuses() -> None:
    """The fast parser and the strict one agree on every kind of bad symbol."""
    assert not parse_occ_columns(BAD_SYMBOLS).ok.any()


@given(st.lists(st.one_of(contracts().map(format_occ), st.text(max_size=25))))
def test_columns_agree_with_the_parser(symbols: list[str]) -> None:
    """Any text at all: never an exception, and the same verdict and contract row by row."""
    columns = parse_occ_columns(symbols)

    for row, text in enumerate(symbols):
        if not columns.ok[row]:
            with pytest.raises(ContractError):
                parse_occ(text)
            continue
        contract = parse_occ(text)
        assert columns.root[row] == contract.root
        assert columns.expiry[row] == np.datetime64(contract.expiry)
        assert columns.right[row] == (1 if contract.right == "C" else -1)
        assert columns.strike[row] == contract.strike
