"""How far a date's greeks are apart: verdicts and the worst buckets, by hand."""

import msgspec

from gex_pipeline.archive.apart import expired_gex, other_totals, rounded_away, worst_buckets
from gex_pipeline.archive.compare import ComparedMoment
from gex_pipeline.exposure.comparison import ALL, EXPIRED, Compared
from gex_pipeline.market.sessions import et_ns
from gex_pipeline_tests.synthetic import DAY

COUNTED = (
    "contracts compared gamma_none gamma_zero ours_none iv_none iv_stub iv_compared open_interest"
)
NOTHING = dict.fromkeys(Compared.__struct_fields__) | dict.fromkeys(COUNTED.split(), 0)


def bucket(dte: str = ALL, moneyness: str = ALL, **figures: float | None) -> Compared:
    """Return a bucket of which only those figures are known."""
    return msgspec.convert(NOTHING | {"dte": dte, "moneyness": moneyness} | figures, Compared)


def moment(symbol: str, hour: int, *buckets: Compared) -> ComparedMoment:
    """Return an image's buckets."""
    return ComparedMoment(
        source="schwab",
        mode="live",
        tape="gex.index",
        symbol=symbol,
        ts_recv_ns=et_ns(DAY, hour),
        last=False,
        spot=6000.0,
        convention="c",
        buckets=buckets,
    )


def test_a_verdict_is_of_the_median_moment() -> None:
    """12% of gross is another total, whichever its sign; one bad half hour of three is none."""
    off = {"SPX": (0.05, -0.12, 0.30), "NDX": (0.02, 0.03, 0.90), "RUT": (None, None, None)}
    moments = [
        moment(symbol, 10 + n, bucket(difference_to_gross=value, zero_oi_share=0.2))
        for symbol, values in off.items()
        for n, value in enumerate(values)
    ]

    assert other_totals(moments) == {"SPX": 0.12}
    assert rounded_away(moments) == {}
    rounded = [moment("SPX", 10, bucket(zero_oi_share=0.21), bucket("0dte", zero_oi_share=0.9))]
    assert rounded_away(rounded) == {"SPX": 0.21}
    assert (other_totals([]), rounded_away([])) == ({}, {})


def test_each_bucket_is_told_at_its_worst_moment() -> None:
    """Once, by the size of the difference; sums of buckets are not buckets."""
    figures = {"contracts": 1200, "vendor_net_gex": 1e9, "gamma_error_median": 0.125}
    near = bucket("0dte", "0-1%", net_gex=3e9, difference=2e9, zero_oi_share=0.5, **figures)
    later = msgspec.structs.replace(near, net_gex=-2e9, difference=-3e9)
    far = bucket("46+", "10%+", difference=2.5e9)
    whole = bucket(difference=9e9)

    table = worst_buckets([moment("SPX", 10, whole, near, far), moment("SPX", 11, later)])

    assert table.splitlines()[2:] == [
        "| SPX | 11:00 | 0dte | 0-1% | 1,200 | -2.0000 | +1.0000 | -3.0000 | 12.5% | 50.0% |",
        "| SPX | 10:00 | 46+ | 10%+ | 0 |  |  | +2.5000 |  |  |",
    ]
    assert len(worst_buckets([moment("SPX", 10, near, far)], 1).splitlines()) == 3


def test_settled_rows_are_told_where_they_still_have_a_gamma() -> None:
    """The most of the day, by symbol; 0 is none."""
    most = [
        moment("SPY", 10 + n, bucket(EXPIRED, vendor_gross_gex=v)) for n, v in enumerate((1, 4))
    ]
    none = [moment("SPX", 10, bucket(EXPIRED, vendor_gross_gex=0.0))]

    assert expired_gex([*most, *none]) == {"SPY": 4.0}
