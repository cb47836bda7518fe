"""One evaluation as one HTML file that needs nothing else: no link, no picture or script from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foldsmith.evaluation.backtest import Backtest
from foldsmith.report import origin, sections
from foldsmith.report.charts import chart_data, embedded
from foldsmith.report.learning import learning_section
from foldsmith.report.markup import Markup, html, page, pairs
from foldsmith.report.movement import drift_section
from foldsmith.report.significance import tried_section
from foldsmith.report.verdict import cards, judgement, verdict


def render(
    title: str,
    *,
    facts: Mapping[str, Any],
    metrics: Mapping[str, Any],
    intervals: Mapping[str, Any] | None = None,
    calibration: Mapping[str, Any] | None = None,
    backtest: Backtest | None = None,
    currency: str = "",
    split: str = "",
    looks: Mapping[str, int] | None = None,
    members: Mapping[str, Mapping[str, Any]] | None = None,
    statements: Sequence[str] = (),
    recovery: Mapping[str, Any] | None = None,
    findings: Mapping[str, Any] | None = None,
    labels: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    judged: Mapping[str, Any] | None = None,
    significance: Mapping[str, Any] | None = None,
    attribution: Mapping[str, Any] | None = None,
    sensitivity: Mapping[str, Any] | None = None,
    importance: Mapping[str, Any] | None = None,
    learning: Mapping[str, Any] | None = None,
    drift: Mapping[str, Any] | None = None,
    separation: Mapping[str, Any] | None = None,
) -> str:
    """The report of one model on one split, as the text of a self-contained HTML file.

    facts : what was run, shown on top (model, symbol, horizon, split, dates); metrics, intervals,
    calibration, backtest, recovery : what `metrics.score`, `bootstrap.interval`, `calibration.reliability`,
    `backtest.backtest` and `recovery.recovered_share` return; currency of the profits; split : its name, for
    the count of looks; looks : name of a count -> looks so far, this one
    included, such as {"this run": 1, "this dataset": 4}; members : base model -> its `score` on the same
    rows; statements : sentences a reader must know, such as that on the meta-learner's cross-validation;
    findings : what cleaning and marking found, as in a dataset's findings.json; labels, provenance : names and
    values, nested as they like; judged, significance : what `verdict.Verdict.as_dict` and the stage `significance`
    return; attribution, sensitivity, importance, learning, drift : what the stages of these names (`learning_curve`)
    return; separation : what
    `origin.separation_section` takes. Whatever is None has no section.
    All text is escaped; equal arguments give equal bytes. Raises nothing of its own.
    """
    seen = max(looks.values()) if looks else None
    charts = chart_data(backtest, calibration, attribution, sensitivity, currency, learning)
    data, scripts, style = embedded(charts) if charts else (Markup(""), (), "")
    body = "".join(
        (
            '<header><div class="brand">Foldsmith report</div>',
            f"<h1>{html(title)}</h1>{pairs(facts, 'facts')}</header>",
            judgement(judged),
            cards(metrics, intervals, backtest, currency),
            verdict(metrics, intervals, backtest, seen),
            sections.score_section(metrics, intervals),
            tried_section(significance, looks, split),
            sections.statement_section(statements),
            sections.member_section(members, metrics),
            sections.recovery_section(recovery),
            sections.backtest_section(backtest, currency),
            origin.sensitivity_section(sensitivity, currency),
            origin.attribution_section(attribution, currency),
            origin.importance_section(importance),
            learning_section(learning),
            drift_section(drift),
            sections.calibration_section(calibration),
            sections.confusion_section(metrics),
            origin.separation_section(separation),
            sections.data_section(findings, labels),
            sections.provenance_section(provenance),
            data,
        )
    )
    return page(title, body, scripts=scripts, style=style)
