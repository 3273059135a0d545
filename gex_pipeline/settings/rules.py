"""Rules between settings: two values that are right alone and wrong together."""

from collections.abc import Iterator

from gex_pipeline.settings.discord import Settings


def broken_rules(settings: Settings) -> tuple[str, ...]:
    """Return every rule that these settings break."""
    return (*_ages(settings), *_disk(settings), *_ports(settings), *_pairs(settings))


def _ages(settings: Settings) -> Iterator[str]:
    if settings.gex_unavailable_after_s <= settings.gex_stale_after_s:
        yield (
            f"GEX_UNAVAILABLE_AFTER_S is {settings.gex_unavailable_after_s:g} and not above"
            f" GEX_STALE_AFTER_S ({settings.gex_stale_after_s:g}). Raise the first or lower the"
            " second."
        )


def _disk(settings: Settings) -> Iterator[str]:
    if settings.gex_disk_stop_percent >= settings.gex_disk_alert_percent:
        yield (
            f"GEX_DISK_STOP_PERCENT is {settings.gex_disk_stop_percent:g} and not below"
            f" GEX_DISK_ALERT_PERCENT ({settings.gex_disk_alert_percent:g}). Lower the first or"
            " raise the second."
        )


def _ports(settings: Settings) -> Iterator[str]:
    owners: dict[int, str] = {}
    for name in ("gex_port", "gex_dagster_port", "gex_redis_port", "gex_simulator_port"):
        port: int = getattr(settings, name)
        if port in owners:
            yield f"{name.upper()} and {owners[port]} are both {port}. Change one of them."
        owners.setdefault(port, name.upper())


def _pairs(settings: Settings) -> Iterator[str]:
    for vendor in ("schwab", "tastytrade"):
        names = (f"{vendor}_client_id", f"{vendor}_client_secret")
        there, absent = sorted(names, key=lambda name: getattr(settings, name) is None)
        if getattr(settings, there) is not None and getattr(settings, absent) is None:
            yield (
                f"{there.upper()} is set and {absent.upper()} is not; one is of no use without the"
                " other. Set both or neither."
            )
