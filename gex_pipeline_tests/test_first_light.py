"""The whole thread: simulator, streamer, engine and API as processes, held against `gex levels`."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from gex_pipeline.archive.rows import Origin
from gex_pipeline.archive.step import archive
from gex_pipeline.archive.tape import HotSource
from gex_pipeline.cli.levels import OURS, compute
from gex_pipeline.hot.connect import connect
from gex_pipeline.hot.embedded import EmbeddedServer
from gex_pipeline.hot.keys import Keys
from gex_pipeline.hot.lease import read_status
from gex_pipeline.hot.tape import tape_end
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.lake.reader import query
from gex_pipeline_tests.canary import CLIENT_SECRET
from gex_pipeline_tests.serving.process import Api, api
from gex_pipeline_tests.streamer.stage import Stage, staged, wait_until

ORIGINS: dict[str, Literal["simulator", "schwab"]] = {"simulated": "simulator", "live": "schwab"}
FIGURES = ("net_gex", "call_gex", "put_gex", "net_gex_volume", "dex", "vex", "cex")
LEVELS = ("spot", "zero_gamma", "call_wall", "put_wall", "abs_gamma_strike", "max_pain")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage with its hot store."""
    with staged(tmp_path) as ready:
        yield ready


def asked(served: Api, path: str) -> dict[str, Any]:
    """Return what the API answers, {} while it has no answer."""
    answer = httpx.get(f"{served.base}/api/v1/{path}", headers=served.headers, trust_env=False)
    return answer.json() if answer.status_code == httpx.codes.OK else {}


def quiet(stage: Stage) -> bool:
    """Whether no item of a market that is held came between two words: none is under way."""
    before = stage.status()

    def told() -> dict[str, str]:
        now = stage.status()
        return now if now["ts_ns"] != before["ts_ns"] else {}

    return wait_until(told, "the streamer's next word")["received"] == before["received"]


def includes(served: Api, seq: int) -> dict[str, Any]:
    """Return the API's figures if they are final and have that event in them, else {}."""
    found = asked(served, "gex/SPX")
    if not found or not found["final"]:
        return {}
    return found if int(found["tapes"]["schwab.index"].split("-")[1]) >= seq else {}


def compared(served: Api, scope: str) -> dict[str, Any]:
    """Return the API's changes once there is a second before the newest one, else {}."""
    found = asked(served, f"gex/SPX/maxchange?scope={scope}")
    return found if found and found["changes"][0]["ts_ns"] else {}


def test_the_api_says_what_gex_levels_says_of_the_same_chain(stage: Stage) -> None:
    """At one tape position, all figures of the API and of the simulator's own dump are equal."""
    stage.start("simulate")
    wait_until((stage.root / "tokens" / "schwab_token.json").exists, "the simulator's token")
    stage.start("stream")
    stage.start("engine")
    with api(stage.url, stage.folder) as served:
        wait_until(lambda: (asked(served, "gex/SPX") or {}).get("net_gex"), "an answer of the API")
        refused = httpx.get(f"{served.base}/api/v1/gex/SPX", trust_env=False)
        stage.control("hold")
        wait_until(lambda: quiet(stage), "a market that is held")
        end = tape_end(stage.client, stage.keys.tape("schwab.index"))
        assert end is not None
        told = wait_until(lambda: includes(served, end.seq), "a final second of the whole tape")
        changed = wait_until(lambda: compared(served, "front0"), "two seconds of the ring")
        front = wait_until(lambda: asked(served, "gex/SPX?scope=front0"), "a stored chain")
        dump = httpx.get(
            f"http://127.0.0.1:{stage.port}/control/dump", params={"symbol": "SPX"}, trust_env=False
        ).content

    for name in ("net_gex", "net_gex_volume", "spot"):
        assert changed[name] == pytest.approx(front[name], rel=0.05), name
    assert changed["changes"][0]["ts_ns"] < changed["ts_event_ns"]
    ours = compute(dump, "all", OURS, told["ts_event_ns"])
    assert refused.status_code == httpx.codes.UNAUTHORIZED
    assert ours.gross_gex
    assert told["contracts"] == ours.contracts
    for name in FIGURES:
        assert told[name] == pytest.approx(getattr(ours, name), abs=1e-9 * ours.gross_gex), name
    assert ours.call_wall
    for name in LEVELS:
        level = getattr(ours, name)
        assert told[name] == (level and pytest.approx(level, rel=1e-9)), name


