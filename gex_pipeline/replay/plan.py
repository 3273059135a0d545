"""What is replayed: a session date, from when to when, how fast, and where reading starts."""

import datetime
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import polars as pl

from gex_pipeline.errors import ReplayError
from gex_pipeline.lake.basis import newest_rows
from gex_pipeline.lake.files import files_of_node
from gex_pipeline.lake.parts import Chain, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.events import Basis
from gex_pipeline.market.futures import roots_of
from gex_pipeline.market.sessions import SECOND_NS
from gex_pipeline.market.symbology import calendar_of, kind_of

FUTURES: Final = "cme"
ROWS_NS: Final = 62 * SECOND_NS
"""Of recorded rows, from which a basis goes on."""
OURS: Final = ("gex", "api")
"""Sources of the tapes that we make ourselves: a replay makes them anew."""
LEAD_NS: Final = 5 * 60 * 1_000_000_000
"""So long before an image a tape begins that no image stands for."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A replay as it was asked for."""

    session: str
    date: datetime.date
    symbols: tuple[str, ...]
    """Whose figures are computed."""
    source: str
    mode: str
    speed: float | None
    """Market seconds in a second; None: as fast as it goes."""
    start_ns: int | None = None
    """First moment; None: the first event of the date."""
    end_ns: int | None = None
    """Last moment; None: the last event of the date."""
    until_ns: int | None = None
    """Stand still here."""
    option_ticks: bool = False
    ticks_mb: int = 64


class Track(msgspec.Struct, frozen=True):
    """One tape on the date: its events first_seq to last_seq."""

    tape: str
    first_seq: int
    last_seq: int
    first_ns: int
    last_ns: int
    symbols: tuple[str, ...]
    """Those of the replay whose chains it feeds."""
    read: bool = False
    """By the engine; else it is only passed on."""


class Start(msgspec.Struct, frozen=True):
    """Where reading starts so that the state at a moment is what live had."""

    images: Mapping[str, bytes]
    """Symbol to its chain, as the hot store has it."""
    after: Mapping[str, int]
    """Tape to the seq that reading goes on behind."""
    image_ns: int = 0
    """Moment of the oldest image; 0: none."""
    rows: tuple[Basis, ...] = ()
    """The newest recorded of the futures' basis, from before that moment."""


def tracks(paths: LakePaths, plan: Plan) -> tuple[Track, ...]:
    """Return the tapes that the lake holds of the date and the replay needs, by name.

    Raises:
        ReplayError: there are none.
    """
    found = [_track(paths, chain, plan) for chain in _chains(paths)]
    wanted = tuple(track for track in found if track is not None and _is_wanted(track, plan))
    if not any(track.symbols for track in wanted):
        dates = sorted({node.date for chain in _chains(paths) for node in chain.nodes})
        raise ReplayError(str(plan.date), tuple(map(str, dates)), plan.symbols)
    return wanted


def find_start(paths: LakePaths, every: Iterable[Track], at_ns: int) -> Start:
    """Return where to start for the state at a moment: the newest images at or before it.

    A tape without an image of each of its symbols starts at its first event of the date.
    """
    every = tuple(every)
    images: dict[str, bytes] = {}
    after: dict[str, int] = {}
    oldest_ns = 0
    for track in every:
        found = _images(paths, track, at_ns) if track.symbols else {}
        if track.symbols and len(found) == len(track.symbols):
            images |= {symbol: image.image for symbol, image in found.items()}
            after[track.tape] = min(image.seq for image in found.values())
            moment_ns = min(image.ts_ns for image in found.values())
            oldest_ns = min(oldest_ns or moment_ns, moment_ns)
    begin_ns = (oldest_ns or min(track.first_ns for track in every)) - LEAD_NS
    for track in every:
        if track.tape not in after:
            passed_on = not track.symbols and oldest_ns
            seq = _seq_at(paths, track, begin_ns) if passed_on else track.first_seq - 1
            after[track.tape] = seq
    before_ns = (oldest_ns or min(track.first_ns for track in every)) - 1
    rows = (
        newest_rows(paths, before_ns, ROWS_NS) if any(_is_futures(track) for track in every) else ()
    )
    return Start(images, after, oldest_ns, tuple(rows))


