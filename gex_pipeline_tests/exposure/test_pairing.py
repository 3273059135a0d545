"""Two tapes joined: the same rows in whatever order and however often they are read."""

import msgspec
import numpy as np
import pytest

from gex_pipeline.exposure import pairing as module
from gex_pipeline.exposure.basis import IndexAt
from gex_pipeline.exposure.pairing import BasisSecond, IndexSecond, Pairing, read_from
from gex_pipeline.market.events import Basis, Event, Quote
from gex_pipeline.market.sessions import SECOND_NS, et_ns
from gex_pipeline_tests.engine.builders import beat, numbered
from gex_pipeline_tests.synthetic import DAY

S = SECOND_NS
TAPE, OTHER = "schwab.cme", "schwab.index"
BEGIN_NS = et_ns(DAY, 10)


def quoted(at: float, mid: float, symbol: str = "/ES", contract: str = "/ESM25") -> Quote:
    """Return a quote received so many seconds after the beginning."""
    ts_ns = BEGIN_NS + round(at * S)
    return Quote(symbol, ts_ns, ts_ns, bid=mid - 0.25, ask=mid + 0.25, contract=contract)


def futures(seconds: int) -> tuple[Event, ...]:
    """Return a tape of futures: quotes now and then, a halt, a roll, and a heartbeat a second."""
    made: list[Event] = []
    dice = np.random.default_rng(7)
    for at in range(seconds):
        halted = 60 <= at < 90
        contract, above = ("/ESM25", 21.0) if at < 120 else ("/ESU25", 46.0)
        if not halted and dice.random() < 0.8:
            made.append(quoted(at + 0.3, 6000 + above + float(dice.random()), contract=contract))
        if not halted and dice.random() < 0.3:
            made.append(quoted(at + 0.6, 6000 + above, "/MES", contract.replace("ES", "MES")))
        made.append(beat(BEGIN_NS + at * S + S - 1))
    return numbered(made)


def indexes(seconds: int) -> list[IndexSecond]:
    """Return an index's seconds, from the first whole one on."""
    dice = np.random.default_rng(8)
    return [
        IndexSecond(
            BEGIN_NS + at * S,
            (IndexAt("SPX", 6000 + float(dice.random()), {"M25": 20.5, "U25": 45.5}),),
            {OTHER: (1, 100 * at)},
        )
        for at in range(1, seconds)
    ]


def joined(events: tuple[Event, ...], seconds: list[IndexSecond], seed: int) -> list[BasisSecond]:
    """Return the rows of two tapes that are read in turns of random length."""
    pairing = Pairing(TAPE)
    made: list[BasisSecond] = []
    turns = np.random.default_rng(seed)
    first = second = 0
    while first < len(events) or second < len(seconds):
        if turns.random() < 0.5:
            length = int(turns.integers(1, 60))
            made += list(pairing.take(1, events[first : first + length]))
            first += length
        else:
            for each in seconds[second : second + int(turns.integers(1, 30))]:
                made += pairing.put(each)
                second += 1
    return made


def test_the_rows_do_not_depend_on_who_is_ahead() -> None:
    """A silent tape delays rows and never changes them."""
    events, seconds = futures(200), indexes(199)
    found = [joined(events, seconds, seed) for seed in range(8)]
    assert [each.ts_ns for each in found[0]] == [each.ts_ns for each in seconds]
    assert all(each == found[0] for each in found)
    methods = {row.method for each in found[0] for row in each.rows}
    assert methods == {"live", "last", "parity"}


def test_a_second_is_what_came_before_the_first_later_event() -> None:
    """A quote at the very end of a second is in it, one nanosecond later in the next."""
    pairing = Pairing(TAPE)
    exactly: list[Event] = [
        quoted(1, 6021.0),
        quoted(2, 6030.0),
        quoted(2 + 1e-9, 6050.0),
        beat(BEGIN_NS + 4 * S),
    ]
    assert list(pairing.take(1, numbered(exactly))) == []
    rows = [each for second in indexes(4) for each in pairing.put(second)]
    assert [each.rows[0].mid for each in rows] == [6021.0, 6030.0, 6050.0]
    assert [msgspec.json.decode(each.rows[0].positions) for each in rows] == [
        {TAPE: [1, 1], OTHER: [1, 100]},
        {TAPE: [1, 2], OTHER: [1, 200]},
        {TAPE: [1, 3], OTHER: [1, 300]},
    ]
    assert [row.symbol for row in rows[0].rows] == ["/ES", "/MES"]
    assert [row.quoted for row in rows[0].rows] == ["/ES", "/ES"]


@pytest.mark.parametrize("stopped", [5, 65, 95, 119, 125, 180])
def test_a_restart_goes_on_with_equal_rows(stopped: int) -> None:
    """From the rows at the tape's end and a minute of the futures' tape before them."""
    events, seconds = futures(200), indexes(199)
    whole = joined(events, seconds, 1)
    before = [row for each in whole[:stopped] for row in each.rows][-62 * 2 :]
    again = Pairing(TAPE)
    again.resume(before, read_from(TAPE, before, None))
    after = again.position[1] if again.position else 0
    made: list[BasisSecond] = []
    for each in seconds[max(stopped - 3, 0) :]:
        made += again.put(each)
    made += list(again.take(1, tuple(event for event in events if event.seq > after)))
    assert made == whole[stopped:]


def test_where_a_restart_reads_on_is_told_all_the_time() -> None:
    """After the close too, when no rows are made: a minute behind what is read."""
    pairing = Pairing(TAPE)
    late_ns = et_ns(DAY, 20)
    beats = numbered([beat(late_ns + at * S) for at in range(7200)])
    list(pairing.take(1, beats))
    position = pairing.resume_position
    assert position is not None
    assert 7100 < position[1] < 7200 - 60
    assert read_from(TAPE, [], position) == position


def test_seconds_wait_no_longer_than_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go, counted; those that stay have the rows that they would have had."""
    monkeypatch.setattr(module, "MOST_WAITING", 50)
    events, seconds = futures(120), indexes(119)
    pairing = Pairing(TAPE)
    for each in seconds:
        assert pairing.put(each) == []
    assert (pairing.waiting, pairing.let_go) == (50, 68)
    made = list(pairing.take(1, events))
    assert [each.ts_ns for each in made] == [each.ts_ns for each in seconds[68:]]


def test_what_is_kept_of_the_futures_is_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the indexes' seconds come, and while they cannot come."""
    events, seconds = futures(200), indexes(199)
    pairing = Pairing(TAPE)
    for at, each in enumerate(seconds):
        from_ns = BEGIN_NS + at * S
        new = tuple(event for event in events if from_ns < event.ts_recv_ns <= from_ns + S)
        list(pairing.take(1, new))
        pairing.put(each)
        assert len(pairing._runs) <= 62
    monkeypatch.setattr(module, "MOST_WAITING", 50)
    assert pairing.full


def test_silence_of_the_futures_is_one_stretch() -> None:
    """Three hours without an event cost no memory, and each second has its row."""
    pairing = Pairing(TAPE)
    silent: list[Event] = [quoted(0.5, 6021.0), quoted(10_800.5, 6021.0)]
    silent.append(beat(BEGIN_NS + 10_802 * S))
    list(pairing.take(1, numbered(silent)))
    assert len(pairing._runs) <= 3
    far = IndexSecond(BEGIN_NS + 9_000 * S, (IndexAt("SPX", 6000.0, {"M25": 20.0}),), {})
    ((row, _),) = (each.rows for each in pairing.put(far))
    assert isinstance(row, Basis)
    assert (row.mid, row.method, row.basis, row.contract) == (None, None, None, None)
