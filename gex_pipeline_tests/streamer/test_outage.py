"""When a person hears of an outage, and what is kept of a learned limit."""

from pathlib import Path

import pytest

from gex_pipeline.market.sessions import et_ns
from gex_pipeline.streamer.bell import Bell
from gex_pipeline.streamer.outage import CRITICAL_S, Outage
from gex_pipeline.streamer.symbollimit import LESSON_S, SymbolLimit
from gex_pipeline_tests.hot.builders import MONDAY

OPEN_NS = et_ns(MONDAY, 11, 0)
CLOSED_NS = et_ns(MONDAY, 19, 0)


def level(bell: Bell) -> str | None:
    """How loud the outage is now."""
    alert = bell.active.get("stream_down")
    return None if alert is None else alert.level


@pytest.mark.parametrize(("market_ns", "last"), [(OPEN_NS, "critical"), (CLOSED_NS, "warning")])
def test_an_outage_is_critical_after_a_minute_of_an_open_market(market_ns: int, last: str) -> None:
    """Another reason does not start the minute again; data end it."""
    now_s = 100.0
    bell = Bell("streamer")
    outage = Outage(bell, frozenset({"index"}), lambda: now_s)

    outage.look(market_ns)
    assert level(bell) is None
    outage.begin("the socket broke")
    outage.look(market_ns)
    assert level(bell) == "warning"
    now_s += CRITICAL_S - 1
    outage.begin("no answer")
    outage.look(market_ns)
    assert level(bell) == "warning"
    now_s += 1
    outage.look(market_ns)
    assert level(bell) == last
    outage.begin("no answer again")
    assert (level(bell), bell.active["stream_down"].text) == (last, "no answer again")
    outage.end()
    assert level(bell) is None


def test_a_learned_limit_outlives_the_process_but_not_another_setting(tmp_path: Path) -> None:
    """Whoever writes another number into the setting wants it tried."""
    path = tmp_path / "new" / "symbol_limit.json"
    first = SymbolLimit(500, path)
    assert (first.symbols, first.learned) == (500, None)

    first.learn(317)

    assert (first.symbols, first.learned) == (317, 317)
    assert SymbolLimit(500, path).symbols == 317
    assert SymbolLimit(1000, path).symbols == 1000
    path.write_text("{")
    assert SymbolLimit(500, path).learned is None


def test_a_limit_that_no_disk_keeps_is_learned_all_the_same(tmp_path: Path) -> None:
    """The next start is refused once."""
    (tmp_path / "file").touch()
    limit = SymbolLimit(500, tmp_path / "file" / "symbol_limit.json")

    limit.learn(317)

    assert limit.symbols == 317


def test_a_lesson_is_tried_again_after_half_a_day() -> None:
    """A limit that was one bad hour's does not stay for ever."""
    now_s = 0.0
    limit = SymbolLimit(500, mono_s=lambda: now_s)
    limit.learn(317)
    now_s += LESSON_S - 1
    assert limit.symbols == 317
    limit.learn(317)
    now_s += LESSON_S - 1
    assert limit.symbols == 317
    now_s += 1
    assert (limit.symbols, limit.learned) == (500, None)
