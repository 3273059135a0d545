"""The snapshot as JSON."""

import re

import msgspec
import pytest

from gex_pipeline.exposure.fold import fold
from gex_pipeline.exposure.intake import clean_chain
from gex_pipeline.exposure.scopes import NAMES
from gex_pipeline.exposure.snapshot import GexSnapshot, ProfilePoint
from gex_pipeline_tests.exposure.builders import NAN, Row, answer
from gex_pipeline_tests.synthetic import synthetic_chain

KEYS = re.findall(
    r"\w+",
    "symbol spot ts_event_ns convention contracts net_gex call_gex put_gex net_gex_volume"
    " zero_gamma flips gamma_at_spot call_wall put_wall walls abs_gamma_strike max_net_strike"
    " min_net_strike max_pain strikes expiries coverage confidence",
)


@pytest.mark.parametrize("scope", NAMES)
def test_it_comes_back_equal(scope: str) -> None:
    """Encoded and decoded, every scope, to the last bit."""
    found = fold(clean_chain(synthetic_chain(900, 20)), (scope,))[scope]
    data = msgspec.json.encode(found)

    assert msgspec.json.decode(data, type=GexSnapshot) == found
    assert msgspec.json.encode(msgspec.json.decode(data, type=GexSnapshot)) == data


@pytest.mark.parametrize("spot", [5000.0, NAN])
def test_nulls_come_back_equal(spot: float) -> None:
    """An unusable chain and one without a spot."""
    found = answer([Row(5000, oi=3.0, iv=0.2)], spot=spot)

    assert msgspec.json.decode(msgspec.json.encode(found), type=GexSnapshot) == found


def test_the_keys_that_users_read() -> None:
    """Those of the command's JSON, always there, null or not."""
    for rows in ([], [Row(5000, oi=3.0, iv=0.2)]):
        document = msgspec.json.decode(msgspec.json.encode(answer(rows)))

        assert [key for key in KEYS if key not in document] == []


def test_a_profile_point_is_a_pair() -> None:
    """[spot, gex]: 61 of them are half the payload otherwise."""
    assert msgspec.json.encode(ProfilePoint(5000.0, -1.5)) == b"[5000.0,-1.5]"
