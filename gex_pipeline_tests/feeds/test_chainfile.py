"""Chain files of any kind, by content."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gex_pipeline.errors import ChainFileError
from gex_pipeline.feeds.chainfile import read_chain_file
from gex_pipeline.market.chain import OptionChain
from gex_pipeline_tests.feeds.builders import (
    DAT_COLUMNS,
    DAT_PREAMBLE,
    delayed_file,
    delayed_option,
    schwab_contract,
    schwab_file,
    table_file,
    table_row,
)

MARK = b"\xef\xbb\xbf"
WHOLE_FILES = {
    "cboe-csv": table_file(table_row("4600"), table_row("4700")),
    "cboe-dat": table_file(preamble=DAT_PREAMBLE, columns=DAT_COLUMNS, line_end="\r\n"),
    "cboe-json": delayed_file(delayed_option(), delayed_option("RUTW231020P01800000")),
    "schwab-json": schwab_file(schwab_contract(), schwab_contract("SPXW  250520P05660000")),
}
ROW_COLUMNS = (
    "root",
    "expiry",
    "right",
    "strike",
    "bid",
    "ask",
    "iv",
    "gamma",
    "open_interest",
    "volume",
    "ts_quote_ns",
    "settlement",
)


def refusal(data: bytes) -> str:
    """Return what was found in a file that is refused, on one line."""
    with pytest.raises(ChainFileError) as caught:
        read_chain_file(data)
    expected, _, found = str(caught.value).partition("; found ")
    assert expected.startswith("Expected a Cboe quote table")
    assert len(found.splitlines()) == 1
    return found.removesuffix(".")


def read_or_refuse(data: bytes) -> OptionChain | None:
    """Return the chain or None; any other error fails the test."""
    try:
        return read_chain_file(data)
    except ChainFileError:
        return None


@pytest.mark.parametrize("source", WHOLE_FILES)
@pytest.mark.parametrize("before", [b"", MARK, b"\n \n"])
def test_the_kind_is_told_by_content(source: str, before: bytes) -> None:
    """Every kind is found, behind a byte order mark or blank lines too."""
    assert read_chain_file(before + WHOLE_FILES[source]).source == source


@pytest.mark.parametrize("source", WHOLE_FILES)
def test_all_columns_are_alike(source: str) -> None:
    """Every reader makes the same struct: one value per contract in each column, of its type."""
    chain = read_chain_file(WHOLE_FILES[source])
    kinds = [getattr(chain, name).dtype.kind for name in ROW_COLUMNS]

    assert {getattr(chain, name).shape for name in ROW_COLUMNS} == {(len(chain),)}
    assert "".join(kinds) == "UMiffffff" + "fiU"
    assert chain.expiry.dtype == np.dtype("datetime64[D]")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b" \r\n\t", "a blank file of 4 bytes"),
        (MARK, "a blank file of 3 bytes"),
        (b"PAR1\x15\x04PAR1", "a Parquet file"),
        (b"PK\x03\x04rest", "a zip archive or an Excel workbook"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"%PDF-1.7", "a PDF"),
        ("Calls,Puts".encode("utf-16"), "UTF-16 text"),
        (b"<!DOCTYPE html><html>Access denied", "HTML or XML"),
        (b"\x7fELF\x02\x01", "binary data of 6 bytes"),
        (b"text\nwith\0nul", "binary data of 13 bytes"),
        (b"hello\nworld", "text that begins 'hello' and has no header with Calls and Puts"),
        (b'"JSON"', "text that begins '\"JSON\"' and has no header with Calls and Puts"),
        (b"[1, 2]", "a JSON list of 2 elements"),
        (b"{}", "JSON of another shape (its keys: none)"),
        (b'{"fault": {}, "status": 1}', "JSON of another shape (its keys: 'fault', 'status')"),
        (b'{"data": [{"service": "X"}]}', "JSON of another shape (its keys: 'data')"),
        (b'{"spot": 1, "zero_gamma": 2, "strikes": []}',
         "a gexbot JSON, which holds results and no contracts"),
        (b'{"a": 1', "JSON that stops at byte 7 of 7"),
        (b'{"a": nan}', "JSON that breaks at byte 7 of 10"),
        (b'{"a": 1} }', "JSON that breaks at byte 10 of 10"),
        (b"[" * 100_000, "JSON nested too deep for any chain"),
        (b'{"symbol": "\xff", "callExpDateMap": {}}', "JSON that is not UTF-8 text"),
    ],
)  # fmt: skip
def test_what_is_no_chain_is_told(data: bytes, found: str) -> None:
    """A refusal names what the file is, so that its owner knows what to do."""
    assert refusal(data) == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (table_file(*["Fri Jan 19 2024" + "," * 21] * 12),
         "0 usable of 24 contracts (refused: symbol 24)"),
        (table_file(table_row(root="BABA2")), "0 usable of 2 contracts (refused: adjusted 2)"),
        (delayed_file(delayed_option("RUT")), "0 usable of 1 contracts (refused: symbol 1)"),
        (delayed_file(delayed_option("RUT"), options=[]), "0 usable of 0 contracts"),
        (schwab_file(status="FAILED", callExpDateMap={}, isChainTruncated=True),
         "0 usable of 0 contracts"),
        (schwab_file(schwab_contract(multiplier=10)),
         "0 usable of 1 contracts (refused: multiplier 1)"),
    ],
)  # fmt: skip
def test_a_file_without_a_usable_row_is_refused(data: bytes, found: str) -> None:
    """A chain of nothing is no chain; the reasons are counted."""
    assert refusal(data) == found


@pytest.mark.parametrize("source", ["cboe-json", "schwab-json"])
def test_json_cut_anywhere_says_where(source: str) -> None:
    """The byte at which a download stopped is the file's size."""
    whole = WHOLE_FILES[source]
    for size in range(1, len(whole)):
        assert refusal(whole[:size]) == f"JSON that stops at byte {size:,} of {size:,}"


