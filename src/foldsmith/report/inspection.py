"""The page of `pipeline inspect`: what a file of bars holds, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from foldsmith.report.figures import close_figure
from foldsmith.report.findings import cleaning_tables
from foldsmith.report.markup import Markup, html, note, page, pairs, percent, section, table

GENERATOR = "foldsmith inspect"
"""What a page of this kind says it was made by."""
_CELL, _GAP, _LEFT = 11, 2, 44
_LEVELS = (0.25, 0.5, 0.9, 0.999)
"""Shares of a session's minutes at which the colour of its day deepens."""
_LEAST = 15
"""Days of least coverage that are listed."""


def render_inspection(
    title: str,
    *,
    facts: Mapping[str, Any],
    assumptions: Sequence[str],
    contracts: Sequence[Sequence[Any]],
    days: pl.DataFrame,
    findings: Mapping[str, Any],
) -> str:
    """The page as the text of one self-contained HTML file.

    facts : name -> value, shown on top; assumptions : sentences; contracts : rows of name, bars, first, last; days :
    what `coverage` returns; findings : what cleaning and marking found. All text is escaped; equal arguments give
    equal bytes.
    """
    said = "".join(f"<li>{html(sentence)}</li>" for sentence in assumptions)
    thin = (
        days.with_columns(share=pl.col("covered") / pl.col("scheduled"))
        .filter((pl.col("share") < _LEVELS[-1]) & (pl.col("bars") > 0))  # days without a bar are holes
        .sort("share", "day")
        .head(_LEAST)
        .sort("day")
    )
    listed = [
        (str(row["day"]), row["bars"], f"{row['scheduled'] - row['covered']:,.0f}", percent(row["share"]))
        for row in thin.iter_rows(named=True)
    ]
    head = ["session", "bars", "minutes without a bar", "covered"]
    body = "".join(
        (
            '<header><div class="brand">Foldsmith inspection</div>',
            f"<h1>{html(title)}</h1>{pairs(facts, 'facts')}</header>",
            section(
                "How it was read", Markup(f"<ul>{said}</ul>") if said else note("Nothing had to be assumed.")
            ),
            section(
                "Coverage",
                _calendar(days),
                _legend(),
                table(head, listed, "Least covered sessions") if listed else "",
            ),
            section("Closes", Markup(close_figure(days)) if days.height > 1 else ""),
            section(
                "Contracts", table(["contract", "bars", "first", "last"], contracts) if contracts else ""
            ),
            section("Findings", cleaning_tables(findings)),
        )
    )
    return page(title, body, generator=GENERATOR)


def _calendar(days: pl.DataFrame) -> Markup:
    """A square a day, a row of weeks a year: how much of each session bars lie over. Drawn by hand."""
    by_year: dict[int, list[tuple[date, float, int]]] = {}
    for day, bars, scheduled, covered in days.select("day", "bars", "scheduled", "covered").iter_rows():
        by_year.setdefault(day.year, []).append((day, covered / scheduled, bars))
    height = 7 * (_CELL + _GAP) + 12
    parts = []
    for row, (year, cells) in enumerate(by_year.items()):
        top = row * height
        parts.append(f'<text x="0" y="{top + 12}">{year}</text>')
        monday = date(year, 1, 1).weekday()
        for day, share, bars in cells:
            week, weekday = divmod((day - date(year, 1, 1)).days + monday, 7)
            level = sum(share >= edge for edge in _LEVELS) if bars else 0
            kind = "none" if not bars else f"c{level}"
            x, y = _LEFT + week * (_CELL + _GAP), top + weekday * (_CELL + _GAP)
            parts.append(
                f'<rect class="{kind}" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" rx="2"><title>{day}: {bars:,} '
                f"bars, {share:.1%}</title></rect>"
            )
    width = _LEFT + 54 * (_CELL + _GAP)
    return Markup(
        f'<div class="scroll"><svg class="calendar" role="img" viewBox="0 0 {width} {len(by_year) * height}" '
        f'style="min-width:{width}px"><title>Share of each session that bars lie over</title>{"".join(parts)}'
        "</svg></div>"
    )


def _legend() -> Markup:
    def square(kind: str) -> str:
        size = f'width="{_CELL}" height="{_CELL}"'
        return f'<svg class="calendar" {size}><rect class="{kind}" {size} rx="2"/></svg>'

    words = ("under 25%", "25%", "50%", "90%", "99.9% and more")
    boxes = [f"{square(f'c{level}')} {edge}" for level, edge in enumerate(words)] + [
        f"{square('none')} no bar"
    ]
    listed = " &nbsp; ".join(boxes)
    return Markup(
        f'<p class="note">Share of a session that bars lie over: {listed}. Closed days are left blank.</p>'
    )
