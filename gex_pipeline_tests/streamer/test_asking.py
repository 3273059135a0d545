"""REST that fails as Schwab's does, by real schwab-py over sockets: what is said, what heals it."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gex_pipeline.archive.recount import Recount
from gex_pipeline.errors import GexError
from gex_pipeline.feeds.capture import read_capture
from gex_pipeline.feeds.schwab.playback import replay_capture
from gex_pipeline.market.events import ChainHeader, LedgerCount, OptionQuote, Quote, Trade
from gex_pipeline.streamer import quotepoll
from gex_pipeline.streamer.lookups import Looked
from gex_pipeline.streamer.refusals import tell_refusals
from gex_pipeline_tests.simulator.serving import post
from gex_pipeline_tests.streamer.asking import SECRET, Rig, asking

Check = Callable[[Rig], Awaitable[None]]
CHAINS = "GET /marketdata/v1/chains"
CANARY = "canary-4f0c-secret"


def with_rig(root: Path, check: Check, **settings: Any) -> None:
    """Run a check against a rig."""

    async def run() -> None:
        async with asking(root, **settings) as rig:
            await check(rig)

    asyncio.run(run())


@asynccontextmanager
async def looping(*loops: Any) -> AsyncIterator[None]:
    """Run loops meanwhile."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def headers(rig: Rig) -> list[ChainHeader]:
    """The answers of chains on the tape."""
    return [event for event in rig.tape() if isinstance(event, ChainHeader)]


def counted(rig: Rig) -> dict[str, int]:
    """Requests for chains, by class of status."""
    paths = msgspec.json.decode(rig.status["http"])
    return dict(paths[CHAINS]["by_status"])


def test_a_chain_above_10_mb_comes_in_halves(tmp_path: Path) -> None:
    """502 TooBigBody is no failure: every window comes, nothing rings, the cuts are kept."""

    async def check(rig: Rig) -> None:
        await rig.round()
        first = counted(rig)
        await rig.round()

        assert first["5xx"] > 0
        assert counted(rig)["5xx"] == first["5xx"]
        assert all(header.complete for header in headers(rig))
        assert rig.status["breaker"] == "closed"
        assert rig.alert("chain_incomplete") == ""
        assert msgspec.json.decode(rig.status["caches"])["windows"]["fills"] == first["5xx"]

    with_rig(tmp_path, check, contracts=24_000)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ({"status": 429, "retry_after_s": 300}, "Schwab refused a request (429)"),
        ({"status": 403, "html": True, "message": CANARY}, "Schwab refused a request (403)"),
    ],
)
def test_a_refusal_is_left_alone_then_probed(
    tmp_path: Path, act: dict[str, Any], said: str
) -> None:
    """The window is missing and says so; nothing is sent until the probe; then all is well."""

    async def check(rig: Rig) -> None:
        breaker = rig.asking.rest.breaker
        await post(rig.server, "reject", {"path": "chains", **act})
        async with looping(tell_refusals(breaker, rig.bell)):
            await rig.round()
            await rig.until(lambda: rig.alert("rest_refused"))
            assert rig.alert("rest_refused").startswith(said)
            assert said in rig.alert("chain_incomplete")
            assert "SPX: 2026-11-20 to" in rig.alert("chain_incomplete")
            assert CANARY not in rig.alert("rest_refused") + rig.alert("chain_incomplete")
            assert headers(rig)[-1].complete is False
            with pytest.raises(GexError, match="left alone"):
                await rig.asking.rest.quotes(("SPY",))
            sent = counted(rig)

            rig.heal()
            breaker._until_s = time.monotonic()  # the pause is over
            await rig.round()
            await rig.until(lambda: not rig.alert("rest_refused"))
        assert sent == {"4xx": 1}
        assert counted(rig)["4xx"] == 1
        assert headers(rig)[-1].complete
        assert rig.alert("chain_incomplete") == ""

    with_rig(tmp_path, check)


