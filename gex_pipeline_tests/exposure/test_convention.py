"""The identity of the convention."""

import hashlib
import json
from typing import Any

import msgspec
import pytest

from gex_pipeline.exposure.convention import CROSS_CHECKS, GEXC_1, Convention


def test_the_id_of_the_default() -> None:
    """The sheet's: the reference figures carry it."""
    assert GEXC_1.id == "gexc-1:356bfcae"


def test_the_id_is_the_hash_of_the_parameters() -> None:
    """Sorted keys, no spaces, shortest round-trip floats: anybody can compute it."""
    parameters = json.loads(msgspec.json.encode(GEXC_1))
    canonical = json.dumps(parameters, sort_keys=True, separators=(",", ":"))

    assert GEXC_1.id == "gexc-1:" + hashlib.sha256(canonical.encode()).hexdigest()[:8]
    assert parameters["rate_T"] == [30 / 365, 1.5]


def changed(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, tuple):
        return (value[0], value[1] * 1.001)
    return value + 1 if isinstance(value, int) else value * 1.001


@pytest.mark.parametrize("name", Convention.__struct_fields__)
def test_any_parameter_changes_the_id(name: str) -> None:
    """So figures of different parameters are never compared."""
    other = msgspec.structs.replace(GEXC_1, **{name: changed(getattr(GEXC_1, name))})

    assert other.id != GEXC_1.id
    assert other.id.startswith("gexc-1:")


def test_equal_parameters_are_one_convention() -> None:
    """The id is a function of the values alone."""
    assert Convention().id == GEXC_1.id


def test_the_others_have_names_of_their_own() -> None:
    """For cross-checks, never mistaken for ours."""
    assert CROSS_CHECKS == ("vendor", "vendor-all", "r0-busdays262")
