"""The page of `audit residual`: a score against the length of the embargo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from foldsmith.report.figures import COLOUR, _svg
from foldsmith.report.markup import Markup, html, note, number, page, pairs, section, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GENERATOR = "foldsmith audit residual"
NAMES = {"log_loss": "log loss", "direction_auc": "direction AUC"}
EXPLAINED = (
    "A model was cross-validated on the training segment with longer and longer embargoes after each test block. Rows "
    "scored, seeds and the number of rows fitted on are the same in all.",
    "A score that falls as the embargo grows means that rows near a test block know of it though no label meets: "
    "through features with a long memory, or a market that stays as it is. Differences are paired; days are drawn for "
    "their intervals.",
    "This is a diagnosis and no proof: a curve that stays flat does not show that nothing leaks. It changes nothing.",
)


def render_residual(found: Mapping[str, Any], said: str) -> str:
    """The page as the text of one self-contained HTML file; all text is escaped, equal arguments give equal bytes."""
    facts = {key: found[key] for key in ("dataset", "model", "horizon", "n_splits", "rows", "days", "seed")}
    body = "".join(
        (
            '<header><div class="brand">Foldsmith audit</div>',
            f"<h1>Does a longer embargo cost the score?</h1>{pairs(facts, 'facts')}</header>",
            f'<div class="verdict"><p>{html(said)}</p></div>',
            section(
                "By embargo",
                *(note(sentence) for sentence in EXPLAINED),
                residual_figure(found),
                _table(found),
            ),
        )
    )
    return page("Does a longer embargo cost the score?", body, generator=GENERATOR)


def residual_figure(found: Mapping[str, Any]) -> str:
    """Paired difference of each score to that of no embargo, with its interval, by embargo."""

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(NAMES), squeeze=False)[0]
        for axes, (name, told) in zip(panels, NAMES.items(), strict=True):
            points = found["points"]
            at = list(range(len(points)))
            middle = [point[name]["difference"] for point in points]
            axes.axhline(0, color=COLOUR["muted"], linewidth=0.8)
            axes.plot(at, middle, color=COLOUR["accent"], linewidth=1.5, marker="o", markersize=4)
            known = [i for i in at if points[i][name]["low"] is not None]
            axes.vlines(
                known,
                [points[i][name]["low"] for i in known],
                [points[i][name]["high"] for i in known],
                color=COLOUR["accent"],
                linewidth=1.2,
            )
            axes.set_xticks(at, [str(point["embargo"]) for point in points])
            axes.set(xlabel="embargo, bars", title=f"{told}, difference to no embargo")

    return _svg(draw, (11, 3.5), "Score against the length of the embargo")


def _table(found: Mapping[str, Any]) -> Markup:
    head = ["embargo, bars"]
    for told in NAMES.values():
        head += [told, "difference", "95% interval"]
    return table(head, [[point["embargo"], *_cells(point)] for point in found["points"]])


def _cells(point: Mapping[str, Any]) -> list[Any]:
    cells: list[Any] = []
    for name in NAMES:
        score = point[name]
        cells += [number(score["estimate"]), number(score["difference"], sign=True)]
        cells.append(
            ""
            if score["low"] is None
            else Markup(f"{number(score['low'], sign=True)} to {number(score['high'], sign=True)}")
        )
    return cells
