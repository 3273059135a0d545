"""Cboe's quote table."""

import numpy as np
import pytest

from gex_pipeline.errors import ChainFileError
from gex_pipeline.feeds.cboe import read_table
from gex_pipeline_tests.feeds.builders import (
    CSV_COLUMNS,
    CSV_DATE,
    CSV_NAME,
    CSV_PREAMBLE,
    CSV_SIDE,
    DAT_COLUMNS,
    DAT_DATE,
    DAT_PREAMBLE,
    OLD_COLUMNS,
    table_file,
    table_row,
)

OLD_CALL = "2.1,0.1,2.0,2.2,5,100"
OLD_PUT = "1.1,-0.1,1.0,1.2,6,200"


def old_file(call: str, put: str) -> bytes:
    """Return a table of one row whose columns hold neither date nor strike."""
    row = f"{call},{OLD_CALL},{put},{OLD_PUT},"
    return table_file(
        row, preamble=("ACME (ACME, INC),185.08,-0.27,", DAT_DATE), columns=OLD_COLUMNS
    )


def test_one_row_is_a_call_and_a_put() -> None:
    """Every column comes from its own side, as printed, the call first."""
    chain = read_table(table_file(table_row("4700")))

    assert (chain.symbol, chain.source, chain.spot) == ("SPX", "cboe-csv", 4697.2402)
    assert chain.ts_source_ns == 1704642720 * 10**9
    assert chain.root.tolist() == ["SPXW", "SPXW"]
    assert chain.expiry.tolist() == [np.datetime64("2024-01-19").item()] * 2
    assert chain.right.tolist() == [1, -1]
    assert chain.strike.tolist() == [4700.0, 4700.0]
    assert chain.bid.tolist() == [50.0, 48.0]
    assert chain.ask.tolist() == [51.0, 49.5]
    assert chain.iv.tolist() == [0.12, 0.13]
    assert chain.gamma.tolist() == [0.0031, 0.0032]
    assert chain.open_interest.tolist() == [1200.0, 800.0]
    assert chain.volume.tolist() == [7.0, 9.0]
    assert chain.ts_quote_ns.tolist() == [0, 0]
    assert chain.settlement.tolist() == ["", ""]
    assert chain.dropped == {}


def test_rows_keep_their_order() -> None:
    """A chain is in the file's order, call and put of a row side by side."""
    chain = read_table(table_file(table_row("4800"), table_row("4700", root="SPX")))

    assert chain.strike.tolist() == [4800.0, 4800.0, 4700.0, 4700.0]
    assert chain.root.tolist() == ["SPXW", "SPXW", "SPX", "SPX"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    "preamble",
    [
        CSV_PREAMBLE,
        (CSV_NAME, CSV_DATE),
        ("---Example Data---", CSV_NAME, CSV_DATE),
        ("", "", '"S&P, 500 INDEX",Last: 4697.2402,Change: 1', CSV_DATE, ""),
    ],
)
def test_the_table_is_found_below_any_header(
    line_end: str, mark: bytes, preamble: tuple[str, ...]
) -> None:
    """A byte order mark, any line ends, blank lines and free text above change nothing."""
    chain = read_table(mark + table_file(preamble=preamble, line_end=line_end))

    assert len(chain) == 2
    assert (chain.spot, chain.ts_source_ns) == (4697.2402, 1704642720 * 10**9)


def test_dat_dialect() -> None:
    """The .dat has short column names and dates with slashes; its spot stands in line 1."""
    row = table_row("3100", day="200622", printed="06/22/2020")
    chain = read_table(table_file(row, preamble=DAT_PREAMBLE, columns=DAT_COLUMNS))

    assert (chain.symbol, chain.source, chain.spot) == ("SPX", "cboe-dat", 3117.86)
    assert chain.volume.tolist() == [7.0, 9.0]
    assert chain.open_interest.tolist() == [1200.0, 800.0]
    assert chain.expiry[0] == np.datetime64("2020-06-22")


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n,,,\n"])
def test_the_end_of_the_file_is_free(end: str) -> None:
    """The last line may lack its end, and blank lines may follow."""
    assert len(read_table(table_file(end=end))) == 2


def test_columns_are_taken_by_name() -> None:
    """Another order, no Strike, no greeks: what is there is found, what is not is NaN."""
    columns = "Calls,Open Interest,Ask,Bid,Puts,Bid,Ask,Open Interest"
    row = "SPXW240119C04700000,1200,51,50,SPXW240119P04700000,48,49.5,800"
    chain = read_table(table_file(row, columns=columns))

    assert chain.bid.tolist() == [50.0, 48.0]
    assert chain.open_interest.tolist() == [1200.0, 800.0]
    assert chain.strike.tolist() == [4700.0, 4700.0]
    assert np.isnan(chain.iv).all()
    assert np.isnan(chain.gamma).all()
    assert np.isnan(chain.volume).all()


