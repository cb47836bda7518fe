"""What cleaning found in bars, as tables: rules that were met, rolls, and holes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foldsmith.report.markup import Markup, html, note, pairs, table

_SHOWN = 12
"""Rolls and holes that are listed; how many there are is said."""
_NUMBERS = ("open", "high", "low", "close", "volume")


def cleaning_tables(findings: Mapping[str, Any]) -> Markup:
    """Rows read and kept, every rule that was met with its examples, the rolls and the holes.

    findings : {"cleaning": `Findings.as_dict()`, "blocks": `Blocks.as_dict()`}; what else it holds is not shown.
    """
    cleaning, blocks = findings.get("cleaning", {}), findings.get("blocks", {})
    rows = {name: cleaning[name] for name in ("rows", "kept", "dropped") if name in cleaning}
    rows |= {
        name.replace("_", " "): found["count"]
        for name, found in blocks.items()
        if name not in ("rolls", "holes") and isinstance(found, Mapping) and "count" in found
    }
    rules = {name: found for name, found in cleaning.items() if isinstance(found, Mapping)}
    met = [
        (name.replace("_", " "), found["count"], found["action"], _examples(found["examples"]))
        for name, found in rules.items()
        if found["count"]
    ]
    quiet = [name.replace("_", " ") for name, found in rules.items() if not found["count"]]
    parts = [pairs(rows) if rows else ""]
    if met:
        parts.append(table(["rule", "met", "action", "examples"], met))
    if quiet:
        parts.append(note(f"Looked for and not met: {', '.join(quiet)}."))
    for title, key in (("Rolls", "rolls"), ("Holes", "holes")):
        found = blocks.get(key)
        if isinstance(found, Mapping) and found.get("count"):
            parts.append(_instants(title, found))
    return Markup("".join(parts))


def _instants(title: str, found: Mapping[str, Any]) -> Markup:
    """The first rolls or holes as a table; each is an instant or names and values."""
    items = [item if isinstance(item, Mapping) else {"at": item} for item in found.get("at", [])][:_SHOWN]
    head = list(dict.fromkeys(key for item in items for key in item))
    shown = f"{title}: {found['count']:,}" + (
        f", the first {len(items)}" if found["count"] > len(items) else ""
    )
    return table(
        [name.replace("_", " ") for name in head], [[item.get(key) for key in head] for item in items], shown
    )


def _examples(examples: Sequence[Mapping[str, Any]]) -> Markup:
    """One line an example: when, then the row's numbers or what else is known of it."""
    return Markup(f'<div class="long">{"<br>".join(html(_line(example)) for example in examples)}</div>')


def _line(example: Mapping[str, Any]) -> str:
    at = str(example.get("at", ""))[:19].replace("T", " ")
    prices = " ".join(_number(example[name]) for name in _NUMBERS if name in example)
    others = " ".join(
        f"{key} {_number(value)}" for key, value in example.items() if key not in ("at", *_NUMBERS)
    )
    return " ".join(part for part in (at, prices, others) if part)


def _number(value: Any) -> str:
    return "empty" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
