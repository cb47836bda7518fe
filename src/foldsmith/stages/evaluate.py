"""Phase 5: score one trained model on a held-out segment, trade it, and write the report.

Every opening of a segment is entered in the ledger before its rows are read: a look cannot be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from foldsmith.config import ValidationSettings, stated
from foldsmith.contracts import LABELS, prediction_contract
from foldsmith.dataset import Dataset
from foldsmith.errors import DataError
from foldsmith.evaluation.backtest import Backtest, backtest, most_probable_signal
from foldsmith.evaluation.calibration import reliability
from foldsmith.evaluation.recovery import recovered_share
from foldsmith.intervals import Instants, Rows
from foldsmith.labels.scheme import TRIPLE_BARRIER
from foldsmith.runs.ledger import LookCount
from foldsmith.runs.store import Run, Workspace, read_json, write_json
from foldsmith.stages.findings import label_findings
from foldsmith.stages.horizon import HorizonTable, load_horizons
from foldsmith.stages.joined_model import scored_rows
from foldsmith.stages.model_store import Predictor, read_model
from foldsmith.stages.models_file import revived
from foldsmith.stages.publish import Building, Provenance, publishing, run_parent
from foldsmith.stages.recipe import Recipe
from foldsmith.stages.scores import scored
from foldsmith.stages.simulated import label_counts
from foldsmith.stages.tables import read_table, write_table
from foldsmith.stages.trained import parent_dataset, predictions_table
from foldsmith.validation.cross_validate import Probabilities

Say = Callable[[str], None]
SPLITS = ("test", "validation")


@dataclass(frozen=True)
class Evaluated:
    """A published evaluation and what its summary needs."""

    run: Run
    metrics: dict[str, Any]
    looks: LookCount

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.run.path / "report.html"


def open_model(workspace: Workspace, run_id: str, folder: Path) -> Run:
    """Open a trained model's run and compare every file with its hash; refuses other kinds of runs."""
    run = workspace.open_run(folder, run_id)
    if run.manifest.kind != "model":
        raise DataError(f"run {run_id} in {folder} is a {run.manifest.kind} run; a trained model is needed.")
    run.verify()
    return run


def evaluate(
    workspace: Workspace,
    run_id: str,
    split: str,
    provenance: Provenance,
    say: Say,
    *,
    folder: Path,
    output: Path | None = None,
    code: Workspace | None = None,
) -> Evaluated:
    """Open `split`, score, trade, report, and publish in `output`, unless given the model's own `evaluations/`.

    code : the workspace that names the models that the user wrote; this one unless given.
    """
    model = open_model(workspace, run_id, folder)
    dataset = parent_dataset(workspace, model)
    predictor = revived(workspace if code is None else code, read_model(model, "model"))
    horizon, settings = int(model.manifest.extra["horizon"]), _settings(model)
    looks = provenance.ledger.record_look(
        run_id=model.id,
        content=model.manifest.content,
        fingerprint=dataset.manifest.content,
        split=split,
        horizon=horizon,
    )
    say(f"look {looks.of_run} of this run at its {split} rows; {looks.of_dataset} of the dataset so far")
    table = load_horizons(dataset, (horizon,), settings, window=predictor.window)[horizon]
    rows = table.segments.named()[split]
    rows, base = scored_rows(workspace, model, predictor, table.data, rows, say)
    held = table.data.take(rows)
    P = predictor.combine(base)
    say(f"scored {len(held):,} rows")
    output = model.path / "evaluations" if output is None else output
    if output.is_symlink():
        raise DataError(f"{output} is a link, and evaluations stay inside their run; put a folder there.")
    with publishing(output, "evaluation", provenance, prefix=f"{split}_") as run:
        metrics = _metrics(model, predictor, held, base, P, settings.seed)
        traded = _trade(dataset, table, rows, P)
        metrics["backtest"] = traded.summary
        metrics["recovery"] = _recovery(table, metrics)
        _write(run, held, P, metrics, traded)
        text = _report(model, dataset, table, split, held, P, metrics, traded, looks, provenance)
        (run.path / "report.html").write_text(text, encoding="utf-8")
        published = run.publish(
            parameters={"split": split},
            parents=[run_parent(model), run_parent(dataset)],
            seed=settings.seed,
            extra={"symbol": table.recipe.symbol, "horizon": horizon, "look": looks.of_dataset},
        )
    return Evaluated(published, metrics, looks)


def _settings(model: Run) -> ValidationSettings:
    """How the model's rows were kept apart: its segments are cut the same way."""
    known = model.manifest.parameters
    try:
        return ValidationSettings(**stated(ValidationSettings, known))
    except (KeyError, TypeError) as error:
        raise DataError(
            f"run {model.id} does not say how it was validated ({error}); train it again."
        ) from error


