"""The learning curve of a model: its log loss by how many of its training rows it was fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foldsmith.report.charts import chart
from foldsmith.report.figures import learning_figure
from foldsmith.report.markup import Markup, note, number, percent, section, table

Found = Mapping[str, Any]
TITLE = "Would more rows help?"


def learning_section(found: Found | None) -> Markup:
    """Log loss on validation rows and on the rows fitted on, by share of the training rows."""
    if not found:
        return Markup("")
    if "skipped" in found:
        return section(TITLE, note(f"Not told: {found['skipped']}."))
    points = [point for point in found["points"] if "skipped" not in point]
    head = ["training rows, the most recent", "log loss, validation", "interval", "base rate", "gained", "interval",
            "log loss, rows fitted on", "base rate there", "direction AUC"]  # fmt: skip
    drawn = [chart("learning", learning_figure(points))] if len(points) > 1 else []
    return section(TITLE, note(_said(found)), *drawn, table(head, [_row(point) for point in found["points"]]))


def _said(found: Found) -> str:
    rounds = (
        "" if found["rounds"] is None
        else f" Every fit takes the {found['rounds']:,} boosting rounds that all rows chose, and stops nowhere early."
    )  # fmt: skip
    stored = (
        "The last fit predicts what the stored model does, to the bit."
        if found["whole_is_stored"]
        else "The last fit is NOT the stored model: other code, packages or another machine made that one."
    )
    return (
        f"The model with its own settings, fitted on the most recent of its {found['of']:,} training rows and scored "
        f"on {found['rows']:,} validation rows: no test row is read for it.{rounds} The base rate of a fit is that of "
        "its own training rows. Where the loss on rows fitted on lies far below that on validation rows, the model "
        "learns its rows by heart. Points share their rows, so they are no independent trials, and a share chosen by "
        f"them is a choice. {stored}"
    )


def _row(point: Found) -> list[Any]:
    rows = f"{point['rows']:,} ({percent(point['share'])})"
    if "skipped" in point:
        return [rows, point["skipped"], *[""] * 7]
    return [
        rows, number(point["log_loss"]), _between(point["low"], point["high"]), number(point["log_loss_base"]),
        number(point["gain"], 4, sign=True), _between(point["gain_low"], point["gain_high"]),
        number(point["training_log_loss"]), number(point["training_log_loss_base"]),
        number(point["direction_auc"], 3),
    ]  # fmt: skip


def _between(low: float | None, high: float | None) -> Markup:
    return Markup("too few days") if low is None else Markup(f"{number(low)} to {number(high)}")
