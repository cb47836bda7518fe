"""A trained model as an ONNX file, written only after it has said what the model says."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError, SettingError, TakenError
from foldsmith.models.onnx_graph import INPUT, OUTPUT
from foldsmith.models.stored import unreadable
from foldsmith.runs.files import write_whole
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages.evaluate import _settings
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.joined_model import read_join
from foldsmith.stages.model_store import RECIPE, StoredModel, read_model, revive
from foldsmith.stages.onnx_model import onnx_bytes
from foldsmith.stages.recipe import Recipe
from foldsmith.stages.trained import parent_dataset
from foldsmith.validation.cross_validate import Probabilities

CHECKED = 5000
"""Rows at most on which a graph and its model are compared."""
TOLERANCE = 1e-5
"""Largest difference of a probability; float32 sums of trees differ by about 1e-6."""
ENDING = ".onnx"


@dataclass(frozen=True)
class Exported:
    """What was written: bytes, rows compared, the largest difference there, and features."""

    size: int
    rows: int
    difference: float
    features: int


def check_output(output: Path) -> None:
    """SettingError for a file that could not be written at the end, TakenError for one that exists."""
    if output.suffix != ENDING:
        raise SettingError(f"--output {output} is no ONNX file; give a name that ends with {ENDING}.")
    if os.path.lexists(output):
        raise TakenError(f"{output} exists and was left untouched; choose another --output.")
    if not output.absolute().parent.is_dir():
        raise SettingError(f"--output {output}: the folder {output.parent} is not there; make it first.")


def export_onnx(workspace: Workspace, model: Run, output: Path) -> Exported:
    """Write a model, whose hashes were checked, as one graph: float32 `features` (n, p) in, `probabilities` (n, 3) out.

    Graph and model are compared on rows of training and validation, at most `CHECKED`, evenly taken; the test rows are
    not looked at. The metadata say what it is: features and classes in order, run, content hash, symbol, horizon.

    Raises SettingError for a model that has no ONNX form, DataError where graph and model differ by more than
    `TOLERANCE`: nothing is written then. TakenError for a file that exists.
    """
    check_output(output)
    if read_join(model) is not None:
        raise SettingError(
            f"run {model.id} joins several datasets, and one row of features cannot hold them; export a run on one."
        )
    stored = read_model(model, "model")
    _refuse_own(stored)
    predictor = revive(stored)
    recipe = Recipe.read(model.path / "model" / RECIPE)
    names, horizon = predictor.needed(recipe.features), int(model.manifest.extra["horizon"])
    facts = {
        "features": json.dumps(list(names)),
        "classes": json.dumps(list(CLASSES)),
        "run_id": model.id,
        "content": model.manifest.content,
        "symbol": recipe.symbol,
        "timeframe": recipe.timeframe,
        "horizon": str(horizon),
    }
    content = onnx_bytes(predictor, names, facts)

    table = load_horizons(parent_dataset(workspace, model), (horizon,), _settings(model))[horizon]
    segments = table.segments.named()
    rows = np.concatenate([segments["training"], segments["validation"]])
    taken = rows[np.linspace(0, len(rows) - 1, min(CHECKED, len(rows))).astype(np.int64)]
    X = np.ascontiguousarray(table.data.take(taken).select(names).X)
    difference = float(np.abs(_answers(content, X) - predictor.predict_proba(X, names)).max())
    # Not `difference > TOLERANCE`, which lets NaN pass.
    if not difference <= TOLERANCE:
        raise DataError(
            f"the graph differs from the model of run {model.id} by {difference:.2g} in {len(taken):,} rows, and "
            f"at most {TOLERANCE:g} is let pass; nothing was written. Use `foldsmith serve`."
        )
    check_output(output)
    write_whole(output, content)
    return Exported(len(content), len(taken), difference, len(names))


def _refuse_own(stored: StoredModel) -> None:
    """SettingError for models that a user wrote, before any code of theirs is run."""
    for part in (stored, *stored.bases.values()):
        if part.own is not None:
            raise SettingError(
                f"model {part.name} is of your own making, and what its code does cannot be written as a graph."
            )


def _answers(content: bytes, X: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Probabilities:
    """What onnxruntime makes of a graph; DataError if it cannot run it."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
        return np.asarray(session.run([OUTPUT], {INPUT: X})[0])
    except Exception as error:  # onnxruntime's errors have no common base
        raise unreadable("the graph", "ONNX", error) from error
