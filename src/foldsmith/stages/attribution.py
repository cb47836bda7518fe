"""Part the scored rows by when they were decided and what the market was like, by what was known then."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.contracts import LABELS
from foldsmith.evaluation.attribution import Cells, attribution, terciles, trend
from foldsmith.evaluation.backtest import Backtest, Costs
from foldsmith.evaluation.sensitivity import cost_curve, threshold_curve
from foldsmith.intervals import Rows
from foldsmith.labels.triple_barrier import volatility
from foldsmith.runs.store import Run
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.tables import read_table
from foldsmith.validation.cross_validate import Probabilities

ZONES = {
    "CME_EQUITY": "America/Chicago",
    "CME_ENERGY": "America/Chicago",
    "CME_METALS": "America/Chicago",
    "CME_FX": "America/Chicago",
    "US_EQUITY": "America/New_York",
    "US_EQUITY_EXTENDED": "America/New_York",
    "24x7": "UTC",
}
"""The clock of the exchange, by calendar."""
PARTS = (("Asia, 22 to 7 UTC", 22), ("Europe, 7 to 13 UTC", 7), ("America, 13 to 22 UTC", 13))
"""Parts of a day and the hour, UTC, at which each begins."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def attributed(
    dataset: Run, table: HorizonTable, rows: Rows, P: Probabilities, base_rate: Any, traded: Backtest
) -> dict[str, Any]:
    """What `evaluation.attribution` finds of these rows of a dataset."""
    held = table.data.take(rows)
    bars = read_table(dataset.path / "bars.parquet", columns=["close_time", "close", "session", "block"])
    ways = {**_calendar(bars, table, table.bar[rows]), **_market(bars, table, table.bar[rows])}
    return attribution(ways, held.t0, held.y, P, base_rate, traded.trades)


def sensitivity(
    dataset: Run, table: HorizonTable, rows: Rows, P: Probabilities, traded: Backtest
) -> dict[str, Any]:
    """What `evaluation.sensitivity` finds: by the least probability that is traded, and by what trading costs."""
    labels = read_table(dataset.path / f"labels_h{table.horizon}.parquet", LABELS)
    labels = pl.DataFrame({"bar": table.bar[rows]}).join(labels, on="bar", how="left", maintain_order="left")
    bars = read_table(dataset.path / "bars.parquet", columns=["close_time", "session"])
    inside = bars.filter(pl.col("close_time").is_between(labels["datetime"][0], labels["label_end"].max()))
    mine, summary = table.recipe.instrument, traded.summary
    costs = Costs(mine.tick_size, mine.tick_value, mine.commission, mine.slippage_ticks)
    return {
        "thresholds": threshold_curve(P, labels, inside, costs),
        "costs": cost_curve(traded.daily, summary["trades"], summary["periods_per_year"]),
    }


def _calendar(bars: pl.DataFrame, table: HorizonTable, bar: Rows) -> dict[str, Cells]:
    zone = ZONES[table.recipe.instrument.calendar]
    at = bars[bar]
    there = at["close_time"].dt.convert_time_zone(zone).dt.hour().to_numpy()
    utc = at["close_time"].dt.hour().to_numpy()
    years, weekdays = at["session"].dt.year().to_numpy(), at["session"].dt.weekday().to_numpy()
    each = np.unique(years)
    part = np.where((utc >= 7) & (utc < 13), 1, np.where((utc >= 13) & (utc < 22), 2, 0))
    return {
        "year": Cells(
            tuple(str(year) for year in each), np.searchsorted(each, years).astype(np.int64), "Trading days."
        ),
        "part of the day": Cells(
            tuple(name for name, _ in PARTS), part.astype(np.int64), "By the decision, UTC the year round."
        ),
        "hour": Cells(
            tuple(f"{hour:02d}:00{_in_utc(hour, there, utc)}" for hour in range(24)),
            there.astype(np.int64),
            f"By the decision, clock of {zone}, and what that is in UTC.",
        ),
        "weekday": Cells(
            WEEKDAYS, (weekdays - 1).astype(np.int64), "Trading days; CME's begin the evening before."
        ),
    }


def _in_utc(hour: int, there: npt.NDArray[Any], utc: npt.NDArray[Any]) -> str:
    """The hours UTC that an hour of the exchange's clock was in these rows: two where summer time came or went."""
    found = np.unique(utc[there == hour])
    return f" ({', '.join(f'{int(one):02d}' for one in found)} UTC)" if len(found) else ""


def _market(bars: pl.DataFrame, table: HorizonTable, bar: Rows) -> dict[str, Cells]:
    """Regimes by terciles of the TRAINING rows, from bars up to each decision alone."""
    sigma = volatility(bars, table.recipe.volatility_window)
    length = table.recipe.horizons[table.horizon].max_bars
    moved = trend(bars["close"].to_numpy(), sigma, bars["block"].to_numpy(), length)
    seen = table.bar[table.segments.training]
    return {
        "volatility": Cells(
            ("calm", "usual", "wild"),
            terciles(sigma[bar], sigma[seen]),
            "Volatility that the barriers are scaled by; terciles of the training rows.",
        ),
        "trend": Cells(
            ("falling", "flat", "rising"),
            terciles(moved[bar], moved[seen]),
            f"Move of the {length} bars before the decision, in volatilities; terciles of the training rows.",
        ),
    }
