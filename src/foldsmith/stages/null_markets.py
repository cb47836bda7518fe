"""One small market of known truth, from raw bars to the test segment by the stages themselves, and what it gave.

Each is made and worked on in a temporary folder. What costs time and enters no number that is looked at here is left
out while it runs: the report's page, bootstrap intervals, and what could be reached at most.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.audit.null_market import MarketTest, direction_test, mean_test
from foldsmith.config import CrossValidateSettings, PrepareSettings, ValidationSettings
from foldsmith.contracts import LABELS
from foldsmith.evaluation.backtest import backtest, most_probable_signal
from foldsmith.evaluation.metrics import score
from foldsmith.evaluation.recovery import recovered_share
from foldsmith.intervals import as_instants
from foldsmith.market.instruments import Instrument, instrument
from foldsmith.market.mirror import mirrored
from foldsmith.market.sessions import Schedule, schedule
from foldsmith.market.simulate import Simulation
from foldsmith.report import html as page
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Run, Workspace, ensure_folder, read_json
from foldsmith.splits import cut_instants
from foldsmith.stages import audit_leaks, scores
from foldsmith.stages import ensemble as ensembles
from foldsmith.stages import evaluate as evaluation
from foldsmith.stages import out_of_fold as engine
from foldsmith.stages import prepare as preparation
from foldsmith.stages import simulated as simulations
from foldsmith.stages.audit_leaks import Planting, swapped
from foldsmith.stages.cross_validate import cross_validate
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import load_recipe
from foldsmith.stages.market_bars import MarketBars
from foldsmith.stages.publish import Provenance
from foldsmith.stages.scores import probability_matrix
from foldsmith.stages.tables import read_table

Probabilities = npt.NDArray[Any]
Record = dict[str, Any]

SIMULATED, MIRRORED, SHIFTED, EDGE = "simulated", "mirrored days", "shifted labels", "edge"
HINT, UNPURGED = "a hint of the label", "folds not purged"
KINDS = (SIMULATED, EDGE, MIRRORED, SHIFTED, HINT, UNPURGED)
HELD_OUT = ("validation", "test")
ENSEMBLES: Mapping[str, str | None] = MappingProxyType({"stacking": "logistic", "voting": None})
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
        # Labels of 40 bars in folds of some 300 rows, and trees that know a row by its neighbours.
        return Workflow(("extra_trees",), 40, 12, ()) if self.kind == UNPURGED else Workflow()


@dataclass(frozen=True)
class Workflow:
    """Base models, horizon, folds and ensembles of a market."""

    models: tuple[str, ...] = ("lightgbm", "logistic")
    horizon: int = 10
    n_splits: int = 4
    ensembles: tuple[str, ...] = tuple(ENSEMBLES)


def run_market(market: Market) -> Record:
    """Make a market, run the workflow in it, and test every place where predictions are scored; JSON-able.

    `places` holds, by place ("logistic oof", "stacking test" ...), the direction AUC and the tests of direction and
    P&L; `coin` the same of predictions drawn at random, and with an edge `permuted` those of other rows; of out-of-fold
    rows the test of one fold (the market's number says which) and, as `mean_z`, the mean over folds.
    """
    with tempfile.TemporaryDirectory(prefix="foldsmith-null-") as folder, _bare(), _planted(market):
        workspace = Workspace(Path(folder))
        _write_bars(workspace, market)
        return _Desk(workspace, market).record()


@contextmanager
def _bare() -> Iterator[None]:
    ones = np.ones((3, 3), dtype=np.int64)
    with ExitStack() as stack:
        for owner, name, instead in (
            (page, "render", lambda *_, **__: ""),
            (scores, "interval", lambda *_, **__: {}),
            (evaluation, "label_counts", lambda *_: ones),
        ):
            stack.enter_context(swapped(owner, name, lambda _, instead=instead: instead))
        yield


# --- raw bars ----------------------------------------------------------------------------------------------------


def _write_bars(workspace: Workspace, market: Market) -> None:
    mine = instrument(market.symbol)
    if market.bars is None:
        settings = Simulation(market.symbol, SESSIONS, market.drawn, market.edge)
        simulations.write_market(workspace, settings, mine, _quiet)
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
def _planted(market: Market) -> Iterator[None]:
    plant: dict[str, Callable[[], Planting]] = {
        SHIFTED: partial(_shifted_labels, market.drawn),
        HINT: lambda: audit_leaks.feature_of_bars(partial(_hint, market)),
        UNPURGED: _not_purged,
    }
    with plant.get(market.kind, nullcontext)():
        yield


def _hint(market: Market, bars: pl.DataFrame) -> pl.Series:
    ahead = bars["close"].shift(-market.workflow.horizon) - bars["close"]
    noise = np.random.default_rng(market.drawn).standard_normal(bars.height)
    return (HINT_STRENGTH * ahead.sign().fill_null(0.0) + pl.Series(noise)).alias("hint")


@contextmanager
def _not_purged() -> Iterator[None]:
    # The program itself refuses such folds before anything is fitted; that too is taken away.
    with (
        audit_leaks.other_rows(audit_leaks.all_but_the_test),
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


# --- the workflow ------------------------------------------------------------------------------------------------


class _Desk:
    """A workspace with the bars of one market."""

    def __init__(self, workspace: Workspace, market: Market) -> None:
        self.workspace, self.market, self.flow = workspace, market, market.workflow
        self.instrument: Instrument = instrument(market.symbol)
        self.provenance = Provenance(("audit",), Ledger(workspace.ledger))
        self.rng = np.random.default_rng([market.drawn, 1])
        self.places: Record = {}
        self.coin: Record = {}
        self.permuted: Record = {}

    def record(self) -> Record:
        h, runs = self.flow.horizon, self.workspace.runs
        settings = PrepareSettings(self.market.symbol, horizons=(h,), features=FEATURES)
        dataset = preparation.prepare(self.workspace, settings, self.instrument, self.provenance, _quiet)
        self.labels = read_table(dataset.path / f"labels_h{h}.parquet", LABELS)
        self.bars = read_table(dataset.path / "bars.parquet", columns=["close_time", "session"])
        validation = ValidationSettings(n_splits=self.flow.n_splits, seed=self.market.drawn)
        cv = cross_validate(
            dataset, CrossValidateSettings(self.flow.models, (h,), validation), self.provenance, _quiet,
            folder=self.workspace.stacking, executor=Executor(),
        )  # fmt: skip
        self._out_of_fold(read_table(cv.path / "stacking" / f"stacking_dataset_h{h}.parquet"))
        gain: Record = {}
        meta: dict[str, float] = {}
        for name in self.flow.ensembles:
            model = ensembles.train_stored(
                self.workspace, cv.id, h, name, ENSEMBLES[name], self.provenance, _quiet,
                phase3_folder=self.workspace.stacking, folder=runs,
            )  # fmt: skip
            meta[name] = read_json(model.path / "metrics.json")["meta_out_of_fold"]["direction_auc"]
            for split in HELD_OUT:
                seen = evaluation.evaluate(
                    self.workspace, model.id, split, self.provenance, _quiet, folder=runs
                )
                self._held_out(f"{name} {split}", seen)
                gain[f"{name} {split}"] = _gain(seen.metrics)
        return {
            "key": self.market.key,
            "places": self.places,
            "coin": self.coin,
            "permuted": self.permuted,
            "meta_oof_auc": meta,
            "gain": gain,
            "reachable": self._reachable(dataset),
        }

    def _out_of_fold(self, table: pl.DataFrame) -> None:
        joined = {model: probability_matrix(table, (model,)) for model in self.flow.models}
        if len(joined) > 1:
            joined["voting"] = np.mean(list(joined.values()), axis=0)
        fold = table["fold"].to_numpy()
        chosen = self.market.number % self.flow.n_splits
        for name, P in joined.items():
            parts = {k: self._tested(P[fold == k], table.filter(fold == k)) for k in np.unique(fold).tolist()}
            found = {**parts[chosen], "folds": len(parts), "mean_z": {}}
            for what in ("direction", "trades"):
                z = [part[what]["z"] for part in parts.values() if part[what] is not None]
                found["mean_z"][what] = float(np.mean(z)) if z else None
            found["auc"] = _auc(table["y_true"].to_numpy()[fold == chosen], P[fold == chosen])
            self.places[f"{name} oof"] = found
        rows = table.filter(fold == chosen)
        self._beside(f"{name} oof", rows, P[fold == chosen])

    def _held_out(self, place: str, seen: evaluation.Evaluated) -> None:
        table = read_table(seen.run.path / "predictions.parquet")
        trades = read_table(seen.run.path / "trades.parquet")
        P = table.select("prob_short", "prob_neutral", "prob_long").to_numpy()
        self.places[place] = {**self._tested(P, table, trades), "auc": seen.metrics["direction_auc"]}
        self._beside(place, table, P)

    def _beside(self, place: str, table: pl.DataFrame, P: Probabilities) -> None:
        """The same tests of a coin, and with an edge of the same predictions for other rows."""
        self.coin[place] = self._tested(self.rng.dirichlet(np.ones(3), len(P)), table)
        if self.market.edge:
            self.permuted[place] = self._tested(P[self.rng.permutation(len(P))], table)

    def _tested(self, P: Probabilities, table: pl.DataFrame, trades: pl.DataFrame | None = None) -> Record:
        t0, t1 = (as_instants(table[name]) for name in ("datetime", "label_end"))
        if trades is None:
            trades = self._traded(P, table)
        gross, cost = trades["gross"].to_numpy(), trades["cost"].to_numpy()
        net = trades["net"].to_numpy()
        spread = float(gross.std()) if len(gross) else 0.0
        return {
            "direction": _plain(direction_test(table["y_true"].to_numpy(), _up(P), t0, t1)),
            "trades": _plain(mean_test(gross)),
            "sharpe": None if spread == 0 else [float(net.mean()) / spread, float(cost.mean()) / spread],
        }

    def _traded(self, P: Probabilities, table: pl.DataFrame) -> pl.DataFrame:
        rows = table.select("datetime").join(self.labels, on="datetime", how="left", maintain_order="left")
        inside = pl.col("close_time").is_between(rows["datetime"][0], rows["label_end"].max())
        mine = self.instrument
        return backtest(
            most_probable_signal(P),
            rows,
            sessions=self.bars.filter(inside),
            tick_size=mine.tick_size,
            tick_value=mine.tick_value,
            commission=mine.commission,
            slippage_ticks=mine.slippage_ticks,
        ).trades

    def _reachable(self, dataset: Run) -> float | None:
        """What a forecaster who sees the state gains on the direction, in nats; of the first market of an edge."""
        if not self.market.edge or self.market.number:
            return None
        counts = simulations.label_counts(load_recipe(dataset), self.flow.horizon)
        return recovered_share(counts, log_loss=0.0)["direction"]["reachable"]


def _up(P: Probabilities) -> npt.NDArray[np.float64]:
    both = P[:, 0].astype(np.float64) + P[:, 2]
    return np.divide(P[:, 2], both, out=np.full(len(P), 0.5), where=both > 0)


def _auc(y: Any, P: Probabilities) -> float | None:
    found: float | None = score(y, P)["direction_auc"]
    return found


def _gain(metrics: Mapping[str, Any]) -> float | None:
    base, reached = metrics["direction_log_loss_base"], metrics["direction_log_loss"]
    return None if base is None or reached is None else float(base - reached)


def _plain(test: MarketTest | None) -> Record | None:
    return None if test is None else {"n": test.n, "z": test.z, "p": test.p}


def _quiet(_: str) -> None:
    """Say nothing."""
