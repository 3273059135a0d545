"""A date's images by both greeks: the table, and the dates that still want it."""

from pathlib import Path

import msgspec
import polars as pl
import pytest

from gex_pipeline.archive.compare import compare_day, uncompared
from gex_pipeline.errors import NotRecordedError
from gex_pipeline.exposure.comparison import Compared
from gex_pipeline.exposure.convention import GEXC_1, Convention
from gex_pipeline.exposure.moment import figures
from gex_pipeline.hot.chains import decode_image, encode_image
from gex_pipeline.lake.frames import Lake
from gex_pipeline.lake.paths import LakePaths
from gex_pipeline.market.events import ChainImage
from gex_pipeline_tests.archive.compared import HALF_HOUR, finish, images, record
from gex_pipeline_tests.engine.builders import S
from gex_pipeline_tests.gateway.recording import OWN
from gex_pipeline_tests.synthetic import ASOF_NS, DAY

OTHER = Convention(floor_minutes=1.0)
LAST_NS = ASOF_NS + HALF_HOUR + 60 * S


@pytest.fixture(scope="module")
def kept() -> list[ChainImage]:
    """The images of the half hour."""
    return images()


@pytest.fixture
def paths(kept: list[ChainImage], tmp_path: Path) -> LakePaths:
    """A lake that has them as parts."""
    return record(tmp_path, kept)


def table(paths: LakePaths) -> pl.DataFrame:
    """Return the rows of the lake."""
    return Lake(paths.root).scan("greeks_compared").collect()


def test_every_half_hour_and_the_last_image(paths: LakePaths) -> None:
    """Where there is an image of that minute; NDX had none at 10:30, nobody at 10:00."""
    done = compare_day(paths, DAY)

    half, last = ASOF_NS + HALF_HOUR, LAST_NS
    assert [(each.symbol, each.ts_recv_ns, each.last) for each in done] == [
        ("NDX", half, False),
        ("NDX", last, True),
        ("SPX", ASOF_NS, False),
        ("SPX", half, False),
        ("SPX", last, True),
    ]
    quarter = compare_day(paths, DAY, every_min=15)
    assert [each.ts_recv_ns for each in quarter][:2] == [ASOF_NS + HALF_HOUR // 2, half]


def test_rows_are_the_images_as_live_folded_them(kept: list[ChainImage], paths: LakePaths) -> None:
    """The whole chain's row has the net GEX and the vendor's of that second's figures."""
    compare_day(paths, DAY)

    whole = table(paths).filter(dte="all", moneyness="all")
    assert whole.height == 5
    by_time = {(event.symbol, event.ts_recv_ns): event for event in kept}
    for row in whole.to_dicts():
        image = decode_image(by_time[row["symbol"], row["ts_recv_ns"]].image)
        told = figures(image, ("all",), final=True)["all"]
        assert told.vendor is not None
        assert row["net_gex"] == pytest.approx(told.net_gex, rel=1e-9)
        assert row["vendor_net_gex"] == pytest.approx(told.vendor.net_gex, rel=1e-9)
        assert (row["contracts"], row["spot"]) == (told.contracts, told.spot)
        assert (row["source"], row["mode"], row["tape"]) == ("simulator", "simulated", OWN)
        assert (row["session_date"], row["convention"]) == (DAY, GEXC_1.id)


def test_the_table_has_each_bucket(paths: LakePaths) -> None:
    """Every figure of every bucket, in the order of the table; a second run replaces the first."""
    done = compare_day(paths, DAY)
    compare_day(paths, DAY)

    found = table(paths)
    assert found.height == sum(len(each.buckets) for each in done)
    row = found.filter(symbol="SPX", ts_recv_ns=ASOF_NS, dte="0dte", moneyness="0-1%").to_dicts()[0]
    bucket = next(b for b in done[2].buckets if (b.dte, b.moneyness) == ("0dte", "0-1%"))
    assert {name: row[name] for name in Compared.__struct_fields__} == msgspec.structs.asdict(
        bucket
    )
    keys = found.select("symbol", "ts_recv_ns", "dte", "moneyness")
    assert keys.equals(keys.unique().sort(keys.columns))


def test_finished_dates_are_compared_once(paths: LakePaths) -> None:
    """One in parts waits for its end; more of it, or another convention, and it is old."""
    assert uncompared(paths) == {}
    finish(paths)

    waiting = uncompared(paths)
    assert waiting == {DAY: f"{OWN}:{last_number(paths)} {GEXC_1.id}"}
    compare_day(paths, DAY)

    assert uncompared(paths) == {}
    assert uncompared(paths, OTHER).keys() == {DAY}
    compare_day(paths, DAY, OTHER)
    assert table(paths)["convention"].unique().to_list() == [OTHER.id]


def last_number(paths: LakePaths) -> int:
    """Return the last number of the engine's tape."""
    ends = {tape: seq for tape, _, seq in Lake(paths.root).ends().rows()}
    return int(ends[OWN])


def test_a_date_without_images_is_refused(tmp_path: Path) -> None:
    """By name: no row of zeros."""
    with pytest.raises(NotRecordedError, match="no chain images of that date"):
        compare_day(LakePaths(tmp_path), DAY)


def test_an_image_without_a_spot_says_nothing(kept: list[ChainImage], tmp_path: Path) -> None:
    """The date is done, and has no rows."""
    image = decode_image(kept[0].image)
    bare = msgspec.structs.replace(
        image, spot=msgspec.structs.replace(image.spot, last=float("nan"), stated=float("nan"))
    )
    paths = record(tmp_path, [msgspec.structs.replace(kept[0], image=encode_image(bare))])
    finish(paths)

    assert compare_day(paths, DAY) == ()
    assert table(paths).height == 0
    assert uncompared(paths) == {}
