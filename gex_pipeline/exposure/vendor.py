"""The vendor's own gamma beside ours: the same sum, and how far apart they are."""

from gex_pipeline.exposure.snapshot import VendorCheck
from gex_pipeline.exposure.tallies import Tallies
from gex_pipeline.market.arrays import Bools


def vendor_check(
    tallies: Tallies, live: Bools, groups: Bools, net_gex: float | None
) -> VendorCheck | None:
    """Return the vendor's own total of the scope beside ours; None where either is missing."""
    if net_gex is None or tallies.vendor is None:
        return None
    call, put = tallies.vendor[:, groups].sum(axis=1).tolist()
    net, gross = call + put, call - put
    difference = net_gex - net
    return VendorCheck(
        net_gex=net,
        gross_gex=gross,
        net_gex_all_rows=net + float(tallies.vendor[:, ~live].sum()),
        difference=difference,
        difference_to_net=difference / abs(net) if net else None,
        difference_to_gross=difference / gross if gross else None,
    )
