"""`export`: the ONNX file of a trained model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.workflow.conftest import Desk
from tests.workflow.test_flags import covers

from foldsmith.stages import export as stage
from foldsmith.stages.evaluate import open_model
from foldsmith.stages.model_store import read_model, revive


def _onnx() -> None:
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name, reason=f"needs the extra `onnx`: {name} is not installed")


@covers("export", "--run-id", "--output", "--runs-dir", "--workspace")
def test_an_exported_ensemble_says_what_the_model_says(tiny: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _onnx()
    import onnx
    import onnxruntime

    words = ["--horizon", 5, "--stacking-data", "base", "--meta-learner", "logistic"]
    run_id = tiny.train("--model", "stacking", *words).id
    output = tiny.path / "model.onnx"
    flags = ["--runs-dir", tiny.path / "experiments" / "runs", "--workspace", tiny.path]
    call = ["export", "--run-id", run_id, *flags, "--output"]
    # A graph that said something else would not be written.
    with monkeypatch.context() as other:
        other.setattr(stage, "_answers", lambda content, X: np.full((len(X), 3), 1 / 3))
        assert "nothing was written" in tiny.denied(*call, output)
    assert "differ by at most" in tiny.call(*call, output).stdout
    told = {entry.key: entry.value for entry in onnx.load(output).metadata_props}
    assert (told["run_id"], told["symbol"], told["horizon"]) == (run_id, "MES", "5")
    assert json.loads(told["classes"]) == [-1, 0, 1]
    model = open_model(tiny.workspace, run_id, tiny.workspace.runs)
    assert told["content"] == model.manifest.content
    names = json.loads(told["features"])
    X = np.random.default_rng(1).normal(size=(200, len(names))).astype(np.float32)
    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    found = session.run(["probabilities"], {"features": X})[0]
    assert np.abs(found - revive(read_model(model, "model")).predict_proba(X, names)).max() < 1e-5
    before = output.read_bytes()
    assert "exists" in tiny.denied(*call, output)
    assert output.read_bytes() == before
    assert "ends with .onnx" in tiny.denied(*call, "model.bin")
    assert "is not there" in tiny.denied(*call, "nowhere/model.onnx")


def test_an_isotonic_calibration_is_refused_and_a_temperature_written(tiny: Desk) -> None:
    _onnx()
    words = ["--model", "logistic", "--horizon", 5, "--class-weight", "balanced", "--calibrate"]
    refused = tiny.train(*words, "isotonic").id
    assert "isotonic" in tiny.denied("export", "--run-id", refused, "--output", "isotonic.onnx")
    written = tiny.train(*words, "temperature").id
    told = tiny.call("export", "--run-id", written, "--output", "temperature.onnx").stdout
    assert "differ by at most" in told


def test_a_library_that_is_absent_is_told_in_one_sentence(
    tiny: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foldsmith.cli import export

    monkeypatch.setattr(export, "NEEDED", ("no_such_library",))
    told = tiny.denied("export", "--run-id", "any", "--output", "any.onnx")
    assert 'pip install "foldsmith[onnx]"' in told