def _metrics(
    model: Run, predictor: Predictor, held: Dataset, base: Probabilities, P: Probabilities, seed: int
) -> dict[str, Any]:
    trained = read_json(model.path / "metrics.json")
    rate = trained["training_base_rate"]

    def of(probabilities: Probabilities) -> dict[str, Any]:
        return scored(held.y, probabilities, held.weight, rate, held.t0, seed=seed)

    members = {}
    if predictor.ensemble is not None:
        members = {name: of(base[:, 3 * i : 3 * i + 3]) for i, name in enumerate(predictor.bases)}
    return {**of(P), "members": members, "trained": trained}


def _trade(dataset: Run, table: HorizonTable, rows: Rows, P: Probabilities) -> Backtest:
    instrument = table.recipe.instrument
    labels = read_table(dataset.path / f"labels_h{table.horizon}.parquet", LABELS)
    wanted = pl.DataFrame({"bar": table.bar[rows]})
    labels = wanted.join(labels, on="bar", how="left", maintain_order="left")
    bars = read_table(dataset.path / "bars.parquet", columns=["close_time", "session"])
    first, last = labels["datetime"][0], labels["label_end"].max()
    inside = bars.filter(pl.col("close_time").is_between(first, last))
    return backtest(
        most_probable_signal(P),
        labels,
        sessions=inside,
        tick_size=instrument.tick_size,
        tick_value=instrument.tick_value,
        commission=instrument.commission,
        slippage_ticks=instrument.slippage_ticks,
    )


def _recovery(table: HorizonTable, metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """On a simulated market: the share of the reachable gain in log loss that was found."""
    if table.recipe.simulation is None:
        return None
    counts = label_counts(table.recipe, table.horizon)
    names = ("log_loss", "log_loss_base", "direction_log_loss", "direction_log_loss_base")
    return recovered_share(counts, **{name: metrics[name] for name in names})


def _write(run: Building, held: Dataset, P: Probabilities, metrics: dict[str, Any], traded: Backtest) -> None:
    write_json(run.path / "metrics.json", {key: value for key, value in metrics.items() if key != "trained"})
    write_table(predictions_table(held, P), run.path / "predictions.parquet", prediction_contract())
    write_table(traded.trades, run.path / "trades.parquet")
    write_table(traded.daily, run.path / "daily.parquet")


def _report(
    model: Run,
    dataset: Run,
    table: HorizonTable,
    split: str,
    held: Dataset,
    P: Probabilities,
    metrics: dict[str, Any],
    traded: Backtest,
    looks: LookCount,
    provenance: Provenance,
) -> str:
    from foldsmith.report.html import render

    recipe, trained = table.recipe, metrics["trained"]
    dataset.verify(["findings.json"])
    cleaning, labelling = label_findings(dataset, table.horizon)
    name = str(model.manifest.extra["model"])
    return render(
        f"{recipe.symbol}: {name}, horizon {table.horizon}, {split}",
        facts={
            "symbol": recipe.symbol,
            "model": name,
            "horizon": f"{table.horizon} bars of {recipe.timeframe}",
            "split": split,
            "rows": len(held),
            "from": _day(held.t0[0]),
            "to": _day(held.t1.max()),
        },
        metrics=metrics,
        intervals=metrics["interval"],
        calibration=reliability(held.y, P, held.weight),
        backtest=traded,
        currency=recipe.instrument.currency,
        split=split,
        trials=provenance.ledger.trial_count(dataset.manifest.content),
        looks={"this run": looks.of_run, "this dataset": looks.of_dataset},
        members=metrics["members"] or None,
        statements=_statements(trained, split),
        recovery=metrics["recovery"],
        findings=cleaning,
        labels={
            **labelling,
            **_labelling(recipe, table.horizon),
            "ways of labelling tried on these raw bars": sum(
                provenance.ledger.trial_count(parent.content, table.horizon)
                for parent in dataset.manifest.parents
            ),
            "purged or embargoed between segments": len(table.data)
            - sum(len(rows) for rows in table.segments.named().values()),
        },
        provenance={
            "run": {"id": model.id, "content": model.manifest.content},
            "dataset": {"id": dataset.id, "content": dataset.manifest.content},
            **{
                f"parent {parent.kind}" + (f" {number}" if number > 1 else ""): {
                    "id": parent.id,
                    "content": parent.content,
                }
                for number, parent in enumerate((p for p in model.manifest.parents if p.kind != "dataset"), 1)
            },
            **{f"raw {parent.id}": parent.content for parent in dataset.manifest.parents},
            "seed": model.manifest.seed,
            "code": {"version": model.manifest.code.version, "source": model.manifest.code.source},
            "packages": model.manifest.packages,
        },
    )


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
