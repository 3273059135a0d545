"""JSON documents decoded into typed facts, their faults told as what was found in the file."""

import re
from typing import TypeVar

import msgspec

from gex_pipeline.errors import ChainFileError

_UTF8_MARK = b"\xef\xbb\xbf"
_BYTE = re.compile(r"\(byte (\d+)\)")
_Shape = TypeVar("_Shape")


def decode_document(data: bytes, shape: type[_Shape], what: str) -> _Shape:
    """Return the document as a `shape`; unknown keys are ignored.

    Raises:
        ChainFileError: it stops or breaks, naming the byte, or is no `what`, naming the place.
    """
    body = data.removeprefix(_UTF8_MARK)
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise ChainFileError(f"{what} of another shape ({error})") from error
    except msgspec.DecodeError as error:
        raise ChainFileError(_fault(str(error), len(body))) from error
    except UnicodeDecodeError as error:
        raise ChainFileError("JSON that is not UTF-8 text") from error
    except RecursionError as error:
        raise ChainFileError("JSON nested too deep for any chain") from error


def _fault(reason: str, size: int) -> str:
    """Return what is wrong: a cut inside a number is told as a fault at the byte after the last."""
    where = _BYTE.search(reason)
    broken_at = int(where[1]) if where else size
    stops = broken_at >= size and "trailing" not in reason
    return f"JSON that {'stops' if stops else 'breaks'} at byte {broken_at:,} of {size:,}"
