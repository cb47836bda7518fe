"""The command that makes a run again: from what its manifest says, whatever was typed at the time.

What was typed may not make the same today: the newest dataset is another, a file of --config was edited, or the words
were `--resume`. So every flag is spelled out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foldsmith.cli.feature_choice import spelled

if TYPE_CHECKING:
    from foldsmith.runs.manifest import Manifest
    from foldsmith.runs.store import Workspace

TYPED = {"pipeline": ["./pipeline"], "run_cv.py": ["python", "scripts/run_cv.py"],
         "train_model.py": ["python", "scripts/train_model.py"],
         "evaluate_model.py": ["python", "scripts/evaluate_model.py"]}  # fmt: skip
"""How the programs of a manifest's command are called."""


def typed(manifest: Manifest) -> list[str]:
    """The words that were typed to make a run."""
    program, *words = manifest.command or [""]
    return [*TYPED.get(program, [program]), *words]


def again(manifest: Manifest, folders: dict[str, Path], workspace: Workspace) -> list[str] | None:
    """The words to type to make a run again, in its workspace; None where its manifest does not say enough.

    `folders` are those that the run and its parents lie in, by kind; another one than the usual is named.
    """
    made_by = {"dataset": _dataset, "cv": _cv, "model": _model, "evaluation": _evaluation}[manifest.kind]
    try:
        words = made_by(manifest, folders, workspace)
    except (KeyError, TypeError, ValueError):
        return None
    if workspace.root != Path():
        words += ["--workspace", str(workspace.root)]
    return words


def config(manifest: Manifest) -> str | None:
    """The hyperparameters that a base model was given by a file of --config, as that file has them."""
    params = manifest.parameters.get("params")
    if manifest.kind != "model" or not params:
        return None
    return "[params]\n" + "".join(f"{name} = {_toml(value)}\n" for name, value in params.items())


def _toml(value: Any) -> str:
    # TOML spells plain values as JSON does.
    return json.dumps(value)


def _flags(values: dict[str, Any]) -> list[str]:
    words: list[str] = []
    for name, value in values.items():
        if value is None or value is False or value == {}:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if isinstance(value, dict):
            words.append(",".join(f"{key}={inner}" for key, inner in value.items()))
        elif isinstance(value, list | tuple):
            words.append(",".join(map(str, value)))
        elif value is not True:
            words.append(str(value))
    return words


def _dataset(manifest: Manifest, *_: Any) -> list[str]:
    known = dict(manifest.parameters)
    ratios = dict(zip(("train_ratio", "val_ratio", "test_ratio"), known.pop("ratios"), strict=True))
    return ["./pipeline", "run", *_flags({"symbols": known.pop("symbol"), **known, **ratios})]


SOMETIMES = ("time_decay", "tune_splits", "prune", "class_weight", "calibrate", "predict_with", "select")
"""Settings of validation that a manifest states where they are not the default."""


def _validation(known: dict[str, Any], *without: str) -> dict[str, Any]:
    names = ("n_splits", "purge_bars", "embargo_bars", "tune", "n_trials", "sample_weight", "seed")
    unused = () if known["tune"] else ("n_trials",)
    found = {name: known[name] for name in names if name not in (*without, *unused)}
    return found | {name: known[name] for name in SOMETIMES if name in known}


def _parent(manifest: Manifest, kind: str) -> str | None:
    return next((parent.id for parent in manifest.parents if parent.kind == kind), None)


def _elsewhere(folders: dict[str, Path], kind: str, usual: Path) -> Path | None:
    folder = folders.get(kind, usual)
    return None if folder == usual else folder


def _cv(manifest: Manifest, folders: dict[str, Path], workspace: Workspace) -> list[str]:
    known = manifest.parameters
    return ["python", "scripts/run_cv.py", *_flags({
        "models": known["models"],
        "horizons": known["horizons"],
        "dataset": _parent(manifest, "dataset"),
        "features": spelled(known.get("features", {}), known["models"]),
        **_validation(known["validation"]),
        "paths": known.get("paths"),
        "output_dir": _elsewhere(folders, "cv", workspace.stacking),
    })]  # fmt: skip


def _model(manifest: Manifest, folders: dict[str, Path], workspace: Workspace) -> list[str]:
    known = manifest.parameters
    flags: dict[str, Any] = {"model": known["model"], "horizon": known["horizon"]}
    flags["meta_learner"] = known.get("meta_learner")
    cv = _parent(manifest, "cv")
    if cv is not None:
        flags |= {"stacking_data": cv, "phase3_output": _elsewhere(folders, "cv", workspace.stacking)}
    elif "base_models" in known:
        flags |= {"base_models": known["base_models"], "dataset": _parent(manifest, "dataset")}
        flags["features"] = spelled(known.get("features", {}), known["base_models"])
        flags |= _validation(known)
    else:
        name, seen = known["model"], known.get("features")
        flags |= {"config": "PARAMS.toml" if known.get("params") else None}
        flags["features"] = spelled({name: seen} if seen else {}, [name])
        flags |= {"dataset": _parent(manifest, "dataset")} | _validation(known, "n_splits", "embargo_bars")
    flags["output_dir"] = _elsewhere(folders, "model", workspace.runs)
    return ["python", "scripts/train_model.py", *_flags(flags)]


def _evaluation(manifest: Manifest, folders: dict[str, Path], workspace: Workspace) -> list[str]:
    model = _parent(manifest, "model")
    runs_dir = _elsewhere(folders, "model", workspace.runs)
    known = manifest.parameters
    flags = {"run_id": model, "split": known["split"], **known, "runs_dir": runs_dir}
    return ["python", "scripts/evaluate_model.py", *_flags(flags)]
