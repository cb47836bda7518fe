"""Evaluations: made again from the stored model and dataset, bit for bit; rows purged; looks counted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.audit.intervals import GROUP as INTERVALS
from foldsmith.audit.intervals import Apart, Pair, prove_pairs
from foldsmith.audit.proof import Proof, attempted, judged
from foldsmith.contracts import prediction_contract
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.registry import EVALUATIONS
from foldsmith.runs.store import Run, Workspace, read_json
from foldsmith.runs.tried import Tried
from foldsmith.stages.evaluate import _settings, evaluate, flags_of
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.join import events
from foldsmith.stages.model_store import read_model
from foldsmith.stages.models_file import revived
from foldsmith.stages.publish import Provenance
from foldsmith.stages.remake import Remade
from foldsmith.stages.tables import read_table
from foldsmith.stages.trained import parent_dataset

GROUP = "evaluations"
SMALLEST = float(np.finfo(np.float32).eps)
"""What a smaller probability counts as in a log loss."""
CLOSE = 1e-9
"""How far a log loss summed here may be from the one that is stored."""


def evaluations_of(workspace: Workspace, model: Run) -> list[Run]:
    """The evaluations that lie inside a model's run, in order of their ids."""
    folder = model.path / EVALUATIONS
    if not folder.is_dir():
        return []
    names = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    return [workspace.open_run(folder, name) for name in names]


def evaluation_proofs(workspace: Workspace, model: Run, evaluations: Sequence[Run]) -> Iterator[Proof]:
    """Of each evaluation of a model: its rows, what it computed, and the looks at held-out data."""
    for run in evaluations:
        name = f"evaluation {run.id}"
        yield attempted(INTERVALS, f"{name}: rows", partial(_prove_rows, workspace, model, run))
        yield attempted(GROUP, f"{name}: made again", partial(_prove_again, workspace, model, run))
    if evaluations:
        yield attempted(
            GROUP, f"model {model.id}: looks", partial(_prove_looks, workspace, model, evaluations)
        )


def _prove_rows(workspace: Workspace, model: Run, run: Run) -> Proof:
    """Scored rows are rows of the dataset's labels in their segment, and no training row meets them."""
    dataset = parent_dataset(workspace, model)
    horizon, split = int(model.manifest.extra["horizon"]), str(run.manifest.parameters["split"])
    window = revived(workspace, read_model(model, "model")).window
    table = load_horizons(dataset, (horizon,), _settings(model), window=window)[horizon]
    stored = events(_predictions(run))
    training, held = (table.data.take(table.segments.named()[name]) for name in ("training", split))
    known = set(zip(held.t0.tolist(), held.t1.tolist(), held.y.tolist(), strict=True))
    rows = list(zip(stored.t0.tolist(), stored.t1.tolist(), stored.y.tolist(), strict=True))
    strangers = sum(row not in known for row in rows)
    problems = [f"{strangers} scored rows are no {split} rows of the dataset"] if strangers else []
    n = len(training)
    numbers = np.arange(n + len(stored), dtype=np.int64)
    t0, t1 = np.r_[training.t0, stored.t0], np.r_[training.t1, stored.t1]
    pair = Pair(f"training against {split}", t0, t1, numbers[:n], numbers[n:])
    separation = table.separation
    apart = Apart(separation.embargo, separation.purge, separation.bars)
    return prove_pairs(f"evaluation {run.id}: rows", [pair], apart, problems)


