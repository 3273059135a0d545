"""What a stored chain folds to: figures of any scope and surfaces, by the same fold as live.

Reading a chain needs libraries that load slowly; gateway/folded.py loads this module with the first
question, and asks in a thread.
"""

import msgspec

from gex_pipeline.errors import CodecError, UnavailableError
from gex_pipeline.exposure.estimate import estimated, signed
from gex_pipeline.exposure.live import Image as Chain
from gex_pipeline.exposure.live import live_chain
from gex_pipeline.exposure.moment import figures
from gex_pipeline.exposure.surface import Asked, chain_surface
from gex_pipeline.gateway.answer import Image, split_snapshot
from gex_pipeline.gateway.estimates import with_estimate
from gex_pipeline.gateway.surfaces import with_surface
from gex_pipeline.hot.chains import decode_image


def fold_scope(data: bytes, scope: str) -> Image:
    """Return the snapshot of one scope.

    Raises:
        ConventionError: a scope of an unknown name.
        UnavailableError: the bytes are no chain.
    """
    return snapshot_of(read_chain(data), scope)


def fold_surface(data: bytes, asked: Asked) -> Image:
    """Return a surface.

    Raises:
        ConventionError, UnavailableError: as `fold_scope`.
    """
    return surface_of(read_chain(data), asked)


def fold_estimate(data: bytes, scope: str) -> Image:
    """Return the figures weighted by the estimate of open interest, the plain ones beside.

    Raises:
        ConventionError, UnavailableError: as `fold_scope`.
    """
    chain = read_chain(data)
    final = is_final(chain)
    ours, plain = (
        figures(each, (scope,), final=final)[scope] for each in (estimated(chain), chain)
    )
    header = split_snapshot(msgspec.json.encode(plain))
    return with_estimate(header, ours, plain, signed(chain, scope))


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


def snapshot_of(chain: Chain, scope: str) -> Image:
    """Return the snapshot of a chain's scope."""
    snapshot = figures(chain, (scope,), final=is_final(chain))[scope]
    return split_snapshot(msgspec.json.encode(snapshot))


def surface_of(chain: Chain, asked: Asked) -> Image:
    """Return a surface of a chain, under the header of its scope's snapshot."""
    snapshot = snapshot_of(chain, asked.scope)
    return with_surface(snapshot, chain_surface(live_chain(chain), asked), asked)


def is_final(chain: Chain) -> bool:
    """Return whether a chain is that of a complete market second, and no preview."""
    return chain.asof_ns == chain.watched_ns
