"""Figures of a report as inline SVG: the same bytes for the same numbers, coloured by the page's own CSS.

Colours are drawn as stand-ins and replaced by CSS variables, so that one figure serves light, dark and print;
text stays text. Nothing of the user's matplotlib settings enters.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

STAND_INS = {
    "#010101": "--ink",
    "#020202": "--muted",
    "#030303": "--line",
    "#040404": "--accent",
    "#050505": "--short",
    "#060606": "--neutral",
    "#070707": "--long",
    "#080808": "--paper",
}
"""Colour drawn by matplotlib -> CSS variable of the page."""

COLOUR = {variable.removeprefix("--"): stand_in for stand_in, variable in STAND_INS.items()}

_SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "foldsmith",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOUR["line"],
    "axes.labelcolor": COLOUR["muted"],
    "axes.titlecolor": COLOUR["ink"],
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOUR["line"],
    "grid.linewidth": 0.6,
    "text.color": COLOUR["ink"],
    "xtick.color": COLOUR["line"],
    "ytick.color": COLOUR["line"],
    "xtick.labelcolor": COLOUR["muted"],
    "ytick.labelcolor": COLOUR["muted"],
    "legend.frameon": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


def reliability_figure(calibration: Mapping[str, Mapping[str, Any]]) -> str:
    """Forecast probability against frequency, one panel a class; takes `calibration.reliability`'s tables."""

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(calibration), squeeze=False)[0]
        for axes, (name, table) in zip(panels, calibration.items(), strict=True):
            forecast = [part["probability"] for part in table["bins"]]
            came = [part["frequency"] for part in table["bins"]]
            low, high = _padded(min(forecast + came), max(forecast + came))
            axes.plot([low, high], [low, high], color=COLOUR["muted"], linewidth=1, dashes=(3, 3))
            axes.plot(forecast, came, color=COLOUR[name], linewidth=1.5, marker="o", markersize=4)
            axes.set(
                xlim=(low, high), ylim=(low, high), xlabel="forecast", title=f"{name}, ECE {table['ece']:.4f}"
            )
            axes.set_aspect("equal")
            axes.locator_params(nbins=5)
        panels[0].set_ylabel("came true")

    return _svg(draw, (11, 3.5), "Reliability of the probabilities, by class")


def equity_figure(daily: pl.DataFrame, currency: str) -> str:
    """Running profit before and after costs by trading day; takes the `daily` table of a backtest."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        days = daily["session"].to_numpy().astype("datetime64[D]")
        before, after = daily["equity_gross"].to_numpy(), daily["equity_net"].to_numpy()
        peak = np.maximum.accumulate(np.maximum(after, 0.0))
        axes.axhline(0, color=COLOUR["muted"], linewidth=0.8)
        axes.fill_between(days, after, peak, color=COLOUR["short"], alpha=0.12, linewidth=0, label="drawdown")
        axes.plot(days, before, color=COLOUR["neutral"], linewidth=1.3, label="before costs")
        axes.plot(days, after, color=COLOUR["accent"], linewidth=1.8, label="after costs")
        _date_axis(axes)
        axes.set_ylabel(f"profit, {currency}" if currency else "profit")
        axes.margins(x=0.01)
        axes.legend(loc="best", ncols=3, fontsize=9)

    return _svg(draw, (11, 3.6), "Running profit by trading day")


def profit_figure(trades: pl.DataFrame, currency: str) -> str:
    """Distribution of the net profit of a trade, with its mean; takes the `trades` table of a backtest."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        net = trades["net"].to_numpy()
        edges = _edges(net)
        counts, _ = np.histogram(np.clip(net, edges[0], edges[-1]), bins=edges)
        middle = (edges[1:] + edges[:-1]) / 2
        colours = np.where(middle > 0, COLOUR["long"], COLOUR["short"]).tolist()
        axes.bar(middle, counts, width=np.diff(edges) * 0.92, color=colours, alpha=0.75, linewidth=0)
        axes.axvline(0, color=COLOUR["muted"], linewidth=0.8)
        axes.axvline(float(net.mean()), color=COLOUR["ink"], linewidth=1.4, dashes=(4, 2), label="mean")
        axes.set(xlabel=f"net profit of a trade{f', {currency}' if currency else ''}", ylabel="trades")
        axes.grid(visible=False, axis="x")
        axes.legend(loc="best", fontsize=9)

    return _svg(draw, (11, 3.0), "Distribution of net profit per trade")


