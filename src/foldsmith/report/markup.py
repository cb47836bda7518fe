"""Pieces of HTML from plain values. Everything that comes from outside is escaped here and nowhere else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from html import escape
from math import isfinite
from typing import Any

from foldsmith.report.style import CSS

NONE = "–"
"""Shown where a value is not defined."""


class Markup(str):
    """Text that is HTML already; any other text is escaped."""

    __slots__ = ()


def html(value: Any) -> Markup:
    """`value` as HTML: Markup as it is, numbers as `number` writes them, all else escaped."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return Markup(NONE)
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    if isinstance(value, int):
        return number(value, 0)
    if isinstance(value, float):
        return number(value, 4)
    if isinstance(value, list | tuple):
        return Markup(", ".join(html(part) for part in value))
    return Markup(escape(str(value), quote=True))


def number(value: float | None, digits: int = 4, *, sign: bool = False, unit: str = "") -> Markup:
    """A number with thousands separated, a true minus sign, and a dash for what is not defined."""
    if value is None or not isfinite(value):
        return Markup(NONE)
    text = f"{value:{'+' if sign else ''},.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")
    return Markup(text.replace("-", "−") + (f" {escape(unit)}" if unit else ""))


def percent(value: float | None, digits: int = 1) -> Markup:
    """A share in per cent."""
    return Markup(NONE) if value is None else Markup(f"{number(100 * value, digits)}%")


def table(head: Sequence[Any], rows: Iterable[Sequence[Any]], caption: str = "") -> Markup:
    """A table that scrolls inside itself where the page is narrow."""
    top = "".join(f'<th scope="col">{html(cell)}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{html(cell)}</td>' for cell in row)}</tr>" for row in rows)
    said = f"<caption>{html(caption)}</caption>" if caption else ""
    return Markup(
        f'<div class="scroll"><table>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def pairs(values: Mapping[str, Any], kind: str = "pairs") -> Markup:
    """A list of names and values."""
    if kind == "facts":
        inner = "".join(f"<div><dt>{html(k)}</dt><dd>{html(v)}</dd></div>" for k, v in values.items())
    else:
        inner = "".join(f"<dt>{html(k)}</dt><dd>{html(v)}</dd>" for k, v in values.items())
    return Markup(f'<dl class="{kind}">{inner}</dl>')


def section(title: str, *parts: str) -> Markup:
    """A titled section, or nothing if all its parts are empty."""
    inner = "".join(parts)
    return Markup(f"<section><h2>{html(title)}</h2>{inner}</section>" if inner else "")


def note(text: str) -> Markup:
    """A paragraph of explanation."""
    return Markup(f'<p class="note">{html(text)}</p>')


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested mappings as one level: {"a": {"b": 1}} -> {"a: b": 1}; underscores read as spaces."""
    level: dict[str, Any] = {}
    for key, value in values.items():
        name = before + str(key).replace("_", " ")
        if isinstance(value, Mapping):
            level |= flat(value, f"{name}: ")
        else:
            level[name] = value
    return level


def page(
    title: str, body: str, *, generator: str = "foldsmith", scripts: Sequence[str] = (), style: str = ""
) -> str:
    """A whole page around `body`: one file that loads nothing, and runs nothing but `scripts`, in order, after it.

    scripts, style : text of the program's own; style goes before that of every page, which overrules it.
    """
    # Only scripts with these very bytes are run: one that slipped in with some text is not.
    hashes = " ".join(f"'sha256-{b64encode(sha256(one.encode()).digest()).decode()}'" for one in scripts)
    allowed = f"; script-src {hashes}" if hashes else ""
    run = "".join(f"<script>{one}</script>" for one in scripts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="generator" content="{html(generator)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Nothing may be loaded or run, even if some text slipped through unescaped.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src '
        f"'unsafe-inline'{allowed}\">"
        f"<title>{html(title)}</title><style>{style}{CSS}</style></head><body><main>{body}</main>{run}</body></html>\n"
    )