def test_puts_may_stand_on_the_left() -> None:
    """Sides are told by the Calls and Puts columns, not by their place."""
    columns = "Puts,Bid,Ask,Open Interest,Calls,Bid,Ask,Open Interest"
    row = "SPXW240119P04700000,48,49.5,800,SPXW240119C04700000,50,51,1200"
    chain = read_table(table_file(row, columns=columns))

    assert chain.right.tolist() == [1, -1]
    assert chain.open_interest.tolist() == [1200.0, 800.0]


def test_strikes_keep_their_decimals() -> None:
    """The strike is the symbol's last eight digits in thousandths, not the rounded column."""
    assert read_table(table_file(table_row("12.125"))).strike.tolist() == [12.125, 12.125]


@pytest.mark.parametrize("cell", ["", "--", "n/a", " "])
def test_a_bad_number_is_missing(cell: str) -> None:
    """One unreadable cell costs that number and nothing else."""
    chain = read_table(table_file(table_row(call=f"1,1,{cell},51,7,0.12,0.51,0.0031,1200")))

    assert np.isnan(chain.bid[0])
    assert chain.bid[1] == 48.0
    assert chain.ask[0] == 51.0


def test_a_quoted_number_may_have_thousands_separators() -> None:
    """Twelve hundred contracts may be printed as "1,200", in quotes."""
    chain = read_table(table_file(table_row(call='1,1,50,51,7,0.12,0.51,0.0031,"1,200"')))

    assert chain.open_interest.tolist() == [1200.0, 800.0]


def test_a_bare_comma_inside_a_number_drops_the_row() -> None:
    """1,200 without quotes moves all columns after it: such a row is counted, not misread."""
    moved = table_row("4600", call="1,1,50,51,7,0.12,0.51,0.0031,1,200")
    chain = read_table(table_file(moved, table_row("4700")))

    assert chain.strike.tolist() == [4700.0, 4700.0]
    assert chain.dropped == {"symbol": 2}


def test_a_short_row_in_the_middle_keeps_what_it_has() -> None:
    """Missing cells of a row before the last are NaN, a missing symbol is counted."""
    short = ",".join(table_row("4600").split(",")[:6])
    chain = read_table(table_file(short, table_row("4700")))

    assert chain.strike.tolist() == [4600.0, 4700.0, 4700.0]
    assert chain.ask[0] == 51.0
    assert np.isnan(chain.open_interest[0])
    assert chain.dropped == {"symbol": 1}


def test_unusable_contracts_are_counted_by_reason() -> None:
    """A symbol that is none and an adjusted root make no row; most roots name the chain."""
    rows = table_row(), table_row(root="SPXW1"), table_row().replace("C04700000", "C0470000X")
    chain = read_table(table_file(*rows))

    assert chain.root.tolist() == ["SPXW"] * 3
    assert chain.dropped == {"symbol": 1, "adjusted": 2}


@pytest.mark.parametrize(
    ("call", "put", "root", "expiry", "strike"),
    [
        ("17 Nov 150.00 (AAPL1717K150)", "17 Nov 150.00 (AAPL1717W150)", "AAPL",
         "2017-11-17", 150.0),
        ("2017 Nov 17 1200.00 (SPXW1717K1200)", "2017 Nov 17 1200.00 (SPXW1717W1200)", "SPXW",
         "2017-11-17", 1200.0),
        ("13 Dec 152.50 (IBM1327L152.5)", "13 Dec 152.50 (IBM1327X152.5)", "IBM",
         "2013-12-27", 152.5),
        ("18 Jan 10.00 (F1819A10)", "18 Jan 10.00 (F1819M10)", "F", "2018-01-19", 10.0),
    ],
)  # fmt: skip
def test_old_symbols(call: str, put: str, root: str, expiry: str, strike: float) -> None:
    """The old form is root, year, day, month letter and strike in parentheses: Nov 17th 2017."""
    chain = read_table(old_file(call, put))

    assert chain.root.tolist() == [root, root]
    assert chain.expiry.tolist() == [np.datetime64(expiry).item()] * 2
    assert chain.right.tolist() == [1, -1]
    assert chain.strike.tolist() == [strike, strike]
    assert chain.open_interest.tolist() == [100.0, 200.0]
    assert chain.spot == 185.08


