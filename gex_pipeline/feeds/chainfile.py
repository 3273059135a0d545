"""A chain file of any kind that we read, told apart by its content and never by its name."""

import msgspec

from gex_pipeline.errors import ChainFileError
from gex_pipeline.feeds.cboe import read_delayed, read_table
from gex_pipeline.feeds.document import decode_document
from gex_pipeline.feeds.schwab.chains import read_chain
from gex_pipeline.market.chain import OptionChain

_KINDS = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"<": "HTML or XML",
}
_UTF8_MARK = b"\xef\xbb\xbf"
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\v\f\r")
_SNIFFED = 4096
_SCHWAB_KEYS = frozenset({"callExpDateMap", "putExpDateMap"})
_GEXBOT_KEYS = frozenset({"strikes", "zero_gamma"})
_SHOWN_KEYS = 5
_SHOWN_CHARS = 30
_TRUNCATED = "truncated"


def read_chain_file(data: bytes) -> OptionChain:
    """Return the chain in a file's bytes: a Cboe table or JSON, or a Schwab chain JSON.

    Raises:
        ChainFileError: anything else, or no usable contract; one line says what was found.
    """
    start = data[:_SNIFFED].removeprefix(_UTF8_MARK).lstrip()
    if not start and len(data) <= _SNIFFED:
        raise ChainFileError(f"a blank file of {len(data):,} bytes" if data else "an empty file")
    for signature, kind in _KINDS.items():
        if start.startswith(signature):
            raise ChainFileError(kind)
    if b"\0" in data or _CONTROLS & set(start):
        raise ChainFileError(f"binary data of {len(data):,} bytes")
    if start.startswith(b"["):
        elements = decode_document(data, list[msgspec.Raw], "a JSON list")
        raise ChainFileError(f"a JSON list of {len(elements):,} elements")
    chain = _read_object(data) if start.startswith(b"{") else read_table(data)
    if not len(chain):
        raise ChainFileError(_nothing_usable(chain))
    return chain


def _read_object(data: bytes) -> OptionChain:
    document = decode_document(data, dict[str, msgspec.Raw], "a JSON object")
    if _SCHWAB_KEYS & document.keys():
        return read_chain(data)
    if bytes(document.get("data", b"")).startswith(b"{"):
        return read_delayed(data)
    if document.keys() >= _GEXBOT_KEYS:
        raise ChainFileError("a gexbot JSON, which holds results and no contracts")
    shown = ", ".join(repr(key[:_SHOWN_CHARS]) for key in list(document)[:_SHOWN_KEYS])
    raise ChainFileError(f"JSON of another shape (its keys: {shown or 'none'})")


def _nothing_usable(chain: OptionChain) -> str:
    dropped = {name: count for name, count in chain.dropped.items() if name != _TRUNCATED}
    reasons = ", ".join(f"{name} {count:,}" for name, count in dropped.items())
    told = f" (refused: {reasons})" if reasons else ""
    return f"0 usable of {sum(dropped.values()):,} contracts{told}"
