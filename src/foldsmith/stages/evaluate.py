"""Phase 5: score one trained model on a held-out segment, trade it, and write the report.

Every opening of a segment is entered in the ledger before its rows are read: a look cannot be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldsmith.config import ValidationSettings, stated
from foldsmith.contracts import prediction_contract
from foldsmith.dataset import Dataset
from foldsmith.errors import DataError
from foldsmith.evaluation.backtest import Backtest
from foldsmith.evaluation.backtest_interval import backtest_interval
from foldsmith.evaluation.recovery import recovered_share
from foldsmith.evaluation.trading_rule import DEFAULT_RULE, TradingRule
from foldsmith.runs.audits import audits, stands
from foldsmith.runs.ledger import LookCount
from foldsmith.runs.source import source_hash
from foldsmith.runs.store import Run, Workspace, read_json, write_json
from foldsmith.runs.tried import Tried, tried
from foldsmith.stages.attribution import attributed, sensitivity
from foldsmith.stages.evaluation_drift import drifted
from foldsmith.stages.evaluation_report import Found, report
from foldsmith.stages.horizon import HorizonTable, load_horizons
from foldsmith.stages.importance import DEFAULT, importance
from foldsmith.stages.joined_model import read_join, scored_rows
from foldsmith.stages.learning_curve import learning_curve
from foldsmith.stages.model_store import Predictor, read_model
from foldsmith.stages.models_file import revived
from foldsmith.stages.oof_profits import out_of_fold_profits
from foldsmith.stages.path_profits import model_paths
from foldsmith.stages.publish import Building, Provenance, publishing, run_parent
from foldsmith.stages.scores import scored
from foldsmith.stages.significance import compared, significance, verdict
from foldsmith.stages.simulated import label_counts
from foldsmith.stages.tables import write_table
from foldsmith.stages.trading import trade
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
    rule: TradingRule = DEFAULT_RULE,
    snooping: bool = False,
    importances: str = DEFAULT,
    curve: bool = False,
    threads: int = 1,
    counted: Tried | None = None,
) -> Evaluated:
    """Open `split`, score, trade, judge, report, and publish in `output`, unless given the model's own `evaluations/`.

    code : the workspace that names the models that the user wrote; this one unless given. snooping : run the tests of
    `evaluation.snooping` too. importances : how the model's features are weighed, one of
    `stages.importance.METHODS`. curve : fit the model again on shares of its training rows, with so many threads, and
    score them on validation rows: `stages.learning_curve`. counted : what had been tried when an evaluation was first
    made, for making it again; the ledger says it otherwise.
    """
    model = open_model(workspace, run_id, folder)
    dataset = parent_dataset(workspace, model)
    code = workspace if code is None else code
    stored = read_model(model, "model")
    predictor = revived(code, stored)
    horizon, settings = int(model.manifest.extra["horizon"]), _settings(model)
    opened = {"content": model.manifest.content, "split": split, "rule": rule.name}
    fingerprint = dataset.manifest.content
    looks = provenance.ledger.record_look(run_id=model.id, fingerprint=fingerprint, horizon=horizon, **opened)
    if counted is None:
        raw = [parent.content for parent in dataset.manifest.parents]
        counted = tried(provenance.ledger, raw=raw, dataset=fingerprint, **opened)
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
        traded = trade(dataset, table, rows, P, rule)
        traded.summary["interval"] = _interval(traded, settings.seed)
        metrics["backtest"] = traded.summary
        metrics["recovery"] = _recovery(table, metrics)
        metrics["attribution"] = attributed(dataset, table, rows, P, metrics["base_rate"], traded)
        joined = read_join(model) is not None
        metrics["importance"] = importance(predictor, table, importances, joined=joined, seed=settings.seed)
        if curve:
            metrics["learning_curve"] = learning_curve(
                code, stored, predictor, table, settings, say, threads=threads
            )
        metrics["drift"] = drifted(model, predictor, table, split, held, P)
        metrics["sensitivity"] = sensitivity(dataset, table, rows, P, traded)
        profits = out_of_fold_profits(workspace, model, dataset, table)
        metrics["significance"] = significance(
            traded,
            counted,
            profits,
            model_paths(workspace, model, dataset, table),
            seed=settings.seed,
            snooping=snooping,
        )
        names = () if predictor.ensemble is None else tuple(predictor.bases)
        metrics["significance"]["diebold_mariano"] = compared(held, P, base, names)
        metrics["verdict"] = verdict(metrics, traded, table, metrics["significance"]).as_dict()
        _write(run, held, P, metrics, traded)
        audited = stands(audits(provenance.ledger), model.manifest, source_hash)["said"]
        found = Found(model, dataset, table, split, held, P, metrics, traded, looks, counted, audited)
        (run.path / "report.html").write_text(report(found), encoding="utf-8")
        published = run.publish(
            parameters={"split": split, **rule.as_dict(), **_stated(snooping, importances, curve)},
            parents=[run_parent(model), run_parent(dataset)],
            seed=settings.seed,
            extra={
                "symbol": table.recipe.symbol,
                "horizon": horizon,
                "look": looks.of_dataset,
                "tried": counted.as_dict(),
            },
        )
    return Evaluated(published, metrics, looks)


def _stated(snooping: bool, importances: str, curve: bool) -> dict[str, Any]:
    """Flags of an evaluation as its manifest has them: those that are not the default."""
    told: dict[str, Any] = {"snooping": True} if snooping else {}
    told |= {"learning_curve": True} if curve else {}
    return told | ({} if importances == DEFAULT else {"importance": importances})


def flags_of(known: Mapping[str, Any]) -> dict[str, Any]:
    """Flags that `evaluate` was given, as keywords, from the manifest's parameters: the inverse of what it states."""
    return {
        "rule": TradingRule.from_dict(known),
        "snooping": bool(known.get("snooping", False)),
        "importances": str(known.get("importance", DEFAULT)),
        "curve": bool(known.get("learning_curve", False)),
    }


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


def _interval(traded: Backtest, seed: int) -> dict[str, Any]:
    return backtest_interval(
        traded.daily, seed=seed, periods_per_year=int(traded.summary["periods_per_year"])
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
