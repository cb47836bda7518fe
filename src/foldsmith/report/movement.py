"""How far the rows of a report lie from those that the model was fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foldsmith.report.markup import Markup, note, number, section, table

MOST_FEATURES = 15
_HEAD = ("", "PSI", "", "KS", "p", "mean before", "mean here", "sd before")


def drift_section(found: Mapping[str, Any] | None) -> Markup:
    """The features that have moved most, and the model's own probabilities."""
    if not found:
        return Markup("")
    features = sorted(found["features"], key=lambda one: (-one["psi"], one["name"]))
    counts = {word: sum(one["verdict"] == word for one in features) for word in ("stable", "moving", "moved")}
    before, now = found["rows"]
    said = (
        f"Training rows against these, every k-th ({before:,} and {now:,}): of {len(features)} features "
        f"{counts['stable']} are stable (PSI below 0.1), {counts['moving']} moving, {counts['moved']} moved (above "
        "0.25). KS is tested for as many rows as the series is worth, its bars depending on one another. A feature may "
        "move and a model stay right: it says where the model is asked about what it has not seen."
    )
    parts: list[str] = [note(said), table(_HEAD, _rows(features[:MOST_FEATURES]), "Those that moved most.")]
    if found["predictions"]:
        parts.append(
            table(_HEAD, _rows(found["predictions"]), "Probabilities, of validation rows against these.")
        )
    return section("How far these rows have moved", *parts)


def _rows(entries: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    return [
        [one["name"].replace("_", " ") if one["name"].startswith("prob_") else one["name"], number(one["psi"], 3),
         one["verdict"], number(one["ks"], 3), number(one["p_value"], 3), number(one["mean_train"]),
         number(one["mean_other"]), number(one["sd_train"])]
        for one in entries
    ]  # fmt: skip