def credentials(stage: Stage) -> dict[str, str]:
    """Return the settings of a run with credentials; its Schwab is simulated, in a root apart."""
    elsewhere = stage.folder / "schwab"
    stage.start("simulate", "--port", "0", GEX_DATA_DIR=str(elsewhere))
    issued = elsewhere / "sim" / "tokens" / "schwab_token.json"
    address = elsewhere / "sim" / "simulator" / "port"
    wait_until(lambda: issued.exists() and address.exists(), "the other simulator")
    tokens = stage.folder / "tokens"
    tokens.mkdir(mode=0o700)
    shutil.copy(issued, tokens)
    return {
        "GEX_SOURCE": "auto",
        "GEX_TOKENS_DIR": str(tokens),
        "SCHWAB_CLIENT_ID": "a-key",
        "SCHWAB_CLIENT_SECRET": CLIENT_SECRET,
        "SCHWAB_BASE_URL": f"http://127.0.0.1:{address.read_text().strip()}",
    }


def streams(stage: Stage, url: str, prefix: str, **settings: str) -> None:
    """Run the streamer until data flow on this store, and end it as its user does."""
    keys = Keys(prefix=prefix)
    process = stage.start("stream", GEX_REDIS_URL=url, **settings)
    with connect(url) as store:

        def taken() -> int:
            return int(read_status(store, keys, "streamer").get("taken", 0))

        before = taken()
        wait_until(lambda: taken() not in (0, before), f"data of the namespace {prefix!r}")
    process.terminate()
    assert process.wait(20) == 0


def committed(root: Path, url: str, prefix: str, mode: Literal["live", "simulated"]) -> list[Any]:
    """Commit a side's tapes, and return source, mode and count of its trades."""
    with connect(url) as store:
        source = HotSource(store, Keys(prefix=prefix), root / "spool")
        origin = Origin(source=ORIGINS[mode], mode=mode, tape="")
        archive(source, LakePaths(root), source.tapes(), origin=origin, now_s=0.0)
    answer = query(LakePaths(root), "select source, mode, count(*) from trades group by all")
    return list(answer.rows)


def test_simulated_and_real_data_never_meet(stage: Stage) -> None:
    """Simulate, then credentials, then simulate: no row and no token is on the other side."""
    stage.start("simulate")
    wait_until((stage.root / "tokens" / "schwab_token.json").exists, "the simulator's token")
    streams(stage, stage.url, "sim:")
    server = EmbeddedServer()
    try:
        real_url = server.start(stage.data, stage.port + 1, 64)
        real = credentials(stage)
        own_token = (stage.root / "tokens" / "schwab_token.json").read_bytes()
        streams(stage, real_url, "", **real)
        assert (stage.root / "tokens" / "schwab_token.json").read_bytes() == own_token
        streams(stage, stage.url, "sim:")

        (simulated,) = committed(stage.root, stage.url, "sim:", "simulated")
        (live,) = committed(stage.data, real_url, "", "live")
        with connect(real_url) as store:
            assert not list(store.scan_iter(match="sim:*"))
        assert not [key for key in stage.client.scan_iter() if not key.startswith(b"sim:")]
    finally:
        server.stop()

    assert simulated[:2] == ("simulator", "simulated")
    assert live[:2] == ("schwab", "live")
    assert simulated[2] > 0 < live[2]
    assert (stage.folder / "tokens" / "schwab_token.json").read_bytes() != own_token
    assert not (stage.data / "tokens").exists()
