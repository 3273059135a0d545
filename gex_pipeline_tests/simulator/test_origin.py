"""A market that starts from a real chain: its strikes, open interest, volatilities and spot."""

import asyncio
import datetime
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gex_pipeline.errors import ChainFileError
from gex_pipeline.feeds.schwab.chains import read_chain
from gex_pipeline.market.sessions import et_ns
from gex_pipeline.simulator.instruments import INSTRUMENTS
from gex_pipeline.simulator.market import Market
from gex_pipeline.simulator.origin import read_origin
from gex_pipeline.simulator.valuation import COLUMN
from gex_pipeline_tests.simulator.serving import get, running

DAY = datetime.date(2025, 5, 12)
LATER = datetime.date(2025, 5, 20)
START_NS = et_ns(DAY, 9, 31)


def chain_of(root: Path, seed: int) -> bytes:
    """Return a chain file of another market: what a user would have downloaded."""

    async def download() -> bytes:
        async with running(root, seed=seed, start=START_NS, contracts=1600) as server:
            return (await get(server, "/control/dump", symbol="SPX", view="now")).content

    return asyncio.run(download())


def test_it_starts_where_the_chain_stands(tmp_path: Path) -> None:
    """Same spot, contracts and open interest; volatilities to a tenth of a point near the money."""
    chain = read_chain(chain_of(tmp_path, seed=5))
    origin = read_origin(chain)
    market = Market(seed=9, contracts=None, origin=origin)
    board = market.board(origin.ts_ns)
    rows = np.array([row for row in range(len(board)) if board.under[row] == 0])
    sheet = market.options(board, rows, origin.ts_ns)

    assert origin.ts_ns == START_NS
    assert market.spots.look(INSTRUMENTS["SPX"], START_NS).last == pytest.approx(
        chain.spot, abs=0.011
    )
    held = dict(
        zip(
            zip(chain.root, chain.expiry, chain.strike, chain.right, strict=True),
            chain.open_interest,
            strict=True,
        )
    )
    assert rows.size == len(chain)
    groups = [board.groups[place] for place in board.group[rows]]
    for row, group, oi in zip(rows, groups, sheet[:, COLUMN["open_interest"]], strict=True):
        key = (
            group.expiry.root,
            np.datetime64(group.expiry.date),
            board.strike[row],
            board.right[row],
        )
        assert held[key] == oi
    iv = dict(zip(zip(chain.expiry, chain.strike, chain.right, strict=True), chain.iv, strict=True))
    near = [
        (iv[np.datetime64(group.expiry.date), board.strike[row], board.right[row]], got)
        for row, group, got in zip(rows, groups, sheet[:, COLUMN["iv"]], strict=True)
        if abs(np.log(board.strike[row] / chain.spot)) < 0.01 and group.expiry.date > DAY
    ]
    assert len(near) > 20
    assert max(abs(want - got) for want, got in near) < 1e-3


def test_later_dates_have_births_and_no_expired(tmp_path: Path) -> None:
    """The chain's contracts live on until they expire; what the rule lists anew is added."""
    origin = read_origin(read_chain(chain_of(tmp_path, seed=5)))
    market = Market(seed=9, contracts=None, origin=origin)
    before = {name for name in market.board(START_NS).occ if name.startswith("SPX")}
    after = {name for name in market.board(et_ns(LATER, 10)).occ if name.startswith("SPX")}

    assert {name[6:12] for name in before - after} == {
        "250512",
        "250513",
        "250514",
        "250515",
        "250516",
        "250519",
    }
    assert after - before


def test_a_chain_of_something_else_is_refused(tmp_path: Path) -> None:
    """Only what the simulator quotes can be a starting point."""
    chain = msgspec.structs.replace(read_chain(chain_of(tmp_path, seed=5)), symbol="AAPL")

    with pytest.raises(ChainFileError, match="AAPL"):
        read_origin(chain)


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """`gex simulate` from a chain file: one line when it is up, exit code 0 on SIGTERM."""
    file = tmp_path / "chain.json"
    file.write_bytes(chain_of(tmp_path / "other", seed=5))
    command = ["simulate", "--port", "0", "--contracts", "400", "--from-chain", str(file)]
    environment = {"GEX_DATA_DIR": str(tmp_path / "data"), "PATH": os.environ["PATH"]}
    with subprocess.Popen(  # noqa: S603 # our own interpreter
        [sys.executable, "-m", "gex_pipeline.cli", *command],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)

    assert line.startswith("SIMULATED market on http://127.0.0.1:")
    assert (process.returncode, errors) == (0, "")
    assert not (tmp_path / "data" / "sim" / "simulator" / "port").exists()
    assert (tmp_path / "data" / "sim" / "tokens" / "schwab_token.json").exists()