def learning_figure(points: Sequence[Mapping[str, Any]]) -> str:
    """Log loss on validation rows and on the rows fitted on, by training rows; takes points of the stage's curve."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        rows = [point["rows"] for point in points]

        def line(key: str, colour: str, label: str, **how: Any) -> None:
            axes.plot(rows, [point[key] for point in points], color=COLOUR[colour], label=label, **how)

        if all(point["low"] is not None for point in points):
            low, high = ([point[key] for point in points] for key in ("low", "high"))
            axes.fill_between(
                rows, low, high, color=COLOUR["accent"], alpha=0.12, linewidth=0, label="interval"
            )
        line("log_loss_base", "neutral", "base rate, validation rows", linewidth=1.3, dashes=(4, 2))
        line("training_log_loss", "short", "rows fitted on", linewidth=1.3)
        line("log_loss", "accent", "validation rows", linewidth=1.8, marker="o", markersize=4)
        axes.set(xlabel="training rows, the most recent", ylabel="log loss, nats")
        axes.legend(loc="best", ncols=2, fontsize=9)

    return _svg(draw, (11, 3.6), "Log loss by training rows")


def close_figure(days: pl.DataFrame) -> str:
    """The last close of every session; takes what `coverage` returns. Sessions without a bar break the line."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        at = days["day"].to_numpy().astype("datetime64[D]")
        axes.plot(at, days["close"].to_numpy(), color=COLOUR["accent"], linewidth=1.3)
        _date_axis(axes)
        axes.set_ylabel("close, as it stood")
        axes.margins(x=0.01)

    return _svg(draw, (11, 3.2), "Last close of every session")


def interval_strip(low: float, estimate: float, high: float, yardstick: float | None) -> str:
    """A small mark of an interval and its estimate, with the yardstick as a dashed line; drawn by hand."""
    points = [low, estimate, high] + ([] if yardstick is None else [yardstick])
    start, stop = _padded(min(points), max(points))

    def at(value: float) -> str:
        return f"{6 + 148 * (value - start) / (stop - start):.1f}"

    dash = ""
    if yardstick is not None:
        dash = f'<line class="yard" x1="{at(yardstick)}" x2="{at(yardstick)}" y1="1" y2="17"/>'
    return (
        f'<svg class="strip" viewBox="0 0 160 18" aria-hidden="true">{dash}'
        f'<line class="range" x1="{at(low)}" x2="{at(high)}" y1="9" y2="9"/>'
        f'<circle cx="{at(estimate)}" cy="9" r="4"/></svg>'
    )


def _svg(draw: Callable[[Figure], None], size: tuple[float, float], title: str) -> str:
    from matplotlib import style
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with style.context(_SETTINGS, after_reset=True):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return _for_page(out.getvalue(), title)


def _for_page(drawn: str, title: str) -> str:
    """What may stand inside a page: no prolog or metadata, ids of its own, the page's colours and font."""
    svg = drawn[drawn.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]+)"', svg)
    body = svg[svg.index(">") + 1 :]
    mark = re.sub(r"[^a-z]+", "-", title.lower())
    body = re.sub(r'(\bid=")', rf"\1{mark}-", body)
    body = re.sub(r'(href="#|url\(#)', rf"\1{mark}-", body)
    for stand_in, variable in STAND_INS.items():
        body = body.replace(stand_in, f"var({variable})")
    body = re.sub(r"font(-family)?: ([^;\"]*?)'[^\";]*", _font_size_only, body)
    box = view.group(1) if view else "0 0 1 1"
    return (
        f'<svg class="figure" role="img" viewBox="{box}" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink"><title>{escape(title)}</title>{body.strip()}'
    )


def _font_size_only(match: re.Match[str]) -> str:
    size = re.search(r"[\d.]+px", match.group(2))
    return f"font-size: {size.group(0)}" if size else ""


def _date_axis(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    # Fewer than its own 5 at the least: between 4 and 5 days no interval of hours gives 9 or less, and it warns.
    locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.06 * (high - low) or max(abs(low) * 0.05, 1e-6)
    return low - room, high + room


def _edges(values: Floats) -> Floats:
    """Bin edges over the middle 99% of values, one at 0 where it lies inside; the tails join the ends."""
    low, high = (float(edge) for edge in np.quantile(values, [0.005, 0.995]))
    if high <= low:
        low, high = _padded(low, high)
    width = (high - low) / 40
    if low < 0 < high:
        return np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width
    return np.linspace(low, high, 41)
