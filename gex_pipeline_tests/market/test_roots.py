"""What the core knows of option roots."""

import pytest

from gex_pipeline.market.roots import OptionRoot, option_root, rate_parent

AM_ROOTS = ("SPX", "NDX", "RUT", "VIX", "VIXW", "DJX", "RUI", "MXEA", "MXEF")
PM_ROOTS = ("SPXW", "NDXP", "RUTW", "XSP", "MRUT", "XND", "OEX", "XEO", "SPY", "AAPL", "BABA2")


@pytest.mark.parametrize("root", AM_ROOTS)
def test_am_roots_settle_on_the_open(root: str) -> None:
    """The nine AM roots of the convention sheet settle on the open and are European."""
    assert option_root(root).am_settled
    assert option_root(root).european


@pytest.mark.parametrize("root", PM_ROOTS)
def test_all_other_roots_settle_on_the_close(root: str) -> None:
    """A root that is not in the list of AM roots is PM-settled."""
    assert not option_root(root).am_settled


@pytest.mark.parametrize(
    ("root", "underlying"),
    [
        ("SPX", "SPX"),
        ("SPXW", "SPX"),
        ("NDXP", "NDX"),
        ("RUTW", "RUT"),
        ("VIXW", "VIX"),
        ("XEO", "OEX"),
        ("XSP", "XSP"),
        ("MRUT", "MRUT"),
        ("SPY", "SPY"),
    ],
)
def test_underlying(root: str, underlying: str) -> None:
    """Weeklies belong to their index; the small indexes are indexes of their own."""
    assert option_root(root).underlying == underlying


@pytest.mark.parametrize(
    ("root", "tick"),
    [
        ("SPX", 0.05),
        ("SPXW", 0.05),
        ("NDX", 0.05),
        ("RUTW", 0.05),
        ("VIX", 0.05),
        ("XSP", 0.01),
        ("MRUT", 0.01),
        ("XND", 0.01),
        ("SPY", 0.01),
        ("NVDA", 0.01),
    ],
)
def test_tick(root: str, tick: float) -> None:
    """Large index roots need five cents to be a price, everything else one."""
    assert option_root(root).tick == tick


@pytest.mark.parametrize(
    ("root", "late"),
    [
        ("SPX", True),
        ("XSP", True),
        ("OEX", True),
        ("SPY", True),
        ("QQQ", True),
        ("IWM", True),
        ("DIA", True),
        ("GLD", False),
        ("AAPL", False),
    ],
)
def test_quotes_until_a_quarter_past(root: str, late: bool) -> None:
    """Index roots and four funds quote until 16:15."""
    assert option_root(root).quote_close_late is late


def test_american_index_root() -> None:
    """OEX is an index root, and American."""
    assert not option_root("OEX").european


def test_unknown_root_is_an_equity() -> None:
    """A root that we do not know: American, PM, one cent, 16:00, its own underlying."""
    assert option_root("ZZZZ") == OptionRoot(
        root="ZZZZ",
        underlying="ZZZZ",
        am_settled=False,
        european=False,
        tick=0.01,
        quote_close_late=False,
    )


def test_rate_parents() -> None:
    """Three funds borrow the rate that their index implies; others have none."""
    assert [rate_parent(name) for name in ("SPY", "QQQ", "IWM", "DIA", "SPX")] == [
        "SPX",
        "NDX",
        "RUT",
        None,
        None,
    ]
