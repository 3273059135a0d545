"""What the live bench feeds: as many contracts and updates as it says, dense, in order, in time."""

from collections import Counter

from gex_pipeline.hot.frame import decode_frame
from gex_pipeline.market.events import Heartbeat, OptionQuote
from gex_pipeline_tests.bench.live_feed import PER_S, START_NS, make_frames

CONTRACTS = {"SPX": 300, "SPY": 200}


def test_the_feed_is_what_it_says() -> None:
    """Two seconds of it: every frame decodes and goes on from the last one of its tape."""
    frames = make_frames(2, CONTRACTS)
    listed: dict[str, set[str]] = {symbol: set() for symbol in CONTRACTS}
    last, beats, updates = Counter[str](), Counter[str](), 0
    for one in frames:
        frame = decode_frame(one.data)
        assert (frame.tape, frame.last_seq) == (one.tape, one.last_seq)
        assert frame.first_seq == last[one.tape] + 1
        last[one.tape] = frame.last_seq
        for event in frame.events:
            assert event.ts_recv_ns - START_NS == one.due_ns
            beats[one.tape] += isinstance(event, Heartbeat)
            if isinstance(event, OptionQuote):
                listed[event.underlying].add(event.symbol)
                updates += event.streamed

    assert {symbol: len(names) for symbol, names in listed.items()} == CONTRACTS
    assert updates == 2 * PER_S
    assert set(beats.values()) == {2}
    assert [one.due_ns for one in frames] == sorted(one.due_ns for one in frames)
