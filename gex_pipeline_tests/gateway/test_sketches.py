"""Exposure by strike over days, out of the lake's chain images."""

import datetime
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from gex_pipeline.errors import CodecError
from gex_pipeline.exposure import sketch
from gex_pipeline.exposure.live import Image, Rows, Spot, lay_out
from gex_pipeline.gateway.sketches import gex_by_strike
from gex_pipeline.hot import imagecolumns
from gex_pipeline.hot.chains import encode_image
from gex_pipeline.hot.imagecolumns import OpenImage
from gex_pipeline.lake import history
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.sessions import et_ns
from gex_pipeline_tests.lake.builders import FRIDAY, MONDAY, add_part

TWO = ("SPXW  261218C06000000", "SPXW  261218P05900000")
THREE = (*TWO, "SPXW  261218C06100000")


def image(contracts: tuple[str, ...], ts_ns: int, iv: float = 0.2) -> Image:
    """Return a chain of these contracts, 10 of open interest each."""
    size = len(contracts) + 1
    zeros, nothing = np.zeros(size, dtype=np.int64), np.full(size, np.nan)
    rows = Rows(
        bid=nothing,
        ask=nothing,
        iv=np.full(size, iv),
        gamma=nothing,
        open_interest=np.full(size, 10.0),
        volume=np.arange(float(size)),
        quote_ns=zeros,
        seen_ns=zeros,
        changed_ns=zeros,
        streamed=np.ones(size, dtype=bool),
        bought=np.zeros(size),
        sold=np.zeros(size),
    )
    settlements = ("P",) * len(contracts)
    return Image(
        symbol="SPX",
        source="simulator",
        mode="simulated",
        contracts=contracts,
        settlements=settlements,
        layout=lay_out("SPX", contracts, settlements),
        rows=rows,
        spot=Spot(last=6000.0),
        asof_ns=ts_ns,
        watched_ns=ts_ns,
        heard_ns=ts_ns,
        ts_recv_ns=ts_ns,
        windows=(),
        positions={},
    )


def row(day: datetime.date, minute: int, chain: Image, **fields: object) -> dict[str, object]:
    """Return a row of chain_1m."""
    known = {"ts_recv_ns": et_ns(day, 10, minute), "spot": 6000.0, "image": encode_image(chain)}
    return known | fields


@pytest.fixture
def paths(tmp_path: Path) -> LakePaths:
    """Friday with the same two contracts twice, a third from 10:02 on; another symbol; Monday."""
    paths = LakePaths(tmp_path)
    chains = (TWO, TWO, THREE, THREE)
    friday = [
        row(FRIDAY, minute, image(chain, et_ns(FRIDAY, 10, minute)))
        for minute, chain in enumerate(chains)
    ]
    friday.append(row(FRIDAY, 0, image(TWO, 0), symbol="NDX"))
    monday = [row(MONDAY, 0, image(THREE, et_ns(MONDAY, 10)), spot=None)]
    for day, rows in ((FRIDAY, friday), (MONDAY, monday)):
        add_part(paths, {"chain_1m": rows}, tape="gex.index", date=day)
    return paths


def test_each_minute_has_its_strikes(paths: LakePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, of one symbol; the list of contracts is laid out again only where it changed."""
    listed: list[int] = []

    def listing(symbol: str, contracts: list[str], settlements: list[str]) -> sketch.Listing:
        listed.append(len(contracts))
        return sketch.list_contracts(symbol, contracts, settlements)

    monkeypatch.setattr(history, "list_contracts", listing)

    found = list(gex_by_strike(paths.root, "$SPX", end=FRIDAY))

    assert [each.ts_recv_ns for each in found] == [et_ns(FRIDAY, 10, n) for n in range(4)]
    assert [each.strikes.tolist() for each in found] == [
        *[[5900.0, 6000.0]] * 2,
        *[[5900.0, 6000.0, 6100.0]] * 2,
    ]
    assert listed == [2, 3]
    assert found[1].call_gex_oi[0] == 0 < found[1].call_gex_oi[1]
    assert found[1].put_gex_oi[0] < 0 == found[1].put_gex_oi[1]
    assert found[0].call_gex_volume[1] == pytest.approx(found[0].call_gex_oi[1] / 10)


def test_days_are_chosen_and_a_missing_spot_gives_nothing(paths: LakePaths) -> None:
    """Both ends in them; NaN where the image has no spot."""
    (monday,) = gex_by_strike(paths.root, "SPX", start=MONDAY)

    assert np.isnan(monday.call_gex_oi).all()
    assert list(gex_by_strike(paths.root, "SPX", start=MONDAY + datetime.timedelta(1))) == []
    assert len(list(gex_by_strike(paths.root, "NDX"))) == 1


def test_contracts_are_told_apart_by_their_packed_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another contract, another settlement, more of them; and unpacked where bytes do not tell."""
    base = image(TWO, 1)
    swapped = msgspec.structs.replace(base, settlements=("A", "P"))
    images = {
        "same": image(TWO, 2, iv=0.3),
        "other": image((TWO[0], "SPXW  261218P05950000"), 1),
        "settled otherwise": swapped,
        "more": image(THREE, 1),
    }
    for packed in (True, False):
        if not packed:
            plain = pa.ipc.IpcWriteOptions(compression="lz4")
            monkeypatch.setattr(imagecolumns, "COMPRESSED", plain)
        first = OpenImage(encode_image(base))
        assert bool(first._listed_bytes) is packed
        same = {n: OpenImage(encode_image(each)).lists_as(first) for n, each in images.items()}
        assert [name for name, told in same.items() if told] == ["same"]


def test_other_bytes_are_refused() -> None:
    """With the error of every other reader of images."""
    for data in (b"", b"nothing", encode_image(image(TWO, 1))[:-900]):
        with pytest.raises(CodecError):
            OpenImage(data)
