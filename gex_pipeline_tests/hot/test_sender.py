"""The tape has each spooled event once and in order, whatever happens to server and connection."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from gex_pipeline.errors import TapeError
from gex_pipeline.hot import pressure
from gex_pipeline.hot.batch import BATCH_FIELD, unpack_events
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.frame import Position, read_header
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.sender import Sender
from gex_pipeline.hot.spool import Spool
from gex_pipeline.hot.tape import FIELD, floor_of
from gex_pipeline.hot.tapewriter import Run, TapeWriter
from gex_pipeline.hot.ticks import Level2Event, decode_level2, decode_tick
from gex_pipeline.market.codec import decode_json
from gex_pipeline.market.events import LEVEL_ONE, BookUpdate, Event
from gex_pipeline_tests.hot.builders import (
    MONDAY,
    NOW_NS,
    TAPE,
    entries,
    eventually,
    kill,
    option,
    quote,
    running,
    sent_seqs,
    trade,
    trades,
)
from gex_pipeline_tests.hot.wire import Wire


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A new spool with a hundred events in frames of five."""
    with Spool.open(tmp_path / "spool", TAPE) as spool:
        for _ in range(20):
            spool.append(trades(5), MONDAY)
        yield spool


def all_sent(client: redis.Redis, keys: Keys, spool: Spool) -> bool:
    """Whether the tape has every event, once, in order."""
    try:
        return sent_seqs(client, keys) == list(range(1, spool.last_seq + 1))
    except redis.RedisError:
        return False


def sent_more_than(sender: Sender, events: int) -> bool:
    """Whether the sender has got on."""
    return sender.state().sent_events > events


def test_frames_go_out_as_they_were_spooled(client: redis.Redis, keys: Keys, spool: Spool) -> None:
    """The same bytes, id `<epoch>-<last seq>`, what comes later too."""
    sender = Sender(client, keys, spool, publish=False)
    with running(sender):
        assert eventually(lambda: all_sent(client, keys, spool))
        spool.append(trades(256), MONDAY)
        assert eventually(lambda: all_sent(client, keys, spool))

    found = entries(client, keys.tape(TAPE))
    assert [fields[FIELD] for _, fields in found] == list(spool.read_after(0))
    assert found[0][0] == b"1-5"
    state = sender.state()
    assert (state.sent_frames, state.sent_events, state.unsent) == (21, 356, 0)
    assert (state.sent_position, state.resyncs, state.repeats) == ("1-356", 1, 0)


def test_a_stop_sends_what_is_spooled(client: redis.Redis, keys: Keys, spool: Spool) -> None:
    """Nothing waits for the next start."""
    with running(Sender(client, keys, spool, publish=False)):
        assert eventually(lambda: all_sent(client, keys, spool))
        spool.append(trades(5), MONDAY)

    assert all_sent(client, keys, spool)


