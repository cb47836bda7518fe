"""Charts that answer to the reader: plain data in the page, drawn by one script beside a vendored library.

The data are JSON in a script tag that browsers do not run; `charts.js` draws them with uPlot. Without scripts, and on
paper, the page shows its tables and still figures instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from foldsmith.evaluation.backtest import Backtest
from foldsmith.evaluation.sensitivity import MULTIPLES, drawdown
from foldsmith.report.markup import Markup, html

DAY = 86_400
LIBRARY = "vendor/uPlot.iife.min.js"
STYLE = "vendor/uPlot.min.css"
COLOURS = ("neutral", "accent", "long", "short")


def chart(name: str, still: str = "") -> Markup:
    """The place of a chart, and the still figure that stands for it on paper and without scripts."""
    place = f'<div class="chart" data-chart="{html(name)}"></div>'
    return Markup(place + (f'<div class="still">{still}</div>' if still else ""))


def chart_data(
    backtest: Backtest | None,
    calibration: Mapping[str, Any] | None,
    attribution: Mapping[str, Any] | None,
    sensitivity: Mapping[str, Any] | None,
    currency: str,
    learning: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Charts by name: title, x, its kind (time, number or names), and series of label, colour, kind and values."""
    found: dict[str, Any] = {}
    money = f"profit, {currency}" if currency else "profit"
    if backtest is not None and backtest.summary["trades"] and backtest.daily.height > 1:
        found |= _equity(backtest, money)
    if calibration:
        found["reliability"] = _reliability(calibration)
    if sensitivity and len(sensitivity["thresholds"]["points"]) > 1:
        found["thresholds"] = _thresholds(sensitivity["thresholds"]["points"], money)
    points = [point for point in (learning or {}).get("points", ()) if "skipped" not in point]
    if len(points) > 1:
        found["learning"] = _learning(points)
    for name, way in (attribution or {"ways": {}})["ways"].items():
        cells = [cell for cell in way["cells"] if cell["trades"]]
        if len(cells) > 1:
            found[f"by-{name.replace(' ', '-')}"] = _bars(cells, money)
    return found


def _equity(backtest: Backtest, money: str) -> dict[str, Any]:
    days = backtest.daily["session"].to_numpy().astype("datetime64[D]").astype(np.int64) * DAY
    gross, cost = backtest.daily["gross"].to_numpy(), backtest.daily["cost"].to_numpy()
    before, after = np.cumsum(gross), np.cumsum(gross - cost)
    whole = [
        _series("before costs", "neutral", before),
        _series("after costs", "accent", after),
        _series("fall from the peak, after costs", "short", -drawdown(after), "area"),
    ]
    dear = [
        _series(f"{k} times the costs", COLOURS[k % len(COLOURS)], np.cumsum(gross - k * cost))
        for k in MULTIPLES
    ]
    x = days.tolist()
    return {
        "equity": {
            "title": "Running profit by trading day",
            "x": x,
            "kind": "time",
            "y": money,
            "series": whole,
        },
        "costs": {"title": "Running profit by costs", "x": x, "kind": "time", "y": money, "series": dear},
    }


def _reliability(calibration: Mapping[str, Any]) -> dict[str, Any]:
    dots = [(name, part) for name, found in calibration.items() for part in found["bins"]]
    x = sorted({round(float(part["probability"]), 6) for _, part in dots})
    series = [_series("as often as forecast", "muted", x, "dashed", 6)]
    for name in calibration:
        came = {round(float(p["probability"]), 6): p["frequency"] for mine, p in dots if mine == name}
        series.append(_series(name, name, [came.get(at) for at in x], "dots", 6))
    return {"title": "Reliability, by class", "x": x, "kind": "number", "xlabel": "forecast", "y": "came true",
            "series": series}  # fmt: skip


def _thresholds(points: Sequence[Mapping[str, Any]], money: str) -> dict[str, Any]:
    def of(key: str) -> list[Any]:
        return [point[key] for point in points]

    return {
        "title": "Profit and trades by the least probability of the side",
        "x": of("threshold"),
        "kind": "number",
        "xlabel": "least probability",
        "y": money,
        "series": [
            _series("before costs", "neutral", of("gross")),
            _series("after costs", "accent", of("net")),
            {**_series("trades", "long", of("trades"), "dashed", 0), "scale": "trades"},
        ],
    }


def _learning(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def of(key: str) -> list[Any]:
        return [point[key] for point in points]

    return {
        "title": "Log loss by training rows",
        "x": of("rows"),
        "kind": "number",
        "xlabel": "training rows, the most recent",
        "y": "log loss, nats",
        "fine": True,
        "series": [
            _series("validation rows", "accent", of("log_loss"), "dots", 5),
            _series("interval, low", "muted", of("low"), "dashed", 5),
            _series("interval, high", "muted", of("high"), "dashed", 5),
            _series("base rate, validation rows", "neutral", of("log_loss_base"), "line", 5),
            _series("rows fitted on", "short", of("training_log_loss"), "line", 5),
        ],
    }


def _bars(cells: Sequence[Mapping[str, Any]], money: str) -> dict[str, Any]:
    names = [str(cell["name"]) + (" *" if cell["significant"] else "") for cell in cells]
    return {
        "title": "Profit of a trade",
        "x": list(range(len(cells))),
        "kind": "names",
        "names": names,
        "y": f"{money} of a trade",
        "series": [
            _series("before costs", "neutral", [cell["gross_per_trade"] for cell in cells], "bars"),
            _series("after costs", "accent", [cell["net_per_trade"] for cell in cells], "points"),
        ],
    }


def _series(label: str, colour: str, values: Any, kind: str = "line", digits: int = 2) -> dict[str, Any]:
    shown = [None if one is None else round(float(one), digits) for one in values]
    return {"label": label, "colour": colour, "kind": kind, "values": shown}


def embedded(data: Mapping[str, Any]) -> tuple[Markup, tuple[str, ...], str]:
    """Data as a script tag that is not run, the scripts that are, and the library's style sheet."""
    # No text inside can end the tag or begin another, whatever it holds.
    text = json.dumps(data, separators=(",", ":"), sort_keys=True, allow_nan=False, ensure_ascii=True)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    tag = Markup(f'<script type="application/json" id="chart-data">{text}</script>')
    return tag, (_text(LIBRARY), _text("charts.js")), _text(STYLE)


def _text(name: str) -> str:
    return (files("foldsmith.report") / name).read_text(encoding="utf-8").strip()
