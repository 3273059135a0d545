"""Start-up, refresh, level 1 and level 2: of the simulated Schwab in every run.

`make test-live` asks the real one, with the user's own credentials, and only reads.
"""

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.ticks import decode_level2, decode_tick
from gex_pipeline.market.sessions import in_session
from gex_pipeline_tests.acceptance.account import Account, own, simulated
from gex_pipeline_tests.streamer.stage import wait_until

KEYS = Keys()
FUTURES = ("/MNQ", "/MES")
ACCOUNTS = {"simulator": simulated, "schwab": own}


@pytest.fixture(
    scope="module", params=["simulator", pytest.param("schwab", marks=pytest.mark.live)]
)
def account(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Account]:
    """One streamer for the four of them."""
    with ACCOUNTS[request.param](tmp_path_factory.mktemp("account")) as one:
        yield one


@pytest.fixture
def trading(account: Account) -> None:
    """Futures trade now; the real market has nights."""
    real = "SCHWAB_BASE_URL" not in account.environment
    if real and not in_session(time.time_ns(), "cme"):  # noqa: TID251 # the real market's clock
        pytest.skip("the futures market is closed now; run it again when it is open")


def test_the_streamer_starts_and_subscribes(account: Account) -> None:
    """Signed in, every symbol of the plan held, and chains on their way."""
    wait_until(lambda: account.status().get("state") == "streaming", "a streaming streamer")
    wait_until(lambda: int(account.status()["chain_rounds"]) > 0, "a round of chains")
    wait_until(lambda: int(account.status()["symbols"]) > len(FUTURES), "subscriptions")
    assert account.process.poll() is None


def test_the_sign_in_is_refreshed(account: Account) -> None:
    """A headless renewal, with the new token on disk beside its snapshots."""
    ended = account.gex("auth", "verify")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert account.status()["state"] == "streaming"


@pytest.mark.usefixtures("trading")
def test_ticks_reach_a_plain_subscriber(account: Account) -> None:
    """At least one a minute of each future that was asked for as /MNQ:XCME and /MES:XCME."""
    begun_s = time.monotonic()
    minutes: dict[int, Counter[str]] = {}

    def enough(messages: list[bytes]) -> bool:
        minute = int((time.monotonic() - begun_s) // account.minute_s)
        ticks = minutes.setdefault(minute, Counter())
        if messages:
            ticks[decode_tick(messages.pop()).symbol] += 1
        return minute > 0 and all(ticks[symbol] for symbol in FUTURES)

    account.heard(KEYS.ticks_channel, enough, 4 * account.minute_s + 20)

    assert all(minutes[0][symbol] for symbol in FUTURES), minutes


@pytest.mark.usefixtures("trading")
def test_a_book_reaches_a_plain_subscriber(account: Account) -> None:
    """Schwab has no book of futures: /NQ is the top of level one, and says so."""
    books: list[bytes] = []

    def enough(messages: list[bytes]) -> bool:
        books.extend(one for one in messages if decode_level2(one).symbol == "/NQ")
        messages.clear()
        return bool(books)

    account.heard(KEYS.level2_channel, enough, 2 * account.minute_s + 20)

    book = decode_level2(books[0])
    assert (book.depth, book.source) == (1, "level_one")
    ((bid, bid_size),), ((ask, ask_size),) = book.bids, book.asks
    assert 0 < bid < ask
    assert min(bid_size, ask_size) > 0
