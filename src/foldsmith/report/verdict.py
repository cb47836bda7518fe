"""What the numbers allow to be said, in a few sentences and cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foldsmith.evaluation.backtest import Backtest
from foldsmith.report.markup import Markup, html, number

Scores = Mapping[str, Any]
ENOUGH = 0.05
"""Two-sided p below which a mean profit is said to differ from 0."""


def judgement(judged: Mapping[str, Any] | None) -> Markup:
    """The verdict by the rule of `evaluation.verdict`, its reasons, and how often that rule is wrong."""
    if judged is None:
        return Markup("")
    reasons = "".join(f"<li>{html(reason)}</li>" for reason in judged["reasons"])
    place, rate = judged["place"], judged["error_rate"]
    said = (
        f"Model number {place} looked at on these rows: it is allowed {judged['level']:.2g} in each test, so that on a "
        f"market without an edge all looks together find evidence in at most {100 * rate:g} of 100 cases."
    )
    return Markup(
        f'<div class="verdict"><p><b>Verdict: {html(judged["verdict"])}.</b></p><ul>{reasons}</ul>'
        f"<p>{html(said)}</p></div>"
    )


def cards(metrics: Scores, intervals: Scores | None, backtest: Backtest | None, currency: str) -> Markup:
    """The four numbers to look at first, each with its yardstick."""
    base = metrics.get("log_loss_base")
    gain = None if base is None else base - metrics["log_loss"]
    shown = [
        _card(
            "log loss gained, nats",
            number(gain, 4, sign=True),
            f"{number(metrics['log_loss'])}; base rate {number(base)}",
            _side((intervals or {}).get("log_loss_gain"), 0.0),
        ),
        _card(
            "direction AUC",
            number(metrics["direction_auc"]),
            _range(intervals, "direction_auc", "a coin has 0.5"),
            _side((intervals or {}).get("direction_auc"), 0.5),
        ),
    ]
    if backtest is not None:
        summary = backtest.summary
        certain = summary["gross_p"] is not None and summary["gross_p"] < ENOUGH
        tone = ("good" if summary["gross_t"] > 0 else "bad") if certain else ""
        shown += [
            _card(
                "profit of a trade before costs",
                number(summary["gross_per_trade"], 2, unit=currency),
                f"t = {number(summary['gross_t'], 2)}, {summary['trades']:,} trades",
                tone,
            ),
            _card(
                "profit after costs",
                number(summary["net"], 0, unit=currency),
                f"Sharpe ratio a year {number(summary['sharpe_annual'], 2)}",
                "good" if summary["net"] > 0 else "bad",
            ),
        ]
    return Markup(f'<div class="cards">{"".join(shown)}</div>')


def _card(name: str, value: Markup, against: str, tone: str) -> str:
    shown = f'<b class="{tone}">{value}</b>'
    return f'<div class="card"><span>{html(name)}</span>{shown}<span>{against}</span></div>'


def _range(intervals: Scores | None, key: str, otherwise: str) -> str:
    found = (intervals or {}).get(key)
    if not found or found["low"] is None:
        return otherwise
    return f"{number(found['low'])} to {number(found['high'])}; {otherwise}"


def _side(found: Mapping[str, Any] | None, yardstick: float) -> str:
    """Which side of its yardstick a whole interval lies on."""
    if not found or found["low"] is None or found["low"] <= yardstick <= found["high"]:
        return ""
    return "good" if found["low"] > yardstick else "bad"


def verdict(
    metrics: Scores, intervals: Scores | None, backtest: Backtest | None, looks: int | None
) -> Markup:
    """Sentences on log loss, direction, profit and looks; only what the intervals bear out is claimed."""
    sentences = [_of_log_loss(metrics, intervals), _of_direction(intervals), _of_profit(backtest)]
    if looks is not None and looks > 1:
        sentences.append(
            f"This is look number {looks} at these rows; earlier looks make a good score less surprising."
        )
    return Markup(
        '<div class="verdict">' + "".join(f"<p>{html(text)}</p>" for text in sentences if text) + "</div>"
    )


def _of_log_loss(metrics: Scores, intervals: Scores | None) -> str:
    if metrics.get("log_loss_base") is None:
        return "No base rate was given, so the log loss has no yardstick."
    side = _side((intervals or {}).get("log_loss_gain"), 0.0)
    if side == "good":
        return "Its probabilities beat the base rate of the training rows by more than chance explains."
    if side == "bad":
        return "Its probabilities are worse than the base rate of the training rows."
    return "Its probabilities are not shown to be better than the base rate of the training rows."


def _of_direction(intervals: Scores | None) -> str:
    side = _side((intervals or {}).get("direction_auc"), 0.5)
    if side == "good":
        return (
            "It tells long from short among barrier hits: the interval of the direction AUC lies above 0.5."
        )
    if side == "bad":
        return "It takes long for short: the interval of the direction AUC lies below 0.5."
    return "It is not shown to tell long from short: no interval of the direction AUC lies above 0.5."


def _of_profit(backtest: Backtest | None) -> str:
    if backtest is None:
        return ""
    summary = backtest.summary
    if summary["gross_p"] is None:
        return f"It made {summary['trades']:,} trades, too few alike to test their mean profit."
    if summary["gross_p"] >= ENOUGH:
        return "The mean profit of a trade before costs is not told from 0."
    if summary["gross_t"] < 0:
        return "Trades lose before costs, by more than chance explains."
    after = "and their sum is above 0" if summary["net"] > 0 else "but lose"
    return f"Trades earn before costs, by more than chance explains, {after} after costs."