def test_failures_in_a_row_open_the_breaker_and_the_chain_says_what_is_missing(
    tmp_path: Path,
) -> None:
    """503 of everything: each question is tried, then nothing is sent; later the chain is whole."""

    async def check(rig: Rig) -> None:
        breaker = rig.asking.rest.breaker
        await rig.round()
        await post(rig.server, "reject", {"status": 503})
        await rig.round()
        assert "SPX: 2026-11-20 to 2026-11-25 (Schwab answered" in rig.alert("chain_incomplete")
        assert headers(rig)[-1].complete is False
        sent, rounds = rig.asking.rest.requests, asyncio.create_task(_rounds(rig, 3))
        async with looping(tell_refusals(breaker, rig.bell)):
            await rig.until(lambda: breaker.state == "open")
            assert rig.asking.rest.requests - sent == 3
            await rig.until(lambda: "status 503" in rig.alert("rest_refused"))
            rig.heal()
            breaker._until_s = time.monotonic()
            await rounds
            await rig.until(lambda: not rig.alert("rest_refused"))
        assert (breaker.state, breaker.opened) == ("closed", 1)
        assert rig.alert("chain_incomplete") == ""
        assert headers(rig)[-1].complete

    with_rig(tmp_path, check)


async def _rounds(rig: Rig, count: int) -> None:
    for _ in range(count):
        await rig.round()


def test_an_old_access_token_costs_one_renewal(tmp_path: Path) -> None:
    """401: renewed and asked again, nothing is missing; the second try is counted as one."""

    async def check(rig: Rig) -> None:
        await rig.round()
        await post(rig.server, "expire")
        await rig.round()

        paths = msgspec.json.decode(rig.status["http"])
        refused = sum(each["by_status"].get("4xx", 0) for each in paths.values())
        assert refused == 1
        assert paths["POST /v1/oauth/token"]["by_status"] == {"2xx": 1}
        assert all(header.complete for header in headers(rig))
        assert rig.status["breaker"] == "closed"

    with_rig(tmp_path, check)


def test_an_answer_that_never_comes_is_a_missing_window(tmp_path: Path) -> None:
    """The connection stays open and silent: the time-out is a failure, and no round hangs."""

    async def check(rig: Rig) -> None:
        await rig.round()
        whole = headers(rig)
        await post(rig.server, "stall", {"path": "chains"})
        await rig.round()
        assert "Schwab did not answer" in rig.alert("chain_incomplete")
        assert counted(rig)["failed"] == len(whole)

        rig.heal()
        await rig.round()
        assert rig.alert("chain_incomplete") == ""
        assert headers(rig)[-1].complete

    with_rig(tmp_path, check, timeout_s=1.0)


def test_an_answer_that_is_cut_short_is_asked_for_in_halves(tmp_path: Path) -> None:
    """Down to one expiration, which is taken with what it has, and told as incomplete."""

    async def check(rig: Rig) -> None:
        await post(
            rig.server, "shorten", {"symbol": "SPX", "first": "2026-11-20", "last": "2026-11-20"}
        )
        await rig.round()

        short = [header for header in headers(rig) if not header.complete]
        assert [(str(each.first_expiry), str(each.last_expiry)) for each in short] == [
            ("2026-11-20", "2026-11-20")
        ]
        assert "SPX: 2026-11-20 to 2026-11-20 (Schwab cut it short)" in rig.alert(
            "chain_incomplete"
        )
        rig.heal()
        await rig.round()
        assert rig.alert("chain_incomplete") == ""

    with_rig(tmp_path, check)


def test_a_blank_weekend_and_numbers_that_are_none(tmp_path: Path) -> None:
    """Open interest of 0 is on the tape as it was said; -999 is no number there."""

    async def check(rig: Rig) -> None:
        await post(rig.server, "blank")
        await post(rig.server, "void", {"symbol": "SPX"})
        await rig.round()

        rows = [event for event in rig.tape() if isinstance(event, OptionQuote)]
        assert {row.open_interest for row in rows} == {0}
        assert {(row.iv, row.delta, row.gamma, row.vega) for row in rows} == {(None,) * 4}
        assert not any(row.streamed for row in rows)

    with_rig(tmp_path, check)


