"""The report of an evaluation, from what the stage has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from foldsmith.dataset import Dataset
from foldsmith.evaluation.backtest import Backtest
from foldsmith.evaluation.calibration import reliability
from foldsmith.intervals import Instants
from foldsmith.labels.scheme import TRIPLE_BARRIER
from foldsmith.runs.ledger import LookCount
from foldsmith.runs.store import Run
from foldsmith.runs.tried import Tried
from foldsmith.stages.findings import label_findings
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.joined import coverage_lines
from foldsmith.stages.recipe import Recipe
from foldsmith.validation.cross_validate import Probabilities


@dataclass(frozen=True)
class Found:
    """Everything an evaluation has found, for those who tell of it.

    held : the scored rows; P : their probabilities; metrics : what metrics.json holds, and `trained`, the model's own;
    audited : how the model stands with audits, in a sentence.
    """

    model: Run
    dataset: Run
    table: HorizonTable
    split: str
    held: Dataset
    P: Probabilities
    metrics: dict[str, Any]
    traded: Backtest
    looks: LookCount
    tried: Tried
    audited: str


def report(found: Found) -> str:
    """The text of report.html."""
    from foldsmith.report.html import render

    recipe, metrics, held = found.table.recipe, found.metrics, found.held
    found.dataset.verify(["findings.json"])
    cleaning, labelling = label_findings(found.dataset, found.table.horizon)
    name = str(found.model.manifest.extra["model"])
    return render(
        f"{recipe.symbol}: {name}, horizon {found.table.horizon}, {found.split}",
        facts={
            "symbol": recipe.symbol,
            "model": name,
            "horizon": f"{found.table.horizon} bars of {recipe.timeframe}",
            "split": found.split,
            "rows": len(held),
            "from": _day(held.t0[0]),
            "to": _day(held.t1.max()),
        },
        metrics=metrics,
        intervals=metrics["interval"],
        calibration=reliability(held.y, found.P, held.weight),
        backtest=found.traded,
        currency=recipe.instrument.currency,
        split=found.split,
        looks={"this run": found.looks.of_run, "these raw bars": found.tried.looks},
        members=metrics["members"] or None,
        statements=_statements(metrics["trained"], found.split),
        recovery=metrics["recovery"],
        findings=cleaning,
        labels=labelling | _labels(found),
        provenance=_provenance(found),
        judged=metrics["verdict"],
        significance=metrics["significance"],
        attribution=metrics["attribution"],
        sensitivity=metrics["sensitivity"],
        importance=metrics["importance"],
        learning=metrics.get("learning_curve"),
        drift=metrics["drift"],
        separation=_separation(metrics["trained"], found),
    )


def _labels(found: Found) -> dict[str, Any]:
    """How the labels were made, and what segments cost."""
    table = found.table
    return {
        **_labelling(table.recipe, table.horizon),
        "purged or embargoed between segments": len(table.data)
        - sum(len(rows) for rows in table.segments.named().values()),
    }


def _separation(trained: Mapping[str, Any], found: Found) -> dict[str, Any]:
    """How rows were kept apart; models made before certificates were kept have none."""
    return {
        "certificates": trained.get("certificates", {}),
        "coverage": list(coverage_lines(trained["coverage"])) if "coverage" in trained else [],
        # True of the moment at which the page was made: a page is no content, and is not made anew by an audit.
        "audit": f"When this page was made, the model was: {found.audited}. To prove all of this again from the stored "
        f"files: foldsmith audit --run {found.model.id}; how it stands now: foldsmith runs show {found.model.id}.",
    }


def _provenance(found: Found) -> dict[str, Any]:
    model, dataset = found.model.manifest, found.dataset.manifest
    others = [parent for parent in model.parents if parent.kind != "dataset"]
    return {
        "run": {"id": found.model.id, "content": model.content},
        "dataset": {"id": found.dataset.id, "content": dataset.content},
        **{
            f"parent {parent.kind}" + (f" {number}" if number > 1 else ""): {
                "id": parent.id,
                "content": parent.content,
            }
            for number, parent in enumerate(others, 1)
        },
        **{f"raw {parent.id}": parent.content for parent in dataset.parents},
        "seed": model.seed,
        "code": {"version": model.code.version, "source": model.code.source},
        "packages": model.packages,
    }


def _labelling(recipe: Recipe, horizon: int) -> dict[str, Any]:
    """How the labels were made, as far as it is not the default."""
    made, scheme = recipe.horizons[horizon], recipe.labelling
    told: dict[str, Any] = {} if scheme.name == TRIPLE_BARRIER else {"kind": scheme.name}
    if made.threshold is not None:
        return told | {"trend": {"size of t above": made.threshold, "shortest": scheme.trend_min_bars}}
    if scheme.barrier_volatility != "close":
        told["volatility of barriers"] = scheme.barrier_volatility
    if scheme.min_barrier_cost:
        told["least barrier in round-trip costs"] = scheme.min_barrier_cost
    return told | {"barriers": {"up": made.barriers.up, "down": made.barriers.down}}


def _statements(trained: Mapping[str, Any], split: str) -> list[str]:
    """What a reader must know: how the levels compare, and what each score is clean of."""
    said = []
    if "meta_out_of_fold" in trained:
        inner, outer = trained["meta_out_of_fold"]["log_loss"], trained["validation"]["log_loss"]
        said.append(
            f"Log loss of the ensemble on purged folds of the out-of-fold table: {inner:.4f}; on validation: "
            f"{outer:.4f}."
        )
        said.append(trained["statement"])
    else:
        said.append(f"Log loss on validation: {trained['validation']['log_loss']:.4f}.")
    if split == "validation":
        said.append(
            "These are validation rows: scored, never fitted on; choices made by them are choices all the same."
        )
    return said


def _day(instant: Instants | int) -> str:
    return f"{datetime.fromtimestamp(int(instant) / 1e6, UTC):%Y-%m-%d}"
