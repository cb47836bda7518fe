"""`audit row`: why a bar is, or is not, in a dataset, a segment and a fold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.audit.intervals import Apart
from foldsmith.audit.reasons import REASONS, bar_reasons, fold_reason
from foldsmith.config import ValidationSettings
from foldsmith.contracts import BARS, LABELS
from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import as_instants
from foldsmith.runs.store import Run
from foldsmith.stages import out_of_fold as engine
from foldsmith.stages.horizon import HorizonTable, bar_inputs, feature_matrix, known_rows, load_horizons
from foldsmith.stages.prepare import label_volatility
from foldsmith.stages.tables import read_table

NAMED = 3
"""Features in warm-up that are named."""


@dataclass(frozen=True)
class Explained:
    """Every bar of a dataset with its reason, at one horizon."""

    bars: pl.DataFrame
    labels: pl.DataFrame
    features: pl.DataFrame
    table: HorizonTable
    settings: ValidationSettings
    reasons: npt.NDArray[np.str_]


def explain(dataset: Run, horizon: int, settings: ValidationSettings | None = None) -> Explained:
    """The reason of every bar of a dataset; folds are those of `cv` with these settings (its own, unless given)."""
    chosen = ValidationSettings() if settings is None else settings
    table = load_horizons(dataset, (horizon,), chosen)[horizon]
    recipe = table.recipe
    bars = read_table(dataset.path / "bars.parquet", BARS)
    features = read_table(dataset.path / "features.parquet")
    labels = read_table(dataset.path / f"labels_h{horizon}.parquet", LABELS)
    known = known_rows(
        feature_matrix(features, recipe.features), bar_inputs(features, bars["block"], recipe.fitted)
    )
    reasons = bar_reasons(
        sigma=label_volatility(bars, recipe.volatility_window, recipe.labelling),
        block=bars["block"].to_numpy(),
        max_bars=recipe.horizons[horizon].max_bars,
        labelled=labels["bar"].to_numpy(),
        known=known,
        t0=as_instants(bars["close_time"]),
        cuts=recipe.cuts,
        segments={name: table.bar[rows] for name, rows in table.segments.named().items()},
    )
    return Explained(bars, labels, features, table, chosen, reasons)


def bar_at(explained: Explained, at: datetime) -> int:
    """The bar that closes at an instant, else the one that is open then; DataError where none is, with what is near."""
    instant = int(at.timestamp() * 1_000_000)
    closes, opens = (as_instants(explained.bars[name]) for name in ("close_time", "datetime"))
    for bar in (
        int(np.searchsorted(closes, instant, "left")),
        int(np.searchsorted(opens, instant, "right")) - 1,
    ):
        if 0 <= bar < len(closes) and (closes[bar] == instant or opens[bar] <= instant < closes[bar]):
            return bar
    after = int(np.searchsorted(opens, instant, "right"))
    before = f"the bar before closes at {_said(closes[after - 1])}" if after else "it is before the first bar"
    behind = f"the next opens at {_said(opens[after])}" if after < len(opens) else "it is after the last bar"
    block = explained.bars["block"]
    hole = 0 < after < len(opens) and block[after] != block[after - 1]
    why = (
        "a roll or a hole lies between them"
        if hole
        else "the market is closed, or the bar was left out in cleaning"
    )
    raise DataError(f"no bar closes or is open at {at:%Y-%m-%d %H:%M} UTC: {before}, {behind}; {why}.")


def told(explained: Explained, bar: int) -> list[str]:
    """All that is to be said of one bar, a line each."""
    table, bars = explained.table, explained.bars
    reason = str(explained.reasons[bar])
    opens, closes = as_instants(bars["datetime"]), as_instants(bars["close_time"])
    lines = [
        f"bar {bar:,}: opens {_said(opens[bar])}, decides at its close {_said(closes[bar])}, "
        f"block {bars['block'][bar]}, contract {bars['contract'][bar]}, session {bars['session'][bar]}",
        f"horizon {table.horizon}: {REASONS[reason]}",
    ]
    label = explained.labels.filter(pl.col("bar") == bar)
    if label.height:
        lines.append(f"its label is {label['y'][0]} and ends at {_said(as_instants(label['label_end'])[0])}")
    if reason == "no_feature":
        lines.append(_unknown(explained, bar))
    if reason == "training":
        lines += _fold_lines(explained, bar)
    return lines


def _unknown(explained: Explained, bar: int) -> str:
    row = explained.features.row(bar, named=True)
    names = [name for name, value in row.items() if isinstance(value, float) and not np.isfinite(value)]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"not known yet: {', '.join(names[:NAMED])}{more}"


def _fold_lines(explained: Explained, bar: int) -> list[str]:
    table, settings = explained.table, explained.settings
    training = table.data.take(table.segments.training)
    row = int(np.searchsorted(table.bar[table.segments.training], bar))
    separation = table.separation
    apart = Apart(separation.embargo, separation.purge, separation.bars)
    folds = engine._folds(training, separation, settings.n_splits)
    said = [fold_reason(training.t0, training.t1, row, test, apart) for _, test in folds]
    return [f"of {len(folds)} folds (embargo {apart.embargo} bars, purge + {apart.purge}):"] + [
        f"  fold {k}: {what}" for k, what in enumerate(said)
    ]


def as_instant(text: str) -> datetime:
    """An instant from text, in UTC unless it says a zone; SettingError for none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError(f"TIME {text!r:.40} is no instant; write it like 2024-03-05T14:35.") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _said(instant: Any) -> str:
    return f"{datetime.fromtimestamp(int(instant) / 1e6, UTC):%Y-%m-%d %H:%M} UTC"
