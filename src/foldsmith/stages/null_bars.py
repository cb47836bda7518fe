"""Markets of known truth: what each is made from, its raw bars, and what is planted in the program while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import polars as pl

from foldsmith.config import PrepareSettings
from foldsmith.intervals import as_instants
from foldsmith.market.instruments import instrument
from foldsmith.market.mirror import mirrored
from foldsmith.market.sessions import Schedule, schedule
from foldsmith.market.simulate import Simulation
from foldsmith.runs.store import Workspace, ensure_folder
from foldsmith.splits import cut_instants
from foldsmith.stages import audit_leaks
from foldsmith.stages import out_of_fold as engine
from foldsmith.stages import prepare as preparation
from foldsmith.stages.audit_leaks import Planting, swapped
from foldsmith.stages.market_bars import MarketBars
from foldsmith.stages.simulated import write_market

SIMULATED, MIRRORED, SHIFTED, EDGE = "simulated", "mirrored days", "shifted labels", "edge"
HINT, SHUFFLED = "a hint of the label", "folds of shuffled rows"
KINDS = (SIMULATED, EDGE, MIRRORED, SHIFTED, HINT, SHUFFLED)
FEATURES = (
    "return_1", "return_12", "volatility_ratio_6_48", "rsi_14", "bar_range", "volume_seasonal_6", "volume_seasonal_12",
    "volume_z_48",
)  # fmt: skip
"""Few features, so that a market takes a second or two; the volumes by time of day are what a planted edge shows in."""
SESSIONS = 20
HINT_STRENGTH = 0.25
"""Of the coming return's sign, in standard deviations of the noise it is hidden in."""
RATIOS = PrepareSettings("MES").ratios


@dataclass(frozen=True)
class Market:
    """What one market is made from. bars : cleaned bars of a real file, of the instrument `symbol`."""

    kind: str
    number: int
    seed: int
    edge: float = 0.0
    symbol: str = "MES"
    bars: str | None = None

    @property
    def key(self) -> str:
        """Its name, the same in every run."""
        return f"{self.kind}/{self.edge:g}/{self.number}"

    @property
    def drawn(self) -> int:
        """Seed of this market alone."""
        words = [self.seed, KINDS.index(self.kind), round(abs(self.edge) * 1e6), self.number]
        return int(np.random.SeedSequence(words).generate_state(1, np.uint32)[0])

    @property
    def workflow(self) -> Workflow:
        """What is fitted in it."""
        # Long labels, and trees that know a row by its neighbours in time.
        return Workflow(("extra_trees",), 40, 4, ()) if self.kind == SHUFFLED else Workflow()


@dataclass(frozen=True)
class Workflow:
    """Base models, horizon, folds and ensembles of a market."""

    models: tuple[str, ...] = ("lightgbm", "logistic")
    horizon: int = 10
    n_splits: int = 4
    ensembles: tuple[str, ...] = ("stacking", "voting")


def write_bars(workspace: Workspace, market: Market) -> None:
    """Make the raw bars of a market in the workspace."""
    mine = instrument(market.symbol)
    if market.bars is None:
        settings = Simulation(market.symbol, SESSIONS, market.drawn, market.edge)
        write_market(workspace, settings, mine, lambda _: None)
        return
    base, hours = _real(market.bars, mine.calendar)
    if market.kind == MIRRORED:
        made = mirrored(base, hours, _target(hours), tick=mine.tick_size, seed=market.drawn)
    else:
        made = _stretch(base, market)
    made.write_parquet(ensure_folder(workspace.raw) / f"{market.symbol}_1m.parquet")


@lru_cache(maxsize=1)
def _real(path: str, calendar: str) -> tuple[pl.DataFrame, Schedule]:
    base = pl.read_parquet(path)
    at = as_instants(base["datetime"])
    return base, schedule(calendar, int(at[0]), int(at[-1]))