def test_another_life_goes_on_where_the_last_ended(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """Three owners, one after the other: no state but spool and server."""
    for _ in range(3):
        floor = floor_of(client, keys, TAPE)
        with Spool.open(tmp_path, TAPE, floor_seq=floor.seq, floor_epoch=floor.epoch) as spool:
            sender = Sender(client, keys, spool, publish=False)
            with running(sender):
                for _ in range(5):
                    spool.append(trades(3), MONDAY)
                assert eventually(lambda: sent_seqs(client, keys)[-1:] == [spool.last_seq])
            assert sender.state().repeats == 0

    assert sent_seqs(client, keys) == list(range(1, 46))


def test_a_lost_spool_takes_another_epoch(client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    """Numbers go on above the server's; the old owner, woken up, is told to stop."""
    with Spool.open(tmp_path / "a", TAPE) as old:
        old.append(trades(10), MONDAY)
        with running(Sender(client, keys, old, publish=False)):
            assert eventually(lambda: all_sent(client, keys, old))
        floor = floor_of(client, keys, TAPE)
        with (
            Spool.open(tmp_path / "b", TAPE, floor_seq=floor.seq, floor_epoch=floor.epoch) as new,
            running(Sender(client, keys, new, publish=False)),
        ):
            assert new.append(trades(2), MONDAY).position == (2, 12)
            assert eventually(lambda: sent_seqs(client, keys)[-1] == 12)

        old.append(trades(1), MONDAY)
        sender = Sender(client, keys, old, publish=False)
        with running(sender) as errors:
            assert eventually(lambda: bool(errors))

    assert isinstance(errors[0], TapeError)
    assert "2-12" in str(errors[0])
    assert sender.state().problem == str(errors[0])
    assert sent_seqs(client, keys) == list(range(1, 13))


def test_another_frame_under_our_id_stops_the_sender(
    client: redis.Redis, keys: Keys, spool: Spool
) -> None:
    """A tape whose newest entry is not the frame of our spool is not written."""
    client.xadd(keys.tape(TAPE), {FIELD: b"somebody else's"}, id="1-50")

    with running(Sender(client, keys, spool, publish=False)) as errors:
        assert eventually(lambda: bool(errors))

    assert isinstance(errors[0], TapeError)
    assert client.xlen(keys.tape(TAPE)) == 1


def test_a_refused_id_is_a_repeat_only_if_the_bytes_are_equal(
    client: redis.Redis, keys: Keys, spool: Spool
) -> None:
    """Equal bytes are counted, others stop the sender."""
    frames = [(header, data) for data in spool.read_after(0) if (header := read_header(data))]
    tape = TapeWriter(client, keys.tape(TAPE), TAPE)
    assert tape.connect() is None
    assert tape.write(Run(frames[:2], []), lambda: None)

    assert tape.write(Run(frames[:3], []), lambda: None)
    assert tape.repeats == 2
    client.delete(keys.tape(TAPE))
    client.xadd(keys.tape(TAPE), {FIELD: b"other"}, id="1-5")
    with pytest.raises(TapeError, match="1-5"):
        tape.write(Run(frames[:1], []), lambda: None)
    tape.close()


@pytest.mark.parametrize("how", ["flushall", "delete"])
def test_a_tape_that_vanishes_is_written_again(
    client: redis.Redis, keys: Keys, spool: Spool, how: str
) -> None:
    """FLUSHALL does not cut the connection: the nil reply to the next frame tells."""
    sender = Sender(client, keys, spool, publish=False)
    with running(sender):
        assert eventually(lambda: all_sent(client, keys, spool))
        client.flushall() if how == "flushall" else client.delete(keys.tape(TAPE))
        spool.append(trades(5), MONDAY)
        assert eventually(lambda: all_sent(client, keys, spool))

    assert sender.state().vanished == 1


def test_a_tape_that_vanished_starts_behind_the_archive(
    client: redis.Redis, keys: Keys, spool: Spool
) -> None:
    """What is committed in Parquet is not sent again."""
    with running(Sender(client, keys, spool, publish=False, cursor=lambda: 90)):
        assert eventually(lambda: sent_seqs(client, keys)[-1:] == [100])

    assert sent_seqs(client, keys) == list(range(91, 101))


def test_a_trimmed_tape_goes_on(client: redis.Redis, keys: Keys, spool: Spool) -> None:
    """Trimming everything leaves the last id: nothing is sent twice after a new connection."""
    sender = Sender(client, keys, spool, publish=False)
    with running(sender):
        assert eventually(lambda: all_sent(client, keys, spool))
    assert sender.trim(Position(1, 100)) == 20

    spool.append(trades(2), MONDAY)
    with running(Sender(client, keys, spool, publish=False)):
        assert eventually(lambda: sent_seqs(client, keys) == [101, 102])


def test_the_server_dies_and_comes_back(
    own_server: EmbeddedServer, keys: Keys, spool: Spool, tmp_path: Path
) -> None:
    """Three times kill -9 while events come: every event once, in order."""
    stop = threading.Event()

    def produce() -> None:
        while not stop.wait(0.002):
            spool.append(trades(5), MONDAY)

    producer = threading.Thread(target=produce)
    with connect(own_server.url) as client:
        sender = Sender(client, keys, spool, publish=True)
        with running(sender) as errors:
            producer.start()
            for _ in range(3):
                wanted = sender.state().sent_events + 50
                assert eventually(partial(sent_more_than, sender, wanted))
                kill(own_server, tmp_path)
                own_server.start(tmp_path, own_server.port)
            stop.set()
            producer.join()
            assert eventually(lambda: all_sent(client, keys, spool)), sender.state()

    assert not errors
    assert sender.state().resyncs >= 4


@pytest.mark.parametrize("fault", ["reply", "request"])
def test_a_lost_reply_or_half_a_request(
    server: EmbeddedServer, client: redis.Redis, keys: Keys, spool: Spool, fault: str
) -> None:
    """The connection breaks after the server did it, or before: once, in order, all the same."""
    with Wire(server.port) as wire, connect(wire.url_of(server.url)) as behind:
        sender = Sender(behind, keys, spool, publish=False)
        with running(sender) as errors:
            assert eventually(lambda: all_sent(client, keys, spool))
            for _ in range(5):
                wire.cut_next(fault)
                for _ in range(3):
                    spool.append(trades(5), MONDAY)
                assert eventually(lambda: all_sent(client, keys, spool))
            assert eventually(lambda: sender.state().resyncs == 6)

    assert not errors
    assert wire.cuts == 5


def test_a_server_without_memory_is_back_pressure(
    own_server: EmbeddedServer, keys: Keys, spool: Spool
) -> None:
    """Refused for want of memory, whole transactions wait; with memory they come, in order."""
    with connect(own_server.url) as client:
        client.config_set("maxmemory", "1mb")
        sender = Sender(client, keys, spool, publish=False)
        with running(sender):
            assert eventually(lambda: sender.state().held or bool(sender.state().problem))
            spool.append(trades(5), MONDAY)
            assert client.exists(keys.tape(TAPE)) == 0
            client.config_set("maxmemory", "100mb")
            assert eventually(lambda: all_sent(client, keys, spool))


def test_short_memory_trims_what_every_reader_has(
    own_server: EmbeddedServer, keys: Keys, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the position of the readers and no further."""
    monkeypatch.setattr(pressure, "TRIM_ABOVE", 0.0)
    monkeypatch.setattr(pressure, "CHECK_S", 0.01)
    with connect(own_server.url) as client:
        sender = Sender(client, keys, spool, publish=False, folded=lambda: Position(1, 62))
        with running(sender):
            assert eventually(lambda: sent_seqs(client, keys) == list(range(61, 101)))


def test_newest_values_and_streams(client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    """Newest trade and quote, a symbol's ticks, an underlying's options, a book; all expire."""
    events: list[Event] = [trade(5000.0), trade(5001.0), quote(600.0, 600.1), option(1), option(2)]
    events.append(
        BookUpdate(
            "SPY",
            NOW_NS,
            NOW_NS,
            bid_prices=(600.0,),
            bid_sizes=(3.0,),
            ask_prices=(600.1, 600.2),
            ask_sizes=(4.0, 5.0),
            venue="NYSE_BOOK",
        )
    )
    with Spool.open(tmp_path, TAPE) as spool, running(Sender(client, keys, spool)):
        frame = spool.append(events, MONDAY)
        assert eventually(lambda: client.exists(keys.depth("SPY")) == 1)

    trades_of, quotes_of = client.hgetall(keys.last("SPX")), client.hgetall(keys.last("SPY"))
    assert decode_json(trades_of[b"trade"]) == frame.events[1]
    assert decode_json(quotes_of[b"quote"]) == frame.events[2]
    ((entry_id, fields),) = entries(client, keys.ticks("SPX"))
    assert entry_id == b"%d-2" % (NOW_NS // 1_000_000)
    assert unpack_events(fields[BATCH_FIELD]) == list(frame.events[:2])
    ((_, fields),) = entries(client, keys.options("SPX"))
    assert unpack_events(fields[BATCH_FIELD]) == list(frame.events[3:5])
    book = decode_level2(cast("bytes", client.get(keys.depth("SPY"))))
    assert (book.bids, book.asks, book.depth) == (((600.0, 3.0),), ((600.1, 4.0), (600.2, 5.0)), 2)
    names = [keys.last("SPX"), keys.ticks("SPX"), keys.options("SPX"), keys.depth("SPY")]
    assert all(client.ttl(name) > 0 for name in names)
    assert client.ttl(keys.tape(TAPE)) == -1


def test_keys_of_a_store_that_lost_them_end_too(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """A key is told to live on once a minute, and at once where it may be a new one."""
    events: list[Event] = [trade(5000.0), quote(600.0, 600.1), option(1)]
    with Spool.open(tmp_path / "spool", TAPE) as spool:
        sender = Sender(client, keys, spool)
        spool.append(events, MONDAY)
        sender.pump()
        client.flushall()
        spool.append(events, MONDAY)
        sender.pump()

    names = [keys.last("SPX"), keys.last("SPY"), keys.ticks("SPX"), keys.options("SPX")]
    assert all(client.ttl(name) > 0 for name in names)


def test_messages(client: redis.Redis, keys: Keys, tmp_path: Path) -> None:
    """One JSON message a tick, with the newest of both kinds; options only when asked for."""
    with (
        listening(client, keys) as pubsub,
        Spool.open(tmp_path, TAPE) as spool,
        running(Sender(client, keys, spool, source="simulator", option_ticks=True)),
    ):
        spool.append([trade(600.0, "SPY"), quote(600.0, 600.1), option(1)], MONDAY)
        ticks = [decode_tick(next_message(pubsub)) for _ in range(3)]

    first, second, third = ticks
    assert (first.v, first.symbol, first.seq, first.source) == (1, "SPY", 1, "simulator")
    assert (first.last, first.bid, first.ask, first.size) == (600.0, None, None, 1.0)
    assert (second.last, second.bid, second.ask, second.size) == (600.0, 600.0, 600.1, None)
    assert third.symbol.startswith("SPXW")


def test_messages_are_not_repeated_when_the_tape_is_written_again(
    client: redis.Redis, keys: Keys, spool: Spool
) -> None:
    """After FLUSHALL the tape starts again, the channel goes on."""
    with listening(client, keys) as pubsub:
        sender = Sender(client, keys, spool)
        with running(sender):
            seqs = [decode_tick(next_message(pubsub)).seq for _ in range(100)]
            client.delete(keys.tape(TAPE))
            spool.append([trade()], MONDAY)
            assert eventually(lambda: all_sent(client, keys, spool))
            newest = {decode_tick(next_message(pubsub)).seq}
            while (message := pubsub.get_message(timeout=0.2)) is not None:
                newest.add(decode_tick(message["data"]).seq)

    assert (seqs, newest) == (list(range(1, 101)), {101})


def book(symbol: str, ts_ns: int, venue: str | None, price: float) -> BookUpdate:
    """A whole book of one level a side."""
    return BookUpdate(
        symbol,
        ts_ns,
        ts_ns,
        bid_prices=(price,),
        bid_sizes=(1.0,),
        ask_prices=(price + 1,),
        ask_sizes=(1.0,),
        venue=venue,
    )


def test_the_top_of_level_one_gives_way_to_a_book(
    client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """Of another feed, on a tape of its own: while that is fresh level one is silent."""
    seconds = [NOW_NS + at * 10**9 for at in range(60)]

    def depth() -> Level2Event | None:
        data = cast("bytes | None", client.get(keys.depth("/NQ")))
        return decode_level2(data) if data else None

    def shows(source: str, price: float) -> bool:
        now = depth()
        return now is not None and (now.source, now.bids[0][0]) == (source, price)

    with (
        Spool.open(tmp_path / "one", "schwab.cme") as ours,
        Spool.open(tmp_path / "other", "tastytrade.cme") as theirs,
        running(Sender(client, keys, ours, source="schwab")),
        running(Sender(client, keys, theirs, source="tastytrade")),
    ):
        ours.append([book("/NQ", seconds[0], LEVEL_ONE, 1.0)], MONDAY)
        assert eventually(lambda: shows(LEVEL_ONE, 1.0))
        theirs.append([book("/NQ", seconds[2], "CME", 2.0)], MONDAY)
        assert eventually(lambda: shows("tastytrade", 2.0))
        silent = [book("/NQ", at, LEVEL_ONE, 3.0) for at in seconds[3:6]]
        ours.append([*silent, book("/ES", seconds[6], LEVEL_ONE, 3.0)], MONDAY)
        assert eventually(lambda: client.exists(keys.depth("/ES")) == 1)
        assert shows("tastytrade", 2.0)
        ours.append([book("/NQ", seconds[30], LEVEL_ONE, 4.0)], MONDAY)
        assert eventually(lambda: shows(LEVEL_ONE, 4.0))


@contextmanager
def listening(client: redis.Redis, keys: Keys) -> Iterator[Any]:
    """Subscribed to the ticks, for certain."""
    pubsub: Any = cast("Any", client).pubsub()
    with pubsub:
        pubsub.subscribe(keys.ticks_channel)
        assert eventually(lambda: pubsub.get_message(timeout=0.3) is not None)
        yield pubsub


def next_message(pubsub: Any) -> bytes:
    """The next message of a channel."""
    for _ in range(100):
        if (message := pubsub.get_message(timeout=0.3)) is not None:
            return bytes(message["data"])
    raise AssertionError("no message came")
