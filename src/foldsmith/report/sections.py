"""The sections of a report, from what the evaluation rooms return; empty where nothing was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foldsmith.evaluation.backtest import Backtest
from foldsmith.evaluation.bootstrap import MIN_DAYS
from foldsmith.evaluation.trading_rule import TradingRule
from foldsmith.report.charts import chart
from foldsmith.report.feature_findings import feature_tables
from foldsmith.report.figures import equity_figure, interval_strip, profit_figure, reliability_figure
from foldsmith.report.findings import cleaning_tables
from foldsmith.report.markup import NONE, Markup, flat, html, note, number, pairs, percent, section, table

Scores = Mapping[str, Any]
CLASS_NAMES = ("short", "neutral", "long")
ABOUT_CHARTS = (
    "In a browser: point at a chart to read it, drag to look closer, double-click to go back, click a name to "
    "hide it."
)

_ROWS = (
    ("log loss", "log_loss", "log_loss_base", "lower is better; base rate"),
    ("log loss gained over the base rate", "log_loss_gain", 0.0, "nats; no gain"),
    ("Brier score", "brier", "brier_base", "lower is better; base rate"),
    ("Brier score gained over the base rate", "brier_gain", 0.0, "no gain"),
    ("direction AUC", "direction_auc", 0.5, "long against short among hits; a coin"),
    ("direction log loss", "direction_log_loss", "direction_log_loss_base", "among hits; base rate"),
    ("direction log loss gained", "direction_log_loss_gain", 0.0, "nats; no gain"),
    ("AUC, mean of one against the rest", "auc", 0.5, "a coin"),
    ("balanced accuracy", "balanced_accuracy", "chance", "one guess for all"),
    ("Matthews correlation", "mcc", 0.0, "no relation"),
)


def score_section(metrics: Scores, intervals: Scores | None) -> Markup:
    """Every score beside its yardstick and its interval."""
    weighted = metrics.get("weighted")
    head = ["score", "model", "yardstick", "interval", ""] + (["weighted"] if weighted else [])
    rows = []
    for name, key, yard, meaning in _ROWS:
        value = _value(metrics, key)
        against = _yardstick(metrics, yard)
        label = Markup(f"{html(name)} <small>{html(meaning)}</small>")
        row = [label, number(value), number(against), *_interval(intervals, key, against)]
        rows.append(row + ([number(_value(weighted, key))] if weighted else []))
    return section("Scores", table(head, rows), note(_about_scores(metrics, intervals)))


def _value(metrics: Scores, key: str) -> float | None:
    if key.endswith("_gain"):
        name = key.removesuffix("_gain")
        value, base = metrics.get(name), metrics.get(f"{name}_base")
        return None if value is None or base is None else base - value
    return metrics.get(key)


def _yardstick(metrics: Scores, yard: str | float) -> float | None:
    if yard == "chance":
        present = sum(share > 0 for share in metrics["class_shares"])
        return 1 / present if present else None
    return metrics.get(yard) if isinstance(yard, str) else yard


def _interval(intervals: Scores | None, key: str, yardstick: float | None) -> tuple[Markup, Markup]:
    found = (intervals or {}).get(key)
    if not found or found["low"] is None:
        return Markup(""), Markup("")
    strip = interval_strip(found["low"], found["estimate"], found["high"], yardstick)
    return Markup(f"{number(found['low'])} to {number(found['high'])}"), Markup(strip)


def _about_scores(metrics: Scores, intervals: Scores | None) -> str:
    parts = [f"{metrics['rows']:,} rows, {metrics['hits']:,} of them barrier hits."]
    if intervals:
        days, block = intervals["days"], intervals["block_days"]
        drawn = "whole trading days" if block == 1 else f"blocks of {block} trading days"
        parts.append(
            f"Intervals are {100 * intervals['level']:g}% percentiles of {intervals['draws']:,} bootstrap "
            f"draws of "
            f"{drawn} ({days:,} days); the dot is the score, the dashed line its yardstick."
        )
        if intervals["log_loss"]["low"] is None:
            parts.append("There are too few days for an interval.")
    parts.append(
        "A three-class log loss can beat the base rate on volatility alone, which tells hits from time-outs. "
        "Whether the model knows the side is said by the direction scores and by profit before costs."
    )
    return " ".join(parts)


def confusion_section(metrics: Scores) -> Markup:
    """True classes in rows, decided ones in columns, shaded by the share of the row."""
    rows = []
    for name, counts in zip(CLASS_NAMES, metrics["confusion"], strict=True):
        total = sum(counts)
        cells = "".join(_shaded(count, count / total if total else 0.0) for count in counts)
        rows.append(f'<tr><th scope="row">came {name}</th>{cells}</tr>')
    head = "".join(f'<th scope="col">said {name}</th>' for name in CLASS_NAMES)
    grid = Markup(
        f'<div class="scroll"><table class="confusion"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
    shares = [
        ("came in these rows", metrics["class_shares"]),
        ("base rate of training", metrics["base_rate"]),
    ]
    known = [[name, *(percent(share) for share in values)] for name, values in shares if values]
    said = note("Decided is the most probable class; a tie for the highest counts as neutral.")
    return section("Decisions", grid, said, table(["share of", *CLASS_NAMES], known))


def _shaded(count: float, share: float) -> str:
    tint = f"background: color-mix(in srgb, var(--accent) {round(60 * share)}%, transparent)"
    return f'<td style="{tint}">{number(count, 0)}<br><small>{percent(share)}</small></td>'


def calibration_section(calibration: Mapping[str, Any] | None) -> Markup:
    """Reliability curves of the three classes."""
    if not calibration:
        return Markup("")
    said = (
        "Each dot holds an equal count of rows. On the dashed line, what was forecast came as often as "
        "forecast. "
        "ECE is the mean distance from it; it is above 0 by chance alone."
    )
    return section("Calibration", chart("reliability", reliability_figure(calibration)), note(said))


def backtest_section(backtest: Backtest | None, currency: str) -> Markup:
    """What the trading rule made, beside always long, always short and flat."""
    if backtest is None:
        return Markup("")
    summary = backtest.summary
    columns = {"model": summary} | {k.replace("_", " "): v for k, v in summary["yardsticks"].items()}
    rows = [
        [
            f"{name}, {currency}" if how == "money" and currency else name,
            *(_shown(column.get(key), how) for column in columns.values()),
            _interval_of(summary, key, how),
        ]
        for name, key, how in _BACKTEST_ROWS
    ]
    rule = (
        f"{TradingRule.from_dict(summary.get('rule', {})).words} Sharpe ratios are of daily profit, days without a "
        f"trade counted as 0, annualised by the square root of {summary['periods_per_year']}. The t value is of the "
        "mean profit of a trade before costs."
    )
    grid = table(["", *columns, "interval"], rows) + _about_intervals(summary)
    if not summary["trades"]:
        return section("Trading", note(rule), note("No signal was given: the model never traded."), grid)
    figures = (
        chart("equity", equity_figure(backtest.daily, currency)),
        note(ABOUT_CHARTS),
        profit_figure(backtest.trades, currency),
    )
    return section("Trading", note(rule), grid, *figures)


_BACKTEST_ROWS = (
    ("trades", "trades", "count"),
    ("signals skipped, position open", "skipped", "count"),
    ("profit before costs", "gross", "money"),
    ("costs", "cost", "money"),
    ("profit after costs", "net", "money"),
    ("profit of a trade before costs", "gross_per_trade", "money"),
    ("its t value", "gross_t", "ratio"),
    ("profit of a trade after costs", "net_per_trade", "money"),
    ("trades with a profit after costs", "win_rate", "share"),
    ("Sharpe ratio a year, before costs", "sharpe_annual_gross", "ratio"),
    ("Sharpe ratio a year, after costs", "sharpe_annual", "ratio"),
    ("probability that it is above 0 (PSR)", "psr", "share"),
    ("largest fall from a peak", "max_drawdown", "money"),
    ("share of bars in position", "exposure", "share"),
    ("bars held, mean", "bars_per_trade", "ratio"),
)


def _interval_of(summary: Scores, key: str, how: str) -> Markup:
    found = summary.get("interval", {}).get(key)
    if not found or found["low"] is None:
        return Markup("")
    return Markup(f"{_shown(found['low'], how)} to {_shown(found['high'], how)}")


def _about_intervals(summary: Scores) -> Markup:
    found = summary.get("interval")
    if not found:
        return Markup("")
    if found["days"] < MIN_DAYS * found["block_days"]:
        return note(
            f"There are too few days ({found['days']}) for intervals in blocks of {found['block_days']}."
        )
    said = (
        f"Intervals of the model's figures are {100 * found['level']:g}% percentiles of {found['draws']:,} draws of "
        f"{found['days']:,} days in blocks of {found['block_days']}."
    )
    return note(said)


def _shown(value: float | None, how: str) -> Markup:
    if value is None:
        return Markup(NONE)
    if how == "money":
        return number(value, 2)
    if how == "share":
        return percent(value)
    return number(value, 0 if how == "count" else 2)


def member_section(members: Mapping[str, Scores] | None, metrics: Scores) -> Markup:
    """The ensemble beside the base models it is made of, on the same rows."""
    if not members:
        return Markup("")
    keys = ("log_loss", "brier", "auc", "direction_auc", "balanced_accuracy", "mcc")
    head = ["model", "log loss", "Brier score", "AUC", "direction AUC", "balanced accuracy", "Matthews"]
    everyone = {"this ensemble": metrics, **members}
    rows = [[name, *(number(scores.get(key)) for key in keys)] for name, scores in everyone.items()]
    base = (
        metrics.get("log_loss_base"),
        metrics.get("brier_base"),
        0.5,
        0.5,
        _yardstick(metrics, "chance"),
        0.0,
    )
    return section("Base models", table(head, [*rows, ["yardstick", *(number(value) for value in base)]]))


def recovery_section(recovery: Mapping[str, Any] | None) -> Markup:
    """For a simulated market: how much of what can be known was found."""
    if not recovery:
        return Markup("")
    keys = ("base", "best", "reachable", "gain")
    names = {"classes": "three classes", "direction": "long or short, among hits"}
    rows = [
        [names.get(name, name), *(number(part[key]) for key in keys), percent(part["share"])]
        for name, part in recovery.items()
    ]
    said = (
        "This market is simulated, so what could be known is known. Best is the log loss of a forecaster "
        "who sees the "
        "hidden state of the signal, from a long simulation; the share is the model's gain over that one's. Over "
        "three classes it can be far above 100%, as volatility, which is no part of the state, tells hits from "
        "time-outs: the edge is in the second row."
    )
    head = ["log loss, nats", "base rate", "best", "reachable", "gained", "share recovered"]
    return section("Share of the planted edge recovered", table(head, rows), note(said))


def data_section(findings: Mapping[str, Any] | None, labels: Mapping[str, Any] | None) -> Markup:
    """What cleaning found, how features are on training rows, and which labels were dropped."""
    bars = Markup("") if findings is None else cleaning_tables(findings)
    features = Markup("") if findings is None else feature_tables(findings.get("features"))
    made = pairs(flat(labels)) if labels else Markup("")
    titled = [
        Markup(f"<h3>{title}</h3>{part}")
        for title, part in (("Bars, as cleaned", bars), ("Features", features), ("Labels", made))
        if part
    ]
    return section("Data", *titled)


def statement_section(statements: Sequence[str]) -> Markup:
    """What a reader must know to judge the scores, in sentences."""
    return section("How to read this", *(f"<p>{html(statement)}</p>" for statement in statements))


def provenance_section(provenance: Mapping[str, Any] | None) -> Markup:
    """Identities and hashes: what exactly was scored."""
    if not provenance:
        return Markup("")
    # Numbers here are names, such as a seed: written as they are, without separators.
    texts = {k: str(v) if isinstance(v, int | float) else v for k, v in flat(provenance).items()}
    shown = {k: Markup(f'<span class="hash">{html(text)}</span>') for k, text in texts.items()}
    return section("Provenance", pairs(shown))
