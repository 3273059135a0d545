"""A recorded market closes; what is taken from any place of it is found and named."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import polars as pl
import pytest
import zstandard
from click.testing import CliRunner

from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.verify import Places, Report, newest_date, verify
from gex_pipeline.cli import gex
from gex_pipeline.feeds.capture import capture_files, encode_block, read_capture, read_file
from gex_pipeline.hot.frame import decode_frame, encode_frame
from gex_pipeline.hot.segment import list_segments, scan, spool_frames
from gex_pipeline.lake.parts import PART_FILE, Manifest, Part, read_chain
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.events import Event, Gap, LedgerCount, Trade
from gex_pipeline_tests.archive.conftest import Recording
from gex_pipeline_tests.streamer.sendlog import lines

ORIGIN = Origin(source="simulator", mode="simulated", tape="")
TAPE = "schwab.index"


def places(root: Path) -> Places:
    """The places of a root, without a hot store."""
    return Places(LakePaths(root), root / "spool", root / "capture")


def verified(root: Path) -> Report:
    """The report of a root's newest date."""
    date = newest_date(places(root))
    assert date is not None
    return verify(places(root), date)


@pytest.fixture
def root(recording: Recording, tmp_path: Path) -> Path:
    """A copy, to break."""
    return Path(shutil.copytree(recording.kept, tmp_path / "data" / "sim"))


def test_a_day_with_a_kill_in_it_closes(root: Path) -> None:
    """Lake and spool hold it together, both counts agree, what the killed one left is named."""
    report = verified(root)

    assert report.closes, report.first_break
    assert report.capture == "closes"
    assert report.capture_minutes >= 2
    index = next(tape for tape in report.tapes if tape.tape == TAPE)
    assert min(index.events["parts"], index.events["spool"]) > 1_000
    assert index.gaps["restart"] >= 1
    assert sum(index.events.values()) == index.last_seq
    for line in report.tables:
        assert line.received == line.written + line.conflated + line.rejected
        assert line.recounted == line.recounted_of
    tails = [each for tape in report.tapes for each in tape.unsettled]
    assert all(each.before_seq is not None for each in tails)
    assert all(each.minutes <= 1 for each in tails)


def received_since_restart(root: Path) -> tuple[Counter[str], int]:
    """What the second streamer's socket counted by table, and when its time began."""
    received: Counter[str] = Counter()
    since_ns = 0
    for calendar in ("equity", "index", "cme"):
        restarted = False
        for event in spooled(root, f"schwab.{calendar}"):
            if isinstance(event, Gap) and event.cause == "restart":
                restarted, since_ns = True, event.ts_from_ns
            if restarted and isinstance(event, LedgerCount) and event.outcome == "received":
                received[event.table] += event.events
    return received, since_ns


def spooled(root: Path, tape: str) -> Iterator[Event]:
    """The events of a spool."""
    for data in spool_frames(root / "spool" / tape, 0):
        yield from decode_frame(data).events


def test_the_simulator_sent_what_the_ledger_received(root: Path) -> None:
    """The send log of the second streamer's connection and chains, counted by a third reader."""
    received, since_ns = received_since_restart(root)

    sent: Counter[str] = Counter()
    for line in lines(root):
        fields = line["fields"].keys()
        if line["service"] == "CHAIN" and line["ts_ns"] > since_ns:
            sent["option_quotes"] += line["fields"]["contracts"]
            sent["chain_headers"] += 1
        elif line["stream"] != 2:
            continue
        elif line["service"] == "LEVELONE_OPTIONS":
            sent["option_quotes"] += 1
        elif line["service"].endswith("_BOOK"):
            sent["depth"] += 1
        elif line["service"].startswith("CHART_"):
            sent["candles"] += 1
        else:
            sent["quotes"] += bool(fields & {"1", "2", "4", "5"})
            sent["trades"] += bool(fields & {"3", "8", "9", "35", "11"})

    assert received == sent


def test_a_capture_holds_no_token(root: Path) -> None:
    """Neither of those that sign in, in no frame of any kind."""
    token = json.loads(next((root / "tokens").glob("*.json")).read_bytes())["token"]
    secrets = [token["access_token"].encode(), token["refresh_token"].encode(), b"Authorization"]

    frames = list(read_capture(root / "capture"))

    assert {frame.kind for frame in frames} == {"stream", "chain", "end"}
    assert not [frame for frame in frames for secret in secrets if secret in frame.data]


