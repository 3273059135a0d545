"""Some columns of a chain image, for whoever reads thousands of them: the rest stays packed.

The contracts come first in an image and rarely change, so they are told apart by their packed bytes
and unpacked once.
"""

from functools import cached_property
from typing import Any, Final

import pyarrow as pa

from gex_pipeline.errors import CodecError
from gex_pipeline.exposure.live import Rows
from gex_pipeline.exposure.sketch import Columns
from gex_pipeline.hot.chains import COMPRESSED, head_of

_LISTED: Final = ("contract", "settlement")
_STORED: Final = (*_LISTED, *Rows.__struct_fields__)
"""Columns of an image, in order."""


def _only(names: tuple[str, ...]) -> Any:
    places = [_STORED.index(name) for name in names]
    return pa.ipc.IpcReadOptions(included_fields=places, use_threads=False)


class OpenImage:
    """An image of which only what is asked for is unpacked."""

    def __init__(self, data: Any) -> None:
        """Open bytes, or an Arrow buffer of them.

        Raises:
            CodecError: other bytes, or an image of another version.
        """
        self._data = data
        try:
            with pa.ipc.open_stream(data, options=_only(Columns.__struct_fields__)) as reader:
                self.asof_ns: int = head_of(reader.schema).asof_ns
                table = reader.read_all()
            self._dictionary, self._body = _packed(data)
        except (pa.ArrowException, OSError) as error:
            raise CodecError(f"no chain of the hot store: {error}") from error
        self.columns = Columns(*(table.column(n).to_numpy() for n in Columns.__struct_fields__))

    def contracts(self) -> tuple[list[str], list[str]]:
        """Return OCC symbols and settlements."""
        columns = [self._listed.column(name) for name in _LISTED]
        contracts, settlements = (each.to_numpy().tolist() for each in columns)
        return contracts, settlements

    def lists_as(self, other: "OpenImage") -> bool:
        """Return whether the contracts are those of another image, in the same order."""
        size = other._listed_bytes
        if size and self._dictionary.equals(other._dictionary) and self._body.size >= size:
            same: bool = self._body.slice(0, size).equals(other._body.slice(0, size))
        else:
            same = self._listed.equals(other._listed)
        return same

    @cached_property
    def _listed(self) -> Any:
        with pa.ipc.open_stream(self._data, options=_only(_LISTED)) as reader:
            return reader.read_all()

    @cached_property
    def _listed_bytes(self) -> int:
        """How many of its packed bytes are the contracts'; 0: another library packed them."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._listed.schema, options=COMPRESSED) as writer:
            writer.write_table(self._listed)
        _, body = _packed(sink.getvalue())
        size = int(body.size)
        return size if size <= self._body.size and self._body.slice(0, size).equals(body) else 0


def _packed(data: Any) -> tuple[Any, Any]:
    """Return the packed bytes of an image: of its texts that repeat, and of its rows."""
    messages = {each.type: each.body for each in pa.ipc.MessageReader.open_stream(data)}
    try:
        return messages["dictionary"], messages["record batch"]
    except KeyError as error:
        raise CodecError(f"an image without its {error.args[0]}") from error
