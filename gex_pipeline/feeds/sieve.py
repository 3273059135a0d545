"""Which rows of a source are contracts of ours, why the others are not, and whose they are."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from gex_pipeline.market.arrays import Bools, Texts
from gex_pipeline.market.roots import option_root

_MARKS = "$^_"  # vendors mark an index: $SPX, ^SPX, _SPX


def sift(reasons: Mapping[str, Bools]) -> tuple[Bools, dict[str, int]]:
    """Return which rows are usable, and how many are not by reason.

    `reasons` holds one mask per reason, True where the row is refused; a row with several counts
    under the first. Reasons without a row are left out.
    """
    refused = np.zeros_like(next(iter(reasons.values())))
    dropped = {}
    for reason, mask in reasons.items():
        count = int((mask & ~refused).sum())
        refused = refused | mask
        if count:
            dropped[reason] = count
    return ~refused, dropped


def is_adjusted(root: Texts) -> Bools:
    """Return where a corporate action changed what is delivered: the root ends in a digit."""
    return np.fromiter((name[-1:].isdigit() for name in root.tolist()), np.bool_, root.size)


def canonical_symbol(vendor_symbol: str | None, root: Texts) -> str:
    """Return our name of the underlying: the vendor's without its mark, else most roots' own.

    The empty text if there is neither.
    """
    name = (vendor_symbol or "").strip().lstrip(_MARKS)
    if name:
        return option_root(name).underlying
    contracts_of = Counter(option_root(one).underlying for one in root.tolist())
    return max(contracts_of, key=contracts_of.__getitem__, default="")