def test_spx_and_spxw_of_one_date_are_apart(tmp_path: Path) -> None:
    """On the third Friday both expire, one by the open and one by the close."""

    async def check(rig: Rig) -> None:
        await rig.round()

        rows = [event for event in rig.tape() if isinstance(event, OptionQuote)]
        friday = {
            (row.symbol[:6].strip(), row.settlement) for row in rows if "261120" in row.symbol
        }
        assert friday == {("SPX", "A"), ("SPXW", "P")}

    with_rig(tmp_path, check)


# --- quotes that somebody asks for ----------------------------------------------------------------


def _read(text: str) -> list[Looked]:
    return msgspec.json.decode(text, type=list[Looked])


def test_quotes_that_wait_go_in_one_request_and_are_kept_for_a_second(tmp_path: Path) -> None:
    """Shares, a future by its root, an option with fine greeks, one that is unknown."""

    async def check(rig: Rig) -> None:
        await rig.round()
        option = next(each.symbol for each in rig.tape() if isinstance(each, OptionQuote))
        lookups, tape = rig.asking.lookups, len(rig.tape())
        async with looping(lookups.run()):
            asked = await asyncio.gather(
                *(lookups.answer(each) for each in ("QQQ", "$NDX", "/MES", option, "ZZZZ", "qqq"))
            )
            again = await lookups.answer("QQQ,ZZZZ")

        found = {one.symbol: one for text in asked for one in _read(text)}
        assert list(found) == ["QQQ", "NDX", "/MES", option, "ZZZZ"]
        share, future, contract = found["QQQ"], found["/MES"], found[option]
        assert share.trade is not None
        assert share.quote is not None
        assert found["NDX"].quote is None
        assert future.quote is not None
        assert str(future.quote.contract).startswith("/MES")
        assert contract.option is not None
        assert contract.option.underlying == "SPX"
        assert not found["ZZZZ"].known
        assert not _read(again)[1].known
        assert {one.source for one in found.values()} == {"rest"}
        paths = msgspec.json.decode(rig.status["http"])
        assert paths["GET /marketdata/v1/quotes"]["by_status"] == {"2xx": 1}
        caches = msgspec.json.decode(rig.status["caches"])
        assert caches["quotes"] == {"hits": 2, "misses": 6, "fills": 5, "evictions": 0}
        assert len(rig.tape()) == tape

    with_rig(tmp_path, check)


def test_a_lookup_that_cannot_be_made_says_why_at_once(tmp_path: Path) -> None:
    """Refused, too many at once, no such symbol: nobody waits for a minute."""

    async def check(rig: Rig) -> None:
        lookups = rig.asking.lookups
        async with looping(lookups.run()):
            await post(rig.server, "reject", {"path": "quotes", "status": 429, "retry_after_s": 60})
            for said in (r"refused a request \(429\)", "left alone for"):
                with pytest.raises(GexError, match=said):
                    await lookups.answer("QQQ")
            for arg, said in (
                (",".join(["SPY"] * 201), "Ask for 200 at most"),
                ("???", "is not a symbol"),
                ("NQ_NDX", "is not a symbol"),
            ):
                with pytest.raises(GexError, match=said):
                    await lookups.answer(arg)

    with_rig(tmp_path, check)


# --- the stream is down ---------------------------------------------------------------------------


def _balance(rig: Rig, table: str) -> int:
    """How many updates of a table were received, all of them written."""
    rig.intake.tapes.settle()
    counts = [
        event
        for calendar in ("index", "equity", "cme")
        for event in rig.tape(calendar)
        if isinstance(event, LedgerCount) and event.table == table
    ]
    received, written = (
        sum(each.events for each in counts if each.outcome == outcome)
        for outcome in ("received", "written")
    )
    assert received == written
    return received


