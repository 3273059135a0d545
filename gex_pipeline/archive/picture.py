"""The picture of one symbol's comparison: a small PNG on a card of its own, for light and dark."""

import io
from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Final

from gex_pipeline.archive.compare import ComparedMoment
from gex_pipeline.exposure.comparison import ALL, DTE, Compared
from gex_pipeline.market.sessions import et_datetime

if TYPE_CHECKING:  # it takes a second to load, and only who draws has to wait
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MultipleLocator

_INCHES: Final = (8.0, 6.2)
_DPI: Final = 100
_COLOURS: Final = 256
"""Of the palette: the same to the eye, in a third of the bytes."""
_CARD: Final = "#f6f6f3"
_INK: Final = "#30343b"
_GRID: Final = "#d4d4ce"
_SIMULATED: Final = "#b91c1c"
_LINES: Final = ("#c2410c", "#a21caf", "#0f766e", "#1d4ed8")
"""Of the days to expiry, warm to cold."""
_OURS: Final = "#1d4ed8"
_VENDORS: Final = "#c2410c"
_BILLION: Final = 1e9
_PERCENT: Final = 100


def draw(moments: Sequence[ComparedMoment]) -> bytes:
    """Return the PNG of one symbol's moments in order: error by days to expiry, and net GEX.

    There must be one at least.
    """
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor=_CARD, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    hours = [_hours(moment.ts_recv_ns) for moment in moments]
    _draw_errors(upper, hours, moments)
    _draw_exposure(lower, hours, moments)
    _label(figure, lower, hours, moments)
    with io.BytesIO() as drawn, io.BytesIO() as small:
        figure.savefig(drawn, format="png")
        with Image.open(drawn) as image:
            palette = image.convert("RGB").quantize(_COLOURS)
            palette.save(small, format="PNG", optimize=True)
        return small.getvalue()


def _draw_errors(axes: "Axes", hours: list[float], moments: Sequence[ComparedMoment]) -> None:
    for dte, colour in zip(DTE, _LINES, strict=True):
        errors = [_figure(_bucket(moment, dte), "gamma_error_median") for moment in moments]
        if all(map(isnan, errors)):
            continue
        shown = [error * _PERCENT for error in errors]
        axes.plot(hours, shown, color=colour, marker="o", markersize=3.5, label=dte)
    _dress(axes, "median |vendor / ours − 1|, %", "Gamma, by days to expiry")
    axes.set_ylim(bottom=0)


def _draw_exposure(axes: "Axes", hours: list[float], moments: Sequence[ComparedMoment]) -> None:
    for name, style, label in (
        ("net_gex", {"color": _OURS, "linewidth": 3.0}, "ours"),
        ("vendor_net_gex", {"color": _VENDORS, "linestyle": "--"}, "the vendor's"),
    ):
        sums = [_figure(_bucket(moment, ALL), name) / _BILLION for moment in moments]
        if all(map(isnan, sums)):
            continue
        axes.plot(hours, sums, marker="o", markersize=3.5, label=label, **style)
    axes.axhline(0, color=_INK, linewidth=0.8)
    _dress(axes, "$ billion per 1%", "Net GEX by open interest, all expiries")


def _dress(axes: "Axes", unit: str, title: str) -> None:
    axes.set_facecolor(_CARD)
    axes.set_title(title, loc="left", fontsize=10, color=_INK)
    axes.set_ylabel(unit, fontsize=9, color=_INK)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.grid(visible=True, color=_GRID, linewidth=0.7)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=9, frameon=False, labelcolor=_INK, ncols=4)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_INK)


def _label(
    figure: "Figure", axes: "Axes", hours: list[float], moments: Sequence[ComparedMoment]
) -> None:
    """Name the hours, and what the picture is of; simulated data say so in large."""
    first = moments[0]
    axes.set_xlabel("New York time", fontsize=9, color=_INK)
    axes.xaxis.set_major_locator(_every(hours))
    axes.xaxis.set_major_formatter(lambda hour, _: _clock(hour))
    day = et_datetime(moments[-1].ts_recv_ns).date()
    simulated = "   SIMULATED" if first.mode == "simulated" else ""
    figure.suptitle(
        f"{first.symbol} {day}: ours against the vendor's ({first.source}){simulated}",
        fontsize=12,
        color=_SIMULATED if simulated else _INK,
        fontweight="bold" if simulated else "normal",
    )


def _every(hours: list[float]) -> "MultipleLocator":
    """Return ticks at whole hours, or minutes where there is less."""
    from matplotlib.ticker import MultipleLocator

    span = hours[-1] - hours[0]
    return MultipleLocator(1.0 if span > 2 else 0.5 if span > 0.5 else 1 / 60)


def _hours(ts_ns: int) -> float:
    at = et_datetime(ts_ns)
    return at.hour + at.minute / 60 + at.second / 3600


def _clock(hour: float) -> str:
    minutes = round(hour * 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _bucket(moment: ComparedMoment, dte: str) -> Compared | None:
    return next((b for b in moment.buckets if (b.dte, b.moneyness) == (dte, ALL)), None)


def _figure(bucket: Compared | None, name: str) -> float:
    """Return a figure; NaN, which is not drawn, where there is none."""
    value = None if bucket is None else getattr(bucket, name)
    return float("nan") if value is None else float(value)