def symbols_of(plan: Plan, calendar: str) -> tuple[tuple[str, ...], bool]:
    """Return the underlyings that a calendar's tape feeds, and whether it is needed at all."""
    own = [symbol for symbol in plan.symbols if calendar_of(symbol) == calendar]
    needed = bool(own) or is_read(plan, calendar)
    return tuple(symbol for symbol in own if kind_of(symbol) in ("share", "index")), needed


def is_read(plan: Plan, calendar: str) -> bool:
    """Return whether the engine reads a calendar's tape: it feeds chains, or futures of indexes."""
    if calendar == FUTURES:
        return any(map(roots_of, plan.symbols))
    return any(calendar_of(symbol) == calendar for symbol in plan.symbols)


def _is_futures(track: Track) -> bool:
    return track.read and not track.symbols


class _Image(msgspec.Struct, frozen=True):
    ts_ns: int
    seq: int
    image: bytes


def _chains(paths: LakePaths) -> list[Chain]:
    theirs = [tape for tape in paths.tapes() if tape.partition(".")[0] not in OURS]
    return [read_chain(paths, tape) for tape in theirs]


def _track(paths: LakePaths, chain: Chain, plan: Plan) -> Track | None:
    nodes = [node for node in chain.nodes if node.date == plan.date]
    if not nodes:
        return None
    first = next(iter(recorded(paths, chain, after_seq=nodes[0].first - 1, window=1_000)), None)
    last_seq = nodes[-1].last
    last = next(iter(recorded(paths, chain, after_seq=last_seq - 1, through_seq=last_seq)), None)
    if first is None or last is None:
        return None
    symbols, _ = symbols_of(plan, chain.tape.partition(".")[2])
    first_ns, last_ns = int(first.recv_ns[0]), int(last.recv_ns[-1])
    read = is_read(plan, chain.tape.partition(".")[2])
    return Track(chain.tape, nodes[0].first, last_seq, first_ns, last_ns, symbols, read)


def _is_wanted(track: Track, plan: Plan) -> bool:
    return symbols_of(plan, track.tape.partition(".")[2])[1]


def _images(paths: LakePaths, track: Track, at_ns: int) -> dict[str, _Image]:
    """Return the newest image of each symbol at or before a moment, as far as there are."""
    _, _, calendar = track.tape.partition(".")
    chain = read_chain(paths, f"{OURS[0]}.{calendar}")
    found: dict[str, _Image] = {}
    for node in reversed(chain.nodes):
        wanted = [symbol for symbol in track.symbols if symbol not in found]
        files = [file.path for file in files_of_node(paths, node) if file.table == "chain_1m"]
        for path in files if wanted else ():
            rows = (
                pl.scan_parquet(path, hive_partitioning=False)
                .filter(pl.col("symbol").is_in(wanted), pl.col("ts_recv_ns") <= at_ns)
                .sort("ts_recv_ns", "seq")
                .group_by("symbol")
                .last()
                .select("symbol", "ts_recv_ns", "positions", "image")
                .collect()
            )
            for symbol, ts_ns, positions, image in rows.iter_rows():
                at = msgspec.json.decode(positions, type=dict[str, tuple[int, int]])
                if track.tape in at:
                    found[symbol] = _Image(ts_ns, at[track.tape][1], image)
    return found


def _seq_at(paths: LakePaths, track: Track, at_ns: int) -> int:
    """Return the seq of the tape's last heartbeat at or before a moment, of the date."""
    seq = track.first_seq - 1
    beats = recorded(
        paths,
        read_chain(paths, track.tape),
        after_seq=seq,
        through_seq=track.last_seq,
        tables=frozenset({"heartbeats"}),
        window=track.last_seq,
    )
    for stretch in beats:
        before = stretch.seq[stretch.recv_ns <= at_ns]
        seq = max(seq, int(before[-1]) if before.size else 0)
    return seq
