"""Two runs side by side: what they were made with and from, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foldsmith.errors import SettingError
from foldsmith.runs.manifest import Manifest
from foldsmith.runs.store import Run, read_json

SCORES = (
    "log_loss",
    "log_loss_base",
    "brier",
    "auc",
    "direction_auc",
    "direction_log_loss",
    "balanced_accuracy",
    "mcc",
)
TRADING = ("trades", "gross", "gross_t", "net", "sharpe_annual", "max_drawdown")


def compare_runs(first: Run, second: Run) -> dict[str, Any]:
    """What differs between two runs of a kind, each as [of the first, of the second]; null where one lacks it.

    Scores are shown whether they differ or not. Raises SettingError for runs of two kinds.
    """
    one, two = first.manifest, second.manifest
    if one.kind != two.kind:
        raise SettingError(f"{one.id} is a {one.kind} run and {two.id} a {two.kind} run; name two of a kind.")
    return {
        "runs": [_brief(one), _brief(two)],
        "same_content": one.content == two.content,
        "parameters": _differing(_parameters(one), _parameters(two)),
        "parents": _differing(_parents(one), _parents(two)),
        "code": _differing(one.code.model_dump(), two.code.model_dump()),
        "packages": _differing(one.packages, two.packages),
        "machine": _differing(_machine(one), _machine(two)),
        "files": _differing(one.files, two.files),
        "scores": _beside(scores_of(first), scores_of(second)),
    }


def scores_of(run: Run) -> dict[str, float | None]:
    """Key scores of a run by name, read from a file whose hash is checked; empty for one that has no such file."""
    name = {"cv": "cv_results.json", "dataset": "findings.json"}.get(run.manifest.kind, "metrics.json")
    if name not in run.manifest.files:
        return {}
    run.verify([name])
    found = read_json(run.path / name)
    if run.manifest.kind == "dataset":
        return {f"labels h{label}": value for label, value in flattened(found["labels"]).items()}
    if run.manifest.kind == "cv":
        scores: dict[str, float | None] = {}
        for horizon, results in found["horizons"].items():
            for model, parts in results["models"].items():
                for part, shown in (("oof", "out of fold"), ("validation", "validation")):
                    scores |= _named(f"{model} h{horizon} {shown}", parts[part], SCORES)
        return scores
    if run.manifest.kind == "evaluation":
        split = str(run.manifest.parameters.get("split"))
        return _named(split, found, SCORES) | _named(f"{split} trading", found["backtest"], TRADING)
    scores = _named("validation", found["validation"], SCORES)
    if "meta_out_of_fold" in found:
        scores |= _named("meta-level out of fold", found["meta_out_of_fold"], SCORES)
    return scores


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots.

    >>> flattened({"seed": 1, "validation": {"tune": False}})
    {'seed': 1, 'validation.tune': False}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flattened(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _brief(manifest: Manifest) -> dict[str, Any]:
    return {
        "id": manifest.id,
        "kind": manifest.kind,
        "content": manifest.content,
        "created": manifest.created.isoformat(),
        "wall_seconds": manifest.wall_seconds,
    }


def _parameters(manifest: Manifest) -> dict[str, Any]:
    extra = {name: value for name, value in manifest.extra.items() if name not in manifest.parameters}
    return flattened(manifest.parameters) | flattened(extra)


def _parents(manifest: Manifest) -> dict[str, str]:
    return {f"{parent.kind} {parent.id}": parent.content for parent in manifest.parents}


def _machine(manifest: Manifest) -> dict[str, str]:
    return {"python": manifest.python, "platform": manifest.platform}


def _named(where: str, scores: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, float | None]:
    return {f"{where}: {name}": scores[name] for name in names if name in scores}


def _beside(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: [one.get(name), two.get(name)] for name in dict.fromkeys([*one, *two])}


def _differing(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: pair for name, pair in _beside(one, two).items() if pair[0] != pair[1]}
