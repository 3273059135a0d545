"""The picture of a comparison: a small PNG that says what it is of."""

import io

import msgspec
import pytest
from PIL import Image

from gex_pipeline.archive.compare import ComparedMoment
from gex_pipeline.archive.picture import draw
from gex_pipeline.exposure.comparison import compare
from gex_pipeline.exposure.convention import GEXC_1
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline_tests.engine.builders import S
from gex_pipeline_tests.exposure.builders import smile
from gex_pipeline_tests.synthetic import ASOF_NS, synthetic_chain

RED = (185, 28, 28)
ORANGE = (194, 65, 12)
BLUE = (29, 78, 216)


@pytest.fixture(scope="module")
def moments() -> list[ComparedMoment]:
    """Thirteen half hours of one simulated chain."""
    chain = clean_chain(synthetic_chain(2000, 12))
    one = ComparedMoment(
        source="simulator",
        mode="simulated",
        tape="gex.index",
        symbol="SPX",
        ts_recv_ns=ASOF_NS,
        last=False,
        spot=chain.spot,
        convention=GEXC_1.id,
        buckets=compare(chain, smile(chain)),
    )
    return [
        msgspec.structs.replace(one, ts_recv_ns=ASOF_NS + n * 1800 * S, last=n == 12)
        for n in range(13)
    ]


def opened(png: bytes) -> Image.Image:
    """Return the picture in colours."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return image.convert("RGB")


def near(image: Image.Image, colour: tuple[int, int, int]) -> int:
    """Return how many pixels are of about that colour."""
    found: list[tuple[int, tuple[int, int, int]]] = image.getcolors(1 << 20)  # type: ignore[assignment] # of RGB
    return sum(
        count
        for count, one in found
        if all(abs(a - b) <= 12 for a, b in zip(one, colour, strict=True))
    )


def test_it_is_small_and_drawn(moments: list[ComparedMoment]) -> None:
    """Below 60 kB, on an opaque card that both themes bear, with lines on it."""
    png = draw(moments)

    image = opened(png)
    assert len(png) < 60_000
    assert image.size == (800, 620)
    assert image.getpixel((2, 300)) == (246, 246, 243)
    assert near(image, ORANGE) > 300


def test_simulated_data_say_so(moments: list[ComparedMoment]) -> None:
    """In red above; live data have no red letter."""
    live = [msgspec.structs.replace(each, mode="live", source="schwab") for each in moments]

    simulated, real = (opened(draw(each)).crop((0, 0, 800, 28)) for each in (moments, live))

    assert near(simulated, RED) > 300
    assert near(real, RED) == 0


def test_what_there_is_none_of_is_not_drawn(moments: list[ComparedMoment]) -> None:
    """One moment, a vendor without gamma: a picture all the same, ours alone on it."""
    nothing = dict.fromkeys(
        ("vendor_net_gex", "gamma_error_median", "difference", "difference_to_gross")
    )
    bare = [msgspec.structs.replace(each, **nothing) for each in moments[0].buckets]

    png = draw([msgspec.structs.replace(moments[0], buckets=tuple(bare))])

    image = opened(png)
    assert image.size == (800, 620)
    assert near(image, BLUE) > 10
    assert near(image, ORANGE) == 0
