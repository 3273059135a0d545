"""Rows as the wire has them: every kind of event comes back from the lake as it was."""

import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gex_pipeline.archive.step import archive_tape
from gex_pipeline.hot.frame import Frame
from gex_pipeline.lake.parts import read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.recording import recorded
from gex_pipeline.market.events import KINDS, Event, tag_of
from gex_pipeline_tests.archive.builders import FRIDAY, OPEN_NS, ORIGIN, TAPE, MemorySource

_LONG = "ä" * 300
_VALUES: dict[str, Any] = {
    "bid_prices": (1.5, 1.25),
    "bid_sizes": (2.0, 0.0),
    "ask_prices": (1.75,),
    "ask_sizes": (3.0,),
    "first_expiry": datetime.date(2026, 11, 20),
    "last_expiry": datetime.date(2027, 1, 15),
    "image": b"\x00\xff" * 700,
    "outcome": "rejected",
    "aggressor": "buy",
    "method": "live",
    "settlement": "P",
    "null_reasons": f'{{"why": "{_LONG}"}}',
    "body": _LONG,
    "reason": "größer",
    "interval_s": 60,
}


def whole(kind: type[Event], seq: int) -> Event:
    """Return an event of a kind with a value in every field."""
    return _event(kind, seq, {field.name: _value(field) for field in msgspec.structs.fields(kind)})


def bare(kind: type[Event], seq: int) -> Event:
    """Return an event of a kind with nothing in the fields that may lack."""
    required = [field for field in msgspec.structs.fields(kind) if field.required]
    return _event(kind, seq, {field.name: _value(field) for field in required})


def _event(kind: type[Event], seq: int, fields: dict[str, Any]) -> Event:
    at_ns = OPEN_NS + seq
    return kind(**fields | {"seq": seq, "ts_event_ns": at_ns, "ts_recv_ns": at_ns})


def _value(field: msgspec.structs.FieldInfo) -> Any:
    if field.name in _VALUES:
        return _VALUES[field.name]
    kind = str(field.type)
    if "bool" in kind:
        return True
    if "tuple" in kind:
        return (0.5, 2.25)
    if "float" in kind:
        return 0.1
    return 7 if "int" in kind else "SPX"


@pytest.mark.parametrize("kind", KINDS, ids=tag_of)
def test_every_kind_comes_back_equal(tmp_path: Path, kind: type[Event]) -> None:
    """With all of its fields, with the fewest, and both in one file."""
    events = (whole(kind, 1), bare(kind, 2), whole(kind, 3))
    paths = LakePaths(tmp_path)
    archive_tape(MemorySource([Frame(TAPE, 1, 1, 3, FRIDAY, events)]), paths, ORIGIN)

    (stretch,) = recorded(paths, read_chain(paths, TAPE))

    assert tuple(stretch.events) == events
    assert stretch.encoded(1, 2) == b"".join(stretch.chosen(stretch.seq[:1]))