def test_while_the_stream_is_down_quotes_come_by_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spot and futures go on, marked, captured and in the ledger; with the stream it stops."""
    monkeypatch.setattr(quotepoll, "GRACE_S", 0.2)

    async def check(rig: Rig) -> None:
        quotes = rig.asking.quotes
        async with looping(quotes.run()):
            await asyncio.sleep(1)
            assert (quotes.polls, quotes.active) == (0, False)
            rig.connected = False
            await rig.until(lambda: quotes.polls >= 2)
            assert quotes.active
            assert rig.status["polling"] == "on"
            assert rig.intake.price("SPX", streamed=False)
            rig.connected = True
            await rig.until(lambda: not quotes.active)
            polls = quotes.polls
        said = [*rig.tape("index"), *rig.tape("equity"), *rig.tape("cme")]
        events = [event for event in said if isinstance(event, Quote | Trade)]
        assert {event.symbol for event in events} >= {"SPX", "SPY", "/MES", "/ES", "/NQ"}
        assert {event.streamed for event in events} == {False}
        assert quotes.polls == polls
        assert rig.intake.recorder is not None
        rig.intake.recorder.close(rig.intake.tapes.time.stamp_ns())
        frames = list(read_capture(tmp_path / "ours/capture"))
        again = sum((Recount().updates(frame) for frame in frames), Counter[Any]())
        for table in ("quotes", "trades"):
            assert sum(n for (_, of), n in again.items() if of == table) == _balance(rig, table)
        replayed = [event for _, event in replay_capture(frames)]
        stripped = [msgspec.structs.replace(event, seq=0) for event in events]
        assert sorted(map(repr, replayed)) == sorted(map(repr, stripped))

    with_rig(tmp_path, check)


def test_rounds_are_as_fast_as_the_rate_limit_allows_while_the_stream_is_down(
    tmp_path: Path,
) -> None:
    """Three fifths of the limit are the chains'; with the stream, and in the night, as before."""

    async def check(rig: Rig) -> None:
        chains = rig.asking.chains
        await rig.round()
        assert chains.round_s(60.0) == 60.0
        rig.connected = False
        assert chains.round_s(60.0) == pytest.approx(chains._asked / (0.6 * 120 / 60))
        assert chains.round_s(0.5) == 0.5
        chains._open = lambda: False  # type: ignore[method-assign] # the market is closed
        assert chains.round_s(60.0) == 600.0

    with_rig(tmp_path, check, per_minute=120)


def test_no_secret_is_in_what_is_logged_of_requests(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every request has a line, with method, path, status, time and attempt, and no token."""

    async def check(rig: Rig) -> None:
        wrapped = rig.asking._account.store.read()
        await rig.round()
        await post(rig.server, "expire")
        await post(rig.server, "reject", {"path": "quotes", "status": 400, "message": CANARY})
        await rig.round()
        with pytest.raises(GexError):
            await rig.asking.rest.quotes(("SPY",))
        secrets = [wrapped["token"][name] for name in ("access_token", "refresh_token")]
        secrets += [rig.asking._account.store.read()["token"]["access_token"], CANARY, SECRET]
        ours = [
            each.getMessage() for each in caplog.records if each.name.startswith("gex_pipeline")
        ]
        told = " ".join([*ours, *map(str, rig.status.values())])
        assert not [secret for secret in secrets if secret in told]
        lines = [line for line in ours if line.startswith(("GET /", "POST /"))]
        assert any("/marketdata/v1/chains: 200 in" in line for line in lines)
        assert any(line.endswith("attempt 2") for line in lines)
        assert any("POST /v1/oauth/token: 200" in line for line in lines)
        assert any("quotes: 400" in line for line in lines)

    caplog.set_level(logging.DEBUG, "gex_pipeline")
    with_rig(tmp_path, check)
