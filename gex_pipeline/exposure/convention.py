"""The named conventions under which an exposure is computed, and the identity of ours.

Two figures may be compared only when they carry the same identity: it changes its hash with any
parameter and its number with any formula or rule. docs/conventions.md is the sheet.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from gex_pipeline.errors import ConventionError
from gex_pipeline.options.forward import ParityRule

LOG_1_1: Final = math.log(1.1)

Vendor = Literal["vendor", "vendor-all", "r0-busdays262"]
CROSS_CHECKS: Final[tuple[Vendor, ...]] = ("vendor", "vendor-all", "r0-busdays262")
"""Other tools' ways, for comparing with them; never the default."""

_NAMES: Final = {
    "profile_span": "L",
    "scan_span": "Ls",
    "forward_strikes": "fwd_n",
    "forward_strikes_min": "fwd_min",
    "forward_mad_max": "fwd_mad_max",
    "forward_carry_base": "fwd_ln0",
    "forward_carry_per_year": "fwd_ln1",
    "forward_spread_max": "fwd_rel_spread",
    "floor_minutes": "floor_min",
    "iv_min": "iv_lo",
    "iv_max": "iv_hi",
    "vendor_iv_min": "vendor_lo",
    "scan_nodes": "n_scan",
    "scan_nodes_one_date": "n_scan1",
    "lobe_gate": "gate",
    "american_gap_max": "gap_amer",
    "window": "win",
    "rate_years": "rate_T",
    "rate_window": "rate_win",
    "rate_strikes_min": "rate_n",
}
"""Field to key of the canonical JSON that the identity hashes."""


class Convention(msgspec.Struct, frozen=True, kw_only=True, rename=_NAMES):
    """The parameters of convention `gexc-1`; spans and windows are logs of moneyness."""

    profile_span: float = LOG_1_1
    scan_span: float = 2 * LOG_1_1
    scan_nodes: int = 121
    scan_nodes_one_date: int = 1201
    lobe_gate: float = 0.001
    """A lobe of the profile with a peak below this share of the largest is noise."""
    floor_minutes: float = 5.0
    window: float = LOG_1_1
    """Open interest shares of the coverage count rows with |log(K/S)| within it."""
    forward_strikes: int = 10
    forward_strikes_min: int = 3
    forward_spread_max: float = 0.5
    forward_mad_max: float = 0.002
    forward_carry_base: float = 0.02
    forward_carry_per_year: float = 0.15
    rate_years: tuple[float, float] = (30 / 365, 1.5)
    rate_window: float = 0.1
    rate_strikes_min: int = 8
    iv_min: float = 0.01
    iv_max: float = 5.0
    vendor_iv_min: float = 0.02
    """Vendor volatilities at or below it are stubs."""
    american_gap_max: float = 0.001

    @property
    def id(self) -> str:
        """The identity that each figure carries: gexc-1 and eight digits of the parameters."""
        canonical = msgspec.json.encode(self, order="sorted")
        return f"gexc-1:{hashlib.sha256(canonical).hexdigest()[:8]}"

    @property
    def parity(self) -> ParityRule:
        """The part that options.forward needs."""
        return ParityRule(
            strikes=self.forward_strikes,
            strikes_min=self.forward_strikes_min,
            spread_max=self.forward_spread_max,
            mad_max=self.forward_mad_max,
            carry_base=self.forward_carry_base,
            carry_per_year=self.forward_carry_per_year,
        )


GEXC_1: Final = Convention()


def convention_of(identity: str, parameters: Mapping[str, float]) -> Convention:
    """Return live's convention with other parameters; `identity` must be its, unless empty.

    Raises:
        ConventionError: no parameter of that name, or another identity.
    """
    known = msgspec.structs.asdict(GEXC_1)
    numbers = {name: value for name, value in known.items() if isinstance(value, int | float)}
    for name in parameters:
        if name not in numbers:
            raise ConventionError("Parameter", name, tuple(numbers))
    given = {name: type(numbers[name])(value) for name, value in parameters.items()}
    found = msgspec.structs.replace(GEXC_1, **given)
    if identity and identity != found.id:
        raise ConventionError("Convention with these parameters", identity, (found.id,))
    return found
