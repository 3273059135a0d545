"""Live chains as bytes: one Arrow IPC stream, a row per contract, the rest in its metadata.

Any Arrow reader opens it. The engine starts again from it and the tape behind its positions; the
gateway folds scopes from it that nobody publishes.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import redis

from gex_pipeline.errors import CodecError, FrameError
from gex_pipeline.exposure.gaps import Lost
from gex_pipeline.exposure.live import Image, Layout, Rows, Spot, lay_out
from gex_pipeline.exposure.windows import Window
from gex_pipeline.hot.frame import Position, position_of
from gex_pipeline.hot.keys import Keys

VERSION: Final = 1
_HEAD: Final = b"gex.chain"
_HEAD_BYTES: Final = 1 << 16
"""Of a chain's first bytes, in which its schema and its positions are."""
COMPRESSED: Final = pa.ipc.IpcWriteOptions(compression="zstd")
"""A third less than lz4, which is not faster to write; reading 27,000 rows takes 2 ms, not 1."""


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """What an image holds besides its rows."""

    version: int = VERSION
    symbol: str
    source: str
    mode: str
    spot: dict[str, float | int | None]
    asof_ns: int
    watched_ns: int
    heard_ns: int
    ts_recv_ns: int
    windows: tuple[Window, ...]
    positions: dict[str, tuple[int, int]]
    gaps: tuple[Lost, ...] = ()
    """Images written before there were gaps have none."""


_SHARED: Final = tuple(name for name in _Head.__struct_fields__ if name not in ("version", "spot"))


def encode_image(image: Image) -> bytes:
    """Return the image as an Arrow IPC stream, compressed."""
    head = _Head(
        **{name: getattr(image, name) for name in _SHARED},
        spot=msgspec.structs.asdict(image.spot),
    )
    contract, settlement = _listed(image.contracts, image.settlements)
    columns: dict[str, Any] = {"contract": contract, "settlement": settlement}
    for name in Rows.__struct_fields__:
        columns[name] = pa.array(getattr(image.rows, name)[1:])
    batch = pa.RecordBatch.from_pydict(columns, metadata={_HEAD: msgspec.json.encode(head)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=COMPRESSED) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return] # pyarrow is untyped


@lru_cache(maxsize=8)
def _listed(contracts: tuple[str, ...], settlements: tuple[str, ...]) -> tuple[Any, Any]:
    """Return the columns of texts, which stay for hours and take longer than all numbers."""
    return (
        pa.array(contracts, pa.string()),
        pa.array(settlements, pa.string()).dictionary_encode(),
    )


def decode_image(data: bytes) -> Image:
    """Return the image of such bytes, laid out anew.

    Raises:
        CodecError: other bytes, or an image of another version.
    """
    head, table = _open(data)
    contracts, settlements, layout = _names(
        head.symbol, _bytes_of(table.column("contract")), _bytes_of(table.column("settlement"))
    )
    spot = {name: np.nan if value is None else value for name, value in head.spot.items()}
    return Image(
        **{name: getattr(head, name) for name in _SHARED},
        contracts=contracts,
        settlements=settlements,
        layout=layout,
        rows=_rows(table),
        spot=Spot(**spot),  # type: ignore[arg-type] # as it was written
    )


@lru_cache(maxsize=4)
def _names(
    symbol: str, contract: bytes, settlement: bytes
) -> tuple[tuple[str, ...], tuple[str, ...], Layout]:
    """Return an image's contracts, settlements and layout, of the columns' own bytes.

    Images of one day have the same, and making them takes longer than all the rest.
    """
    contracts, settlements = (
        tuple(pa.ipc.open_stream(data).read_all().column(0).to_pylist())
        for data in (contract, settlement)
    )
    return contracts, settlements, lay_out(symbol, contracts, settlements)


def _bytes_of(column: Any) -> bytes:
    """Return a column by itself, uncompressed."""
    sink = pa.BufferOutputStream()
    table = pa.table([column], names=["it"])
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return] # pyarrow is untyped


def chain_positions(data: bytes) -> dict[str, tuple[int, int]]:
    """Return only the tape positions of such bytes, which costs next to nothing.

    Raises:
        CodecError: as `decode_image`.
    """
    try:
        with pa.ipc.open_stream(data) as reader:
            return head_of(reader.schema).positions
    except (pa.ArrowException, OSError) as error:
        raise CodecError(f"no chain of the hot store: {error}") from error


def folded_through(client: redis.Redis, keys: Keys, tape: str) -> Position | None:
    """Return the position of a tape that every reader has passed, None if none has it.

    Readers are the stored chains, and the engine where it reads the tape beside them.
    """
    beside = resume_position(client, keys, tape)
    names = client.scan_iter(match=keys.chain("*").replace("{*}", "{?*}"), count=1000)
    heads: list[Any] = [client.getrange(name, 0, _HEAD_BYTES) for name in names]
    positions = [chain_positions(head) for head in heads if head]
    passed = [Position(*found[tape]) for found in positions if tape in found]
    return min([*passed, *([beside] if beside else [])], default=None)


def resume_position(client: redis.Redis, keys: Keys, tape: str) -> Position | None:
    """Return where the engine, started again, reads on a tape that no chain includes."""
    data: Any = client.get(keys.resume(tape))
    try:
        return position_of(data) if data else None
    except FrameError:
        return None


def _open(data: bytes) -> tuple[_Head, Any]:
    """Return the head, and the rows as Arrow columns."""
    try:
        with pa.ipc.open_stream(data) as reader:
            table = reader.read_all()
    except (pa.ArrowException, OSError) as error:
        raise CodecError(f"no chain of the hot store: {error}") from error
    return head_of(table.schema), table


def head_of(schema: Any) -> _Head:
    """Return what the schema of an image says besides its rows.

    Raises:
        CodecError: as `decode_image`.
    """
    try:
        head = msgspec.json.decode(schema.metadata[_HEAD], type=_Head)
    except (KeyError, TypeError, msgspec.DecodeError) as error:
        raise CodecError(f"no chain of the hot store: {error}") from error
    if head.version != VERSION:
        raise CodecError(f"chain version {head.version}, and this is {VERSION}")
    return head


def _rows(table: Any) -> Rows:
    return Rows(
        **{
            name: np.concatenate((_NOTHING[name], _column(table, name)))
            for name in Rows.__struct_fields__
        }
    )


def _column(table: Any, name: str) -> Any:
    """Return a column; of images written before there was one, nothing traded."""
    if name in _LATER and name not in table.column_names:
        return np.zeros(table.num_rows)
    return table.column(name).to_numpy()


_LATER: Final = ("bought", "sold")
_NOTHING: Final = {
    name: np.array([empty])
    for name, empty in zip(
        Rows.__struct_fields__,
        (*[np.nan] * 4, *[0.0] * 2, *[0] * 3, False, *[0.0] * 2),
        strict=True,
    )
}
"""Row 0: no contract."""
