"""What a dataset's findings say of its features on training rows, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foldsmith.report.markup import Markup, note, number, percent, table

COLUMNS = ("mean", "sd", "autocorrelation", "shift")
DRIFTS = 0.5
"""A mean that moved by more of its sd between the halves of the training rows is told."""


def feature_tables(found: Mapping[str, Any] | None) -> Markup:
    """Each feature's numbers, those whose mean moved, and the pairs that say the same; nothing for no findings.

    found : what `features.summary.summarise` returns.
    """
    if not found:
        return Markup("")
    rows = [
        (name, percent(each["missing"]), *(number(each[key]) for key in COLUMNS))
        for name, each in found["each"].items()
    ]
    head = ["feature", "missing", "mean", "sd", "autocorrelation at lag 1", "shift of the mean, sd"]
    moved = [name for name, each in found["each"].items() if each["shift"] and abs(each["shift"]) > DRIFTS]
    parts: list[str] = [table(head, rows, f"On {found['rows']:,} training rows")]
    if moved:
        parts.append(
            note(
                f"Mean moved by more than {DRIFTS} sd from the first half to the second: {', '.join(moved)}."
            )
        )
    same = found["redundant"]
    if same["count"]:
        shown = f"{same['count']:,} pairs with |correlation| > 0.95 on {same['rows']:,} rows"
        more = f", the first {len(same['pairs'])}" if same["count"] > len(same["pairs"]) else ""
        listed = [(pair["one"], pair["other"], number(pair["correlation"])) for pair in same["pairs"]]
        parts.append(table(["feature", "feature", "correlation"], listed, shown + more))
    return Markup("".join(parts))


def are_feature_findings(found: Any) -> bool:
    """Whether `feature_tables` can show this: what was read from a file may be anything."""

    def numeric(value: Any) -> bool:
        return value is None or (isinstance(value, int | float) and not isinstance(value, bool))

    if not (isinstance(found, dict) and isinstance(found.get("rows"), int)):
        return False
    each, same = found.get("each"), found.get("redundant")
    if not (isinstance(each, dict) and isinstance(same, dict) and isinstance(same.get("pairs"), list)):
        return False
    numbers = (*COLUMNS, "missing")
    return (
        all(
            isinstance(entry, dict) and all(key in entry and numeric(entry[key]) for key in numbers)
            for entry in each.values()
        )
        and all(isinstance(same.get(key), int) for key in ("count", "rows"))
        and all(
            isinstance(pair, dict) and {"one", "other"} <= set(pair) and numeric(pair.get("correlation"))
            for pair in same["pairs"]
        )
    )
