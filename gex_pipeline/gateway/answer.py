"""The parts of a snapshot as they are asked for, cut out of its JSON without decoding them."""

from typing import Any, Final, Literal

import msgspec

from gex_pipeline.errors import UnavailableError
from gex_pipeline.exposure.futures import InForce
from gex_pipeline.exposure.snapshot import GexSnapshot
from gex_pipeline.gateway.age import Freshness, Market

Part = Literal["whole", "levels", "strikes", "expiries", "profile"]
Mode = Literal["real", "simulated"]
Sections = dict[str, msgspec.Raw]

_HEADER: Final = [
    "symbol",
    "index",
    "index_levels",
    "scope",
    "source",
    "spot",
    "ts_event_ns",
    "ts_recv_ns",
    "asof_rule",
    "convention",
    "unit",
    "dealer",
    "final",
    "contracts",
    "tapes",
    "gap_s",
    "gap_causes",
    "confidence",
    "confidence_level",
]
_LEVELS: Final = [
    "weight",
    "net_gex",
    "call_gex",
    "put_gex",
    "gross_gex",
    "net_gex_volume",
    "dex",
    "vex",
    "cex",
    "gamma_at_spot",
    "zero_gamma",
    "flips",
    "dead_zone_changes",
    "call_wall",
    "put_wall",
    "abs_gamma_strike",
    "max_net_strike",
    "min_net_strike",
    "walls",
    "max_pain",
    "expected_move",
    "null_reasons",
    "vendor",
    "coverage",
    "raw",
]
_PARTS: Final[dict[Part, tuple[str, ...]]] = {
    "levels": (*_HEADER, *_LEVELS),
    "strikes": (*_HEADER, "strikes"),
    "expiries": (*_HEADER, "expiries"),
    "profile": (*_HEADER, "net_gex", "zero_gamma", "flips", "profile"),
}
PARTS: Final[tuple[Part, ...]] = ("whole", *_PARTS)
_sections = msgspec.json.Decoder(Sections)
_encoder = msgspec.json.Encoder()


class FuturePrice(msgspec.Struct, frozen=True, kw_only=True):
    """The middle of a future's newest quote."""

    mid: float
    age_s: float
    """In market time."""
    quoted: str


class GexAnswer(GexSnapshot, frozen=True, kw_only=True):
    """A snapshot with what holds at the moment of the answer."""

    mode: Mode
    """simulated: made-up figures."""
    market: Market
    age_s: float
    """In market time, since the newest event that the figures know."""
    stale: bool
    ts_recv_ns: int
    """Market time of receipt of that event, UTC nanoseconds."""
    tapes: dict[str, str]
    """The last event of each tape that is in the figures: tape to epoch-seq."""
    replayed: bool = False
    """True, and the replay's id in `session`: not the market of now."""
    session: str | None = None
    gap_s: float | None
    """Seconds of the feed that were lost and that no whole chain has made up for; 0: none."""
    gap_causes: tuple[str, ...]
    """Why: disconnect, restart, silence, lost and so on."""
    index: str | None = None
    """Of a future or view: the index whose levels these are, moved by the basis."""
    index_levels: dict[str, float | None] | None = None
    """Of a future or view: spot, zero gamma and walls in the index's own points."""
    basis: InForce | None = None
    """Of a future or view: what the levels are moved by, its source and age."""
    future_price: FuturePrice | None = None
    """Of a future or view: its own price, beside spot, which is the index's moved."""


class Image(msgspec.Struct, frozen=True):
    """One stored snapshot, split into its fields; `ts_ns` is the newest event that it knows."""

    value: bytes
    sections: Sections
    ts_ns: int


def split_snapshot(value: bytes) -> Image:
    """Return the stored bytes split into fields.

    Raises:
        UnavailableError: they are no snapshot.
    """
    try:
        sections = _sections.decode(value)
        ts_ns = sections.get("ts_recv_ns") or sections["ts_event_ns"]
        first = {name: sections[name] for name in _HEADER if name in sections}
        return Image(value, first | sections, msgspec.json.decode(ts_ns, type=int))
    except (msgspec.DecodeError, KeyError) as error:
        raise UnavailableError(
            "damaged",
            "The stored snapshot cannot be read.",
            "The engine writes the next one soon; see its status: GET /api/v1/status",
        ) from error


def header_of(image: Image) -> Sections:
    """Return the fields that say what the figures are of."""
    return {name: image.sections[name] for name in _HEADER if name in image.sections}


def stamp(mode: Mode, fresh: Freshness, session: str = "") -> dict[str, Any]:
    """Return the fields that every answer begins with; `session` is a replay's id."""
    replayed = {"replayed": True, "session": session} if session else {}
    return replayed | {
        "mode": mode,
        "market": fresh.market,
        "age_s": round(fresh.age_s, 3),
        "stale": fresh.stale,
    }


def encode_answer(image: Image, part: Part, stamped: dict[str, Any]) -> bytes:
    """Return the JSON of a part of the snapshot, stamped."""
    sections = image.sections
    if part != "whole":
        sections = {name: sections[name] for name in _PARTS[part] if name in sections}
    if part == "profile":
        volume = msgspec.json.decode(image.sections.get("volume", b"null"), type=Sections | None)
        sections |= {"profile_volume": volume["profile"]} if volume else {}
    return _encoder.encode({**sections, **stamped})