@pytest.mark.parametrize("printed", ["Fri Nov 17 2017", "11/17/2017", "2017-11-17"])
def test_old_symbols_take_expiry_and_strike_from_their_row(printed: str) -> None:
    """Where the table has the columns, the row's own date and strike count."""
    side = "9,9,1.0,1.2,6,0.2,0.5,0.01,200"
    row = f"{printed},17 Nov (AAPL1718K15),{side},152.50,17 Nov (AAPL1718W15),{side}"
    chain = read_table(table_file(row))

    assert chain.expiry.tolist() == [np.datetime64("2017-11-17").item()] * 2
    assert chain.strike.tolist() == [152.5, 152.5]


@pytest.mark.parametrize("suffix", ["E", "8", "A"])
def test_rows_of_single_exchanges_are_not_ours(suffix: str) -> None:
    """A symbol with an exchange's letter or digit is a second quote of the same contract."""
    both = "17 Nov 150.00 (AAPL1717{}150-{})"
    data = old_file(both.format("K", suffix), "17 Nov 150.00 (AAPL1717W150)")
    chain = read_table(data)

    assert chain.right.tolist() == [-1]
    assert chain.dropped == {"exchange_row": 1}


@pytest.mark.parametrize(
    "symbol", ["(AAPL1740K150)", "(AAPL1717Z150)", "17 Nov 150.00 (AAPL)", "AAPL", "(AAPL1717K0)"]
)
def test_old_symbols_that_name_nothing_are_counted(symbol: str) -> None:
    """An impossible day, month letter or strike is no contract."""
    assert read_table(old_file(symbol, "(AAPL1717W150)")).dropped == {"symbol": 1}


@pytest.mark.parametrize(
    ("columns", "lacks"),
    [
        ("Expiration Date,Calls,Last Sale,Net,Bi", "Ask, Bid, Puts, Strike"),
        (f"Expiration Date,Calls,{CSV_SIDE},Strike,Put", "Puts"),
        (f"Expiration Date,Calls,{CSV_SIDE},Str", "Puts, Strike"),
        (f"Expiration Date,Calls,{CSV_SIDE},Strike,Puts,Last Sale,Net,Bid,Ask,Volume,IV,Delta",
         "put Open Interest, put Gamma"),
        (f"Expiration Date,{CSV_SIDE},Strike,Puts,{CSV_SIDE}", "Calls"),
    ],
)  # fmt: skip
def test_a_header_without_a_column_is_refused_by_name(columns: str, lacks: str) -> None:
    """A header that was cut is no table: the message names the first thing to look for."""
    with pytest.raises(ChainFileError, match=f"found a table whose header lacks {lacks}"):
        read_table(table_file(columns=columns))


def test_a_header_without_rows_is_refused() -> None:
    """A table of nothing says so."""
    with pytest.raises(ChainFileError, match="a table with a header and no rows"):
        read_table(table_file("", columns=CSV_COLUMNS))


def test_no_header_is_refused_with_its_first_line() -> None:
    """Text that is no table is shown by its beginning, on one line."""
    with pytest.raises(ChainFileError, match="found text that begins 'a,b' and has no header"):
        read_table(b"\n a,b\n1,2\n")


@pytest.mark.parametrize("cells", range(1, 22))
def test_a_table_cut_in_its_last_row_is_refused(cells: int) -> None:
    """Whatever number of cells is left of the last row, it never passes for a whole file."""
    cut = ",".join(table_row("4700").split(",")[:cells])
    with pytest.raises(ChainFileError, match="a table that stops in the middle of row 2"):
        read_table(table_file(table_row("4600"), cut, end=""))


def test_a_table_cut_before_its_last_number_is_refused() -> None:
    """All commas are there, the last number is not, and no line end: the file was cut."""
    cut = table_row().rpartition(",")[0] + ","
    with pytest.raises(ChainFileError, match=r"row 1\."):
        read_table(table_file(cut, end=""))

    assert np.isnan(read_table(table_file(cut)).open_interest[1])


def test_words_under_the_table_are_no_row() -> None:
    """A disclaimer after the last row, on a line of its own, is not a row that was cut."""
    data = table_file(table_row("4600"), "", "Quotes are delayed, by 15 minutes at least.")

    assert len(read_table(data)) == 2


def test_a_cut_row_is_no_remark() -> None:
    """A row that stops after its date is a cut row, with a line end too."""
    with pytest.raises(ChainFileError, match="stops in the middle of row 2"):
        read_table(table_file(table_row("4600"), "Fri Jan 19 2024,SPXW240119C"))
