"""What phase 1 found and kept in findings.json, checked before a report shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foldsmith.errors import DataError
from foldsmith.report.feature_findings import are_feature_findings
from foldsmith.runs.store import Run, read_json


def label_findings(dataset: Run, horizon: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What phase 1 found in the bars and the features, and how many labels of a horizon it made and dropped."""
    found = read_json(dataset.path / "findings.json")
    try:
        cleaning, labelling = (
            {key: found[key] for key in ("cleaning", "blocks")},
            found["labels"][str(horizon)],
        )
    except (KeyError, TypeError) as error:
        raise DataError(
            f"findings.json of dataset {dataset.id} is not what phase 1 writes ({error!r:.60}); make it again."
        ) from error
    features = found.get("features")  # none in a dataset of an older version
    told = features is None or are_feature_findings(features)
    if not (told and _are_findings(cleaning) and isinstance(labelling, dict)):
        raise DataError(f"findings.json of dataset {dataset.id} is not what phase 1 writes; make it again.")
    return {**cleaning, "features": features}, labelling


def _are_findings(found: Mapping[str, Any]) -> bool:
    """Whether a report can show this as what cleaning and marking found."""
    if not all(isinstance(part, dict) for part in found.values()):
        return False
    rules = [rule for rule in found["cleaning"].values() if isinstance(rule, dict)]
    blocks = [found["blocks"].get(key, {"count": 0}) for key in ("rolls", "holes")]
    return all(
        isinstance(rule.get("count"), int)
        and isinstance(rule.get("action"), str)
        and _are_records(rule, "examples")
        for rule in rules
    ) and all(
        isinstance(block, dict)
        and isinstance(block.get("count"), int)
        and isinstance(block.get("at", []), list)
        for block in blocks
    )


def _are_records(rule: Mapping[str, Any], name: str) -> bool:
    found = rule.get(name)
    return isinstance(found, list) and all(isinstance(item, dict) for item in found)