def without_frame(root: Path) -> tuple[str, int]:
    """Take a frame out of the middle of what only the spool has."""
    folder = root / "spool" / TAPE
    cursor = read_chain(LakePaths(root), TAPE).cursor
    segment = list_segments(folder)[-1]
    data = segment.path.read_bytes()
    found = [(at, h) for at, h in scan(data, 0) if h.first_seq > cursor + 500]
    at, header = found[len(found) // 2]
    segment.path.write_bytes(data[:at] + data[at + header.size :])
    return "spool", header.first_seq


def without_rows(root: Path) -> tuple[str, int]:
    """Take a row out of a part's file, and its count out of part.json."""
    folder = LakePaths(root).part(TAPE, 1)
    path = folder / "trades.parquet"
    frame = pl.read_parquet(path)
    seq = int(frame["seq"][len(frame) // 2])
    frame.filter(pl.col("seq") != seq).write_parquet(path)
    part = msgspec.json.decode((folder / PART_FILE).read_bytes(), type=Part)
    assert part.rows["trades"] == len(frame)
    return "parts", seq


def twice(root: Path) -> tuple[str, int]:
    """Put a row of a part there twice, instead of another one."""
    path = LakePaths(root).part(TAPE, 1) / "trades.parquet"
    frame = pl.read_parquet(path)
    seqs = frame["seq"].to_list()
    kept = frame.filter(pl.col("seq") != seqs[5])
    pl.concat([kept, frame[6:7]]).write_parquet(path)
    return "parts", min(seqs[5], seqs[6])


@pytest.mark.parametrize("damage", [without_frame, without_rows, twice])
def test_what_is_missing_is_named_by_its_number(
    root: Path, damage: Callable[[Path], tuple[str, int]]
) -> None:
    """The place, the tape and the seq."""
    stage, seq = damage(root)

    report = verified(root)

    assert not report.closes
    found = [each for each in report.breaks if each.first_seq == seq]
    assert [each.stage for each in found] == [stage]
    assert found[0].tape == TAPE


def reworked(root: Path, change: Callable[[list[Event]], None]) -> None:
    """Write the newest segment anew, its events changed, under valid checksums."""
    segment = list_segments(root / "spool" / TAPE)[-1]
    data = segment.path.read_bytes()
    out = []
    for at, header in scan(data, 0):
        frame = decode_frame(data[at : at + header.size])
        events = list(frame.events)
        change(events)
        out.append(encode_frame(msgspec.structs.replace(frame, events=tuple(events))))
    segment.path.write_bytes(b"".join(out))


def test_a_count_that_says_too_much_is_found_at_the_socket(root: Path) -> None:
    """Received one more than it was, in one minute of one table: that place, by one."""
    cursor = read_chain(LakePaths(root), TAPE).cursor
    changed: list[LedgerCount] = []

    def flip(events: list[Event]) -> None:
        for at, event in enumerate(events):
            late = event.seq > cursor + 1_000 and not changed
            if late and isinstance(event, LedgerCount) and event.outcome == "received":
                events[at] = msgspec.structs.replace(event, events=event.events + 1)
                changed.append(event)

    reworked(root, flip)
    report = verified(root)

    assert not report.closes
    by_stage = {each.stage: each for each in report.breaks}
    assert by_stage["socket"].by == -1
    assert by_stage["socket"].table == changed[0].table
    assert by_stage["socket"].minute_ns == changed[0].ts_minute_ns
    assert by_stage["capture"].by == -1
    assert report.first_break == by_stage["capture"]


def test_an_event_that_became_another_kind_does_not_close(root: Path) -> None:
    """All seqs are there, but a table has a row less than was written."""
    cursor = read_chain(LakePaths(root), TAPE).cursor
    changed: list[Event] = []

    def turn(events: list[Event]) -> None:
        for at, event in enumerate(events):
            if isinstance(event, Trade) and event.seq > cursor + 1_000 and not changed:
                events[at] = LedgerCount(
                    "",
                    event.ts_event_ns,
                    event.ts_recv_ns,
                    event.seq,
                    ts_minute_ns=0,
                    table="trades",
                    outcome="received",
                    events=0,
                )
                changed.append(event)

    reworked(root, turn)
    report = verified(root)

    assert not report.closes
    assert report.first_break is not None
    assert report.first_break.table == "trades"
    assert report.first_break.by == -1


def test_a_frame_that_the_capture_lost_is_found(root: Path) -> None:
    """By its number, and by the updates that are missing in its minute."""
    path = capture_files(root / "capture")[-1]
    frames = list(read_file(path))
    lost = frames[len(frames) // 2]
    kept = [frame for frame in frames if frame.number != lost.number]
    path.write_bytes(encode_block(kept, zstandard.ZstdCompressor()))

    report = verified(root)

    assert not report.closes
    assert report.capture == "broken"
    assert any(str(lost.number) in each.words for each in report.breaks)
    assert any(each.table and each.by < 0 for each in report.breaks if each.stage == "capture")


def test_without_a_capture_it_closes_and_says_so(root: Path) -> None:
    """`capture: absent`; half of one is compared as far as it goes."""
    files = capture_files(root / "capture")
    assert len(files) >= 2
    files[0].unlink()

    half = verified(root)
    shutil.rmtree(root / "capture")
    none = verified(root)

    assert (half.closes, half.capture) == (True, "closes")
    assert (none.closes, none.capture, none.capture_minutes) == (True, "absent", 0)


def run(root: Path, *arguments: str) -> tuple[int, str]:
    """How `gex verify` ended, and what it said."""
    environment = {"GEX_DATA_DIR": str(root.parent), "GEX_SOURCE": "simulator", "GEX_REDIS_URL": ""}
    done = CliRunner().invoke(gex, ["verify", *arguments], env=environment)
    return done.exit_code, done.output


def test_the_command_says_whether_a_date_closes(root: Path) -> None:
    """0 closes, 1 names the first place, 2 for a date that is not held; JSON has it all."""
    code, text = run(root)
    assert code == 0
    assert "SIMULATED" in text
    assert "closes" in text

    assert run(root, "--date", "2020-01-02")[0] == 2

    stage, seq = without_frame(root)
    code, text = run(root, "--json")
    report = json.loads(text)
    assert code == 1
    assert report["first_break"] in report["breaks"]
    assert any(each["first_seq"] == seq and each["stage"] == stage for each in report["breaks"])
    assert f"{seq:,}" in run(root)[1]


def test_day_files_close_like_their_parts(recording: Recording, tmp_path: Path) -> None:
    """Every number is in them once; a row taken from one is named by its number."""
    root = Path(shutil.copytree(recording.finished, tmp_path / "sim"))
    whole = verified(root)
    path = next((root / "lake" / "quotes").glob("**/*cme*.parquet"))
    frame = pl.read_parquet(path, hive_partitioning=False)
    seq = int(frame["seq"][len(frame) // 2])
    frame.filter(pl.col("seq") != seq).write_parquet(path)

    broken = verified(root)

    assert whole.closes
    assert all(set(tape.events) == {"days"} for tape in whole.tapes)
    assert not broken.closes
    named = next(each for each in broken.breaks if each.first_seq == seq)
    assert (named.stage, named.tape, named.by) == ("days", "schwab.cme", -1)
    short = [each for each in broken.breaks if each.minute_ns is not None]
    assert [(each.table, each.by) for each in short] == [("quotes", -1)]


@pytest.mark.parametrize("table", ["option_quotes", "ledger", "heartbeats"])
def test_a_file_that_cannot_be_read_is_named(root: Path, table: str) -> None:
    """Cut in half: its name, its table, and the numbers that were in it; the rest is read."""
    path = LakePaths(root).part(TAPE, 1) / f"{table}.parquet"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    report = verified(root)

    assert not report.closes
    assert any(each.table == table and path.name in each.words for each in report.breaks)
    assert any(each.first_seq is not None for each in report.breaks)
    assert {tape.tape for tape in report.tapes} == {"schwab.cme", "schwab.equity", "schwab.index"}


def test_what_retention_let_go_is_held_no_more(recording: Recording, tmp_path: Path) -> None:
    """A tape without its day files is left out; the others close."""
    root = Path(shutil.copytree(recording.finished, tmp_path / "sim"))
    note = next((root / "lake" / "_days" / "schwab.cme").glob("*.json"))
    manifest = msgspec.json.decode(note.read_bytes(), type=Manifest)
    gone = msgspec.structs.replace(manifest, files=(), retired=manifest.files)
    note.write_bytes(msgspec.json.encode(gone))

    report = verified(root)

    assert report.closes
    assert {tape.tape for tape in report.tapes} == {"schwab.equity", "schwab.index"}
