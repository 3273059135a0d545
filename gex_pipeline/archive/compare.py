"""A date's chain images by both greeks, ours and the vendor's: the table `greeks_compared`.

The images are those that live folded, so our figures here are the recorded ones, taken apart. Made
for each finished date, again where more of it has come or the convention is another one.
"""

import datetime
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import msgspec

from gex_pipeline.archive.step import OURS
from gex_pipeline.errors import InputError, NotRecordedError
from gex_pipeline.exposure.comparison import Compared, compare
from gex_pipeline.exposure.convention import GEXC_1, Convention
from gex_pipeline.exposure.live import live_chain
from gex_pipeline.exposure.smile import solve_smile
from gex_pipeline.hot.chains import decode_image
from gex_pipeline.lake.derived import Derived, commit_derived, read_derived
from gex_pipeline.lake.files import files_of_node
from gex_pipeline.lake.images import StoredImage, newest_image
from gex_pipeline.lake.moments import Moments
from gex_pipeline.lake.parquet import write_rows
from gex_pipeline.lake.parts import Chain, Manifest, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.told import subjects_of
from gex_pipeline.market.sessions import SECOND_NS, Calendar, session
from gex_pipeline.market.symbology import calendar_of
from gex_pipeline.market.tables import CHAIN_1M, GREEKS_COMPARED, LAKE_SCHEMA_VERSION

EVERY_MIN: Final = 30
KEY: Final = "images"
_CALENDARS: Final[tuple[Calendar, ...]] = ("equity", "index")
_MINUTE_NS: Final = 60 * SECOND_NS
_LATEST_NS: Final = 2**63 - 1
_MODES: Final = {"real": "live"}
"""As the lake's rows call it."""


class ComparedMoment(msgspec.Struct, frozen=True, kw_only=True):
    """One image, bucket by bucket."""

    source: str
    """Whose greeks they are."""
    mode: str
    tape: str
    symbol: str
    ts_recv_ns: int
    last: bool
    spot: float
    convention: str
    buckets: tuple[Compared, ...]


def compare_day(
    paths: LakePaths,
    date: datetime.date,
    convention: Convention = GEXC_1,
    *,
    every_min: int = EVERY_MIN,
) -> tuple[ComparedMoment, ...]:
    """Compare a date's images and keep the rows; return them by symbol and time.

    Raises:
        NotRecordedError: the lake holds no chain images of that date.
    """
    chains = [_of_date(read_chain(paths, f"{OURS}.{calendar}"), date) for calendar in _CALENDARS]
    imaged = {
        symbol: chain
        for chain in chains
        for symbol in subjects_of(Moments(paths, chain), CHAIN_1M.name, date)
    }
    if not imaged:
        raise NotRecordedError("any symbol", date.isoformat(), "no chain images of that date")
    found = tuple(
        moment
        for symbol, chain in sorted(imaged.items())
        for moment in _moments(paths, chain, symbol, date, convention, every_min)
    )
    _keep(paths, date, _made_from(chains, convention), found)
    return found


def uncompared(paths: LakePaths, convention: Convention = GEXC_1) -> dict[datetime.date, str]:
    """Return the finished dates that have no comparison, or an old one, and how far each goes."""
    known = {
        each.date: each.made_from
        for each in read_derived(paths, GREEKS_COMPARED.name)
        if each.schema == LAKE_SCHEMA_VERSION
    }
    finished: dict[datetime.date, list[Chain]] = defaultdict(list)
    for chain in (read_chain(paths, f"{OURS}.{calendar}") for calendar in _CALENDARS):
        for date in {node.date for node in chain.nodes if _is_imaged(paths, node)}:
            finished[date].append(_of_date(chain, date))
    wanted = {date: _made_from(chains, convention) for date, chains in sorted(finished.items())}
    return {date: told for date, told in wanted.items() if known.get(date) != told}


def _is_imaged(paths: LakePaths, node: object) -> bool:
    """Whether it is a finished day that still has its images."""
    return isinstance(node, Manifest) and bool(files_of_node(paths, node, (CHAIN_1M.name,)))


def _of_date(chain: Chain, date: datetime.date) -> Chain:
    nodes = tuple(node for node in chain.nodes if node.date == date)
    return msgspec.structs.replace(chain, nodes=nodes)


def _made_from(chains: Sequence[Chain], convention: Convention) -> str:
    """Return the ends of the tapes that the figures come from, and by which convention."""
    ends = [f"{chain.tape}:{chain.nodes[-1].last}" for chain in chains if chain.nodes]
    return " ".join([*ends, convention.id])


# --- one symbol -----------------------------------------------------------------------------------


def _moments(
    paths: LakePaths,
    chain: Chain,
    symbol: str,
    date: datetime.date,
    convention: Convention,
    every_min: int,
) -> Iterator[ComparedMoment]:
    """Yield the moments of which there is an image; one without a spot says nothing."""
    last = newest_image(paths, chain, symbol, _LATEST_NS)
    if last is None:
        return
    wanted = {last.ts_recv_ns: last}
    for ts_ns in _times(date, symbol, every_min):
        found = newest_image(paths, chain, symbol, ts_ns)
        if found is not None and ts_ns - found.ts_recv_ns < _MINUTE_NS:
            wanted[found.ts_recv_ns] = found
    for ts_ns, stored in sorted(wanted.items()):
        moment = _compared(stored, chain.tape, convention, last=ts_ns == last.ts_recv_ns)
        if moment is not None:
            yield moment


def _times(date: datetime.date, symbol: str, every_min: int) -> list[int]:
    """Return the moments of a date's regular hours, the open left out: it has no quotes yet."""
    try:
        hours = session(date, calendar_of(symbol))
    except InputError:
        return []
    step = every_min * _MINUTE_NS
    return list(range(hours.open_ns + step, hours.close_ns + 1, step))


def _compared(
    stored: StoredImage, tape: str, convention: Convention, *, last: bool
) -> ComparedMoment | None:
    image = decode_image(stored.image)
    chain = live_chain(image)
    if not chain.spot > 0:
        return None
    buckets = compare(chain, solve_smile(chain, convention), convention)
    return ComparedMoment(
        source=image.source,
        mode=_MODES.get(image.mode, image.mode),
        tape=tape,
        symbol=image.symbol,
        ts_recv_ns=stored.ts_recv_ns,
        last=last,
        spot=chain.spot,
        convention=convention.id,
        buckets=buckets,
    )


def _keep(
    paths: LakePaths, date: datetime.date, made_from: str, moments: Sequence[ComparedMoment]
) -> None:
    """Write the rows in the place of those of the date before."""
    rows = [
        {"session_date": date, **msgspec.structs.asdict(moment), **msgspec.structs.asdict(bucket)}
        for moment in moments
        for bucket in moment.buckets
    ]
    version = made_from.replace(":", "-").replace(" ", "_")  # another version is another file
    record = Derived(
        table=GREEKS_COMPARED.name,
        key=KEY,
        date=date,
        file=f"{GREEKS_COMPARED.name}/date={date}/{version}.parquet",
        rows=len(rows),
        bytes=0,
        made_from=made_from,
        schema=LAKE_SCHEMA_VERSION,
    )
    commit_derived(paths, record, partial(write_rows, GREEKS_COMPARED, rows, made_from=made_from))