def _target(hours: Schedule) -> Schedule:
    """The first sessions of a year without a roll in it that matters: turned-over bars have no contract."""
    whole = schedule(
        hours.calendar,
        *(int(np.datetime64(day, "us").astype(np.int64)) for day in ("2022-01-03", "2022-03-31")),
    )
    begin = int(np.searchsorted(whole.day, np.datetime64("2022-01-03")))
    part = slice(begin, begin + SESSIONS)
    return Schedule(whole.calendar, whole.open[part], whole.close[part], whole.day[part])


def _stretch(base: pl.DataFrame, market: Market) -> pl.DataFrame:
    """The days of one market: stretches follow each other through the file, and begin anew where it ends."""
    days = base["session"].unique().sort()
    places = max(len(days) // SESSIONS, 1)
    start, turn = market.number % places * SESSIONS, market.number // places
    start = min(start + turn * 7 % SESSIONS, max(len(days) - SESSIONS, 0))
    part = base.filter(pl.col("session").is_in(days[start : start + SESSIONS].implode()))
    columns = ["open", "high", "low", "close", "volume", "contract"]
    return part.select(pl.col("datetime").dt.replace_time_zone(None).alias("timestamp"), *columns)


# --- what is planted ---------------------------------------------------------------------------------------------


@contextmanager
def planted(market: Market) -> Iterator[None]:
    """What a market of this kind needs planted in the program, for as long as a `with` block lasts."""
    plant: dict[str, Callable[[], Planting]] = {
        SHIFTED: partial(_shifted_labels, market.drawn),
        HINT: lambda: audit_leaks.feature_of_bars(partial(_hint, market)),
        SHUFFLED: _shuffled,
    }
    with plant.get(market.kind, nullcontext)():
        yield


def _hint(market: Market, bars: pl.DataFrame) -> pl.Series:
    ahead = bars["close"].shift(-market.workflow.horizon) - bars["close"]
    noise = np.random.default_rng(market.drawn).standard_normal(bars.height)
    return (HINT_STRENGTH * ahead.sign().fill_null(0.0) + pl.Series(noise)).alias("hint")


@contextmanager
def _shuffled() -> Iterator[None]:
    # The program itself refuses such folds before anything is fitted; that too is taken away.
    with (
        audit_leaks.interleaved(),
        swapped(engine, "certified_folds", lambda _: lambda *__: {}),
    ):
        yield


def _shifted_labels(seed: int) -> Planting:
    """Labels moved against features inside each segment, by a shift drawn at random, as in a ring."""

    def shifting(real: Any) -> Any:
        def label(market: MarketBars, *words: Any, **options: Any) -> Any:
            made, counts = real(market, *words, **options)
            return shifted(made, market, seed), counts

        return label

    return swapped(preparation, "label_bars", shifting)


def shifted(labels: pl.DataFrame, market: MarketBars, seed: int) -> pl.DataFrame:
    """What came of each row, its length in bars included, put to another row of the same segment.

    A label keeps its length, so that rows apart in time have labels that were apart where they come from.
    """
    rng = np.random.default_rng(seed)
    closes = market.closes
    t0, bar = as_instants(labels["datetime"]), labels["bar"].to_numpy()
    length = np.searchsorted(closes, as_instants(labels["label_end"])) - bar
    segment = np.searchsorted(np.asarray(cut_instants(closes, RATIOS)), t0, side="left")
    source = np.arange(len(t0))
    for each in range(3):
        rows = np.flatnonzero(segment == each)
        if len(rows) > 2:
            source[rows] = np.roll(rows, int(rng.integers(len(rows) // 4, len(rows) - len(rows) // 4)))
    end = closes[np.minimum(bar + length[source], len(closes) - 1)]
    moved = labels[source].drop("datetime", "label_end", "bar")
    kept = labels.select("datetime", "bar").with_columns(
        pl.Series("label_end", end).cast(labels.schema["label_end"])
    )
    return pl.concat([kept, moved], how="horizontal").select(labels.columns)