def _prove_again(workspace: Workspace, model: Run, run: Run) -> Proof:
    """Predictions, metrics and trades made again have the stored bytes; the log loss is summed by another road."""
    split = str(run.manifest.parameters["split"])
    with tempfile.TemporaryDirectory(prefix="foldsmith-audit-") as folder:
        target = Workspace(Path(folder))
        # Its rows were looked at when it was made; nothing is learnt of them from hashes that agree.
        known, counted = run.manifest.parameters, run.manifest.extra.get("tried")
        now = evaluate(
            workspace, model.id, split, Provenance(("audit",), Ledger(target.ledger)), _quiet,
            folder=model.path.parent, output=target.runs / model.id / EVALUATIONS, code=workspace,
            **flags_of(known), counted=None if counted is None else Tried.from_dict(counted),
        ).run  # fmt: skip
        problems = [
            f"{name}, made again, is not what is stored; was it made by other code or packages? See: "
            f"foldsmith runs explain {run.id}"
            for name in Remade(run.manifest, now.manifest).differing()
        ]
    metrics, table = read_json(run.path / "metrics.json"), _predictions(run)
    told, y, P = metrics["log_loss"], table["y_true"].to_numpy(), _probabilities(table)
    if abs(log_loss(y, P) - told) > CLOSE:
        problems.append(
            f"the stored predictions have a log loss of {log_loss(y, P)!r}, metrics.json says {told!r}"
        )
    other = P.copy()
    other[0] = other[0][::-1] if other[0, 0] != other[0, 2] else other[0] / 2
    turned = y.copy()
    turned[0] = -1 if y[0] != -1 else 1
    seen = max(abs(log_loss(turned, P) - told), abs(log_loss(y, other) - told)) > CLOSE
    files = len(run.manifest.files)
    return judged(
        GROUP,
        f"evaluation {run.id}: made again",
        problems=problems,
        unseen=[] if seen else ["another label of one row would not be seen in the log loss"],
        did=f"predictions of {len(y):,} rows, metrics and trades made again are those stored, and the log loss adds up",
        counts={"rows": len(y), "files": files},
        planted="another label of one row: seen" if seen else "",
    )


def _prove_looks(workspace: Workspace, model: Run, evaluations: Sequence[Run]) -> Proof:
    """Each evaluation has its look in the ledger; a split has at least as many as there are evaluations of it."""
    ledger = Ledger(workspace.ledger)
    content, fingerprint = model.manifest.content, parent_dataset(workspace, model).manifest.content
    problems, unseen = [], []
    for split in sorted({str(run.manifest.parameters["split"]) for run in evaluations}):
        mine = [run for run in evaluations if run.manifest.parameters["split"] == split]
        looks = len(ledger.looks(fingerprint=fingerprint, content=content, split=split))
        every = len(ledger.looks(fingerprint=fingerprint, split=split))
        problems += look_problems(split, mine, looks, every)
        if not look_problems(split, mine, len(mine) - 1, every):
            unseen.append(f"a look at {split} that is missing would not be seen")
    total = len(ledger.looks(fingerprint=fingerprint, content=content))
    return judged(
        GROUP, f"model {model.id}: looks", problems=problems, unseen=unseen,
        did=f"{len(evaluations)} evaluations of the model have their looks among its {total} in the ledger",
        counts={"evaluations": len(evaluations), "looks": total}, planted="" if unseen else "a look left out: seen",
    )  # fmt: skip


def look_problems(split: str, evaluations: Sequence[Run], looks: int, every: int) -> list[str]:
    """What is wrong with the number of looks at a split, by this model and by every run of the dataset."""
    found = []
    if looks < len(evaluations):
        found.append(f"there are {len(evaluations)} evaluations on {split}, and {looks} looks in the ledger")
    late = [run.id for run in evaluations if int(run.manifest.extra["look"]) > every]
    if late:
        found.append(f"evaluation {late[0]} counts more looks at {split} than the ledger has")
    return found


def log_loss(y: npt.NDArray[Any], P: npt.NDArray[np.float64]) -> float:
    """Mean of -ln P[y], rows of equal weight, one row at a time."""
    return sum(
        -float(np.log(max(row[int(label) + 1], SMALLEST))) for label, row in zip(y, P, strict=True)
    ) / len(y)


def _predictions(run: Run) -> pl.DataFrame:
    run.verify(["predictions.parquet", "metrics.json"])
    return read_table(run.path / "predictions.parquet", prediction_contract())


def _probabilities(table: pl.DataFrame) -> npt.NDArray[np.float64]:
    return table.select("prob_short", "prob_neutral", "prob_long").to_numpy().astype(np.float64)


def _quiet(_: str) -> None:
    """Say nothing."""