@pytest.mark.parametrize("source", ["cboe-csv", "cboe-dat"])
def test_a_table_cut_anywhere_is_refused_or_whole_rows(source: str) -> None:
    """A cut table passes only where the cut left whole rows, and those are the file's own."""
    whole = read_chain_file(WHOLE_FILES[source])
    for size in range(len(WHOLE_FILES[source])):
        part = read_or_refuse(WHOLE_FILES[source][:size])
        if part is not None:
            assert len(part) % 2 == 0
            assert part.strike.tolist() == whole.strike.tolist()[: len(part)]
            assert part.bid.tolist() == whole.bid.tolist()[: len(part)]


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    """Rubbish never raises anything but our one error."""
    assert read_or_refuse(data) is None


@given(st.sampled_from(sorted(WHOLE_FILES)), st.data())
def test_damaged_files_are_read_or_refused(source: str, data: st.DataObject) -> None:
    """Bytes overwritten anywhere: a chain with equal columns, or our one error."""
    body = bytearray(WHOLE_FILES[source])
    at = data.draw(st.integers(0, len(body) - 1))
    junk = data.draw(
        st.binary(min_size=1, max_size=12) | st.sampled_from([b'"', b",", b"\n", b"1e999"])
    )
    body[at : at + data.draw(st.integers(0, 12))] = junk
    chain = read_or_refuse(bytes(body))

    assert chain is None or len({getattr(chain, name).size for name in ROW_COLUMNS}) == 1


@given(
    st.text(alphabet='{}[]":,0159eE.-+nulltrue CallsPuts\n'),
    st.sampled_from([b"{", b'{"data":{', b""]),
)
def test_almost_json_is_refused(text: str, start: bytes) -> None:
    """Text that looks like JSON or a table is refused as well."""
    assert read_or_refuse(start + text.encode()) is None


def test_the_import_is_light() -> None:
    """Reading a file needs numpy and msgspec, none of the data-frame libraries."""
    heavy = "{'pandas', 'polars', 'pyarrow', 'scipy', 'duckdb'}"
    code = f"import sys, gex_pipeline.feeds.chainfile; print({heavy} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603

    assert told.stdout.strip() == "set()"


SAMPLES = os.environ.get("GEX_SAMPLES")


@pytest.mark.samples
@pytest.mark.skipif(SAMPLES is None, reason="GEX_SAMPLES names no folder with real chains")
@pytest.mark.parametrize(
    ("path", "symbol", "source", "contracts", "spot", "asked"),
    [
        ("chains/spx_2024-01-07.csv", "SPX", "cboe-csv", 21_038, 4697.2402, "2024-01-07T15:52"),
        ("chains/spx_2022-12-12_evening.csv", "SPX", "cboe-csv", 19_156, 3990.5601,
         "2022-12-13T01:30"),
        ("chains/rut_2023-09-21.json", "RUT", "cboe-json", 6_680, 1806.1193, "2023-09-21T03:17:42"),
        ("schwab/chain_AAPL_2025-01-16.json", "AAPL", "schwab-json", 470, 228.375,
         "2025-01-16T21:00:01.414"),
        ("schwab/chain_SPX_weekend_oi_zero.json", "SPX", "schwab-json", 162, 5659.91,
         "2025-05-09T21:00"),
    ],
)  # fmt: skip
def test_real_chains(
    path: str, symbol: str, source: str, contracts: int, spot: float, asked: str
) -> None:
    """Every contract of the real files is read: none is dropped, spot and time are the file's."""
    chain = read_chain_file((Path(SAMPLES or "") / path).read_bytes())

    assert (chain.symbol, chain.source, len(chain), chain.spot) == (symbol, source, contracts, spot)
    assert np.datetime64(chain.ts_source_ns, "ns") == np.datetime64(asked)
    assert chain.dropped == {}
