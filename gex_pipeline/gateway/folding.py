"""What a stored chain folds to: figures of any scope, by the same fold as live.

Reading a chain needs libraries that load slowly; gateway/folded.py loads this module with the first
question, and asks in a thread.
"""

import msgspec

from gex_pipeline.errors import CodecError, UnavailableError
from gex_pipeline.exposure.live import Image as Chain
from gex_pipeline.exposure.moment import figures
from gex_pipeline.gateway.answer import Image, split_snapshot
from gex_pipeline.hot.chains import decode_image


def fold_scope(data: bytes, scope: str) -> Image:
    """Return the snapshot of one scope.

    Raises:
        ConventionError: a scope of an unknown name.
        UnavailableError: the bytes are no chain.
    """
    chain = read_chain(data)
    return split_snapshot(snapshot_json(chain, scope))


def read_chain(data: bytes) -> Chain:
    """Return the chain of such bytes.

    Raises:
        UnavailableError: they are none.
    """
    try:
        return decode_image(data)
    except CodecError as error:
        raise UnavailableError(
            "damaged",
            "The stored chain cannot be read.",
            "The engine writes the next one soon; see its status: GET /api/v1/status",
        ) from error


def snapshot_json(chain: Chain, scope: str) -> bytes:
    """Return the JSON of a scope's snapshot."""
    return msgspec.json.encode(figures(chain, (scope,), final=is_final(chain))[scope])


def is_final(chain: Chain) -> bool:
    """Return whether a chain is that of a complete market second, and no preview."""
    return chain.asof_ns == chain.watched_ns
