"""Where a result comes from: by time and market, by threshold and costs, and by the features that a model leans on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foldsmith.report.charts import chart
from foldsmith.report.markup import Markup, html, note, number, section, table

Found = Mapping[str, Any]
MOST_FEATURES = 20
"""Features of a model that are shown; metrics.json has all."""
_HEAD = ("", "rows", "trades", "before costs, a trade", "t", "p, Holm", "after costs, a trade", "t", "after costs",
         "direction AUC", "direction log loss gained")  # fmt: skip


def attribution_section(found: Found | None, currency: str) -> Markup:
    """Profit and direction cell by cell, with what so many looks are worth."""
    if not found:
        return Markup("")
    marked = found["significant"]
    said = (
        f"{found['looked_at']} cells were looked at and {found['tested']} could be tested (10 trading days with a "
        "trade or more). Among so many the best one looks good by chance alone. "
        + (f"{marked} {'is' if marked == 1 else 'are'} marked *" if marked else "None is marked *")
        + f": such a mark needs Holm's p over all cells to be at most {found['level']:g}. A cell chosen here and "
        "traded is another thing tried, and has to be shown on other rows."
    )
    parts: list[str] = [note(said)]
    for name, way in found["ways"].items():
        shown = [cell for cell in way["cells"] if cell["trades"] or cell["rows"]]
        rows = [_cell(cell) for cell in shown]
        if rows:
            title = f"By {name}" + (f", {currency}" if currency else "")
            parts.append(
                f"<h3>{html(title)}</h3>{note(way['about'])}{chart(_chart_name(name))}{table(_HEAD, rows)}"
            )
    return section("Where the result comes from", *parts)


def _chart_name(way: str) -> str:
    return f"by-{way.replace(' ', '-')}"


def _cell(cell: Found) -> list[Any]:
    mark = Markup(" <b>*</b>") if cell["significant"] else Markup("")
    return [
        Markup(f"{html(cell['name'])}{mark}"),
        number(cell["rows"], 0),
        number(cell["trades"], 0),
        number(cell["gross_per_trade"], 2),
        number(cell["gross_t"], 2),
        number(cell["holm_p"], 3),
        number(cell["net_per_trade"], 2),
        number(cell["net_t"], 2),
        number(cell["net"], 0),
        number(cell["direction_auc"], 3),
        number(cell["direction_log_loss_gain"], 4, sign=True),
    ]


def sensitivity_section(found: Found | None, currency: str) -> Markup:
    """Profit by the least probability that is traded, and by what trading costs."""
    if not found:
        return Markup("")
    return section(
        "What the profit hangs on",
        _costs(found["costs"], currency),
        _thresholds(found["thresholds"], currency),
    )


def _costs(found: Found, currency: str) -> str:
    head = ["the same trades", "profit", "largest fall", "Sharpe ratio a year"]
    rows = [
        [f"at {point['multiple']} times the costs", number(point["net"], 0), number(point["max_drawdown"], 0),
         number(point["sharpe_annual"], 2)]
        for point in found["points"]
    ]  # fmt: skip
    even = found["break_even"]
    if even["per_trade"] is None:
        said = "Nothing was earned before costs: no costs are low enough."
    else:
        times = (
            "" if even["multiple"] is None else f", {number(even['multiple'], 2)} times what is charged here"
        )
        said = f"Nothing is left at costs of {number(even['per_trade'], 2, unit=currency)} a trade{times}."
    return f"<h3>Costs</h3>{note(said)}{chart('costs')}{table(head, rows)}"


def _thresholds(found: Found, currency: str) -> str:
    points = found["points"]
    if not points:
        return ""
    said = (
        "One contract, each label's own exit, traded where the most probable side has at least this probability. "
        f"These are {len(points)} tries on the same rows: the best of them is a choice, no estimate."
    )
    head = ["least probability", "signals", "trades", f"profit before costs{f', {currency}' if currency else ''}",
            "after costs", "before costs, a trade"]  # fmt: skip
    rows = [
        [number(point["threshold"], 2), number(point["signals"], 0), number(point["trades"], 0),
         number(point["gross"], 0), number(point["net"], 0), number(point["gross_per_trade"], 2)]
        for point in points
    ]  # fmt: skip
    return f"<h3>Least probability of the side</h3>{note(said)}{chart('thresholds')}{table(head, rows)}"


def importance_section(found: Found | None) -> Markup:
    """The features a model leans on, on validation rows."""
    if not found or found["method"] == "none":
        return Markup("")
    title = "Features the model leans on"
    if "skipped" in found:
        return section(title, note(f"Not told: {found['skipped']}."))
    if found["method"] == "mda":
        return section(title, _mda(found))
    parts = [_shap(name, model, found["of"]) for name, model in found["models"].items()]
    return section(title, *parts)


def _mda(found: Found) -> str:
    said = (
        f"Log loss lost, in nats, when a feature's values trade places within each day, on {found['rows']:,} of "
        f"{found['of']:,} validation rows (drawn with seed {found['seed']}; {found['days']} days), with no refit. What "
        "differs only between days is left as it is and counts for nothing; of features that say the same, each may "
        f"look worthless. {_stability(found['rank_correlation'], 'the first and the second half of these days')}"
    )
    head = ["feature", "all classes", "standard error", "long against short, among hits"]
    rows = [
        [one["name"], number(one["importance"], 5, sign=True), number(one["se"], 5),
         number(one["direction"], 5, sign=True)]
        for one in found["features"][:MOST_FEATURES]
    ]  # fmt: skip
    return note(said) + table(head, rows, _first(len(found["features"])))


def _shap(name: str, model: Found, of: int) -> str:
    among = (
        "the models of the folds" if model["models"] > 1 else "the first and the second half of these rows"
    )
    said = (
        f"Mean size of SHAP values, in nats of each class's score, on {model['rows']:,} of {of:,} validation rows. "
        f"{_stability(model['rank_correlation'], among)}"
    )
    head = ["feature", "long less short", "short", "neutral", "long"]
    keys = ("direction", "short", "neutral", "long")
    rows = [
        [one["name"], *(number(one[key], 5) for key in keys)] for one in model["features"][:MOST_FEATURES]
    ]
    return f"<h3>{html(name)}</h3>{note(said)}{table(head, rows, _first(len(model['features'])))}"


def _first(count: int) -> str:
    return f"The first {MOST_FEATURES} of {count}." if count > MOST_FEATURES else ""


def _stability(rank_correlation: float | None, among: str) -> str:
    if rank_correlation is None:
        return ""
    return (
        f"Rank correlation of importances between {among}: {rank_correlation:.2f} (1 is stable, 0 is chance)."
    )


def separation_section(found: Found | None) -> Markup:
    """How rows were kept apart, counted from the splits' own row numbers; whether anybody audited the run.

    found : certificates, nested as a run keeps them; audit, a sentence; coverage, sentences on what was joined.
    """
    if found is None:
        return Markup("")
    coverage, shown = found["coverage"], list(_certificates(found["certificates"]))
    rows = [
        [name, number(one["n_train"], 0), number(one["n_test"], 0), number(one["overlaps"], 0),
         number(one["breaches"], 0), number(one["purged"], 0), number(one["embargoed"], 0)]
        for name, one in shown
    ]  # fmt: skip
    head = ["split", "rows fitted on", "rows scored", "labels that overlap", "purge or embargo broken", "purged",
            "embargoed"]  # fmt: skip
    said = (
        "Counted label against label when the model was made; a split with an overlap or a breach ends a run before it "
        "is published."
    )
    parts = [note(found["audit"])]
    if rows:
        parts = [table(head, rows), note(said), *parts]
    if coverage:
        parts.append(note(f"What base models of several runs have in common: {'; '.join(coverage)}."))
    return section("How rows were kept apart", *parts)


def _certificates(found: Any, name: str = "") -> Any:
    """Every certificate with the name of its split, however deep it lies."""
    if isinstance(found, Mapping) and "overlaps" in found:
        yield name, found
    elif isinstance(found, Mapping):
        for key, part in found.items():
            yield from _certificates(part, f"{name}: {key}".lstrip(": ").replace("_", " "))
    elif isinstance(found, list):
        for number_, part in enumerate(found, 1):
            yield from _certificates(part, f"{name} {number_}".strip())
