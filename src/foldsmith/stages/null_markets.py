"""The workflow in one small market of known truth, from raw bars to the test segment, and what it gave.

The stages themselves are run, in a temporary folder. What costs time and enters no number that is looked at here is
left out meanwhile: the report's page, bootstrap intervals, and what could be reached at most.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
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
from foldsmith.report import html as page
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Run, Workspace, read_json
from foldsmith.stages import ensemble as ensembles
from foldsmith.stages import evaluate as evaluation
from foldsmith.stages import prepare as preparation
from foldsmith.stages import scores
from foldsmith.stages import simulated as simulations
from foldsmith.stages.audit_leaks import swapped
from foldsmith.stages.cross_validate import cross_validate
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import load_recipe
from foldsmith.stages.null_bars import FEATURES, Market, planted, write_bars
from foldsmith.stages.publish import Provenance
from foldsmith.stages.scores import probability_matrix
from foldsmith.stages.tables import read_table

Probabilities = npt.NDArray[Any]
Record = dict[str, Any]

HELD_OUT = ("validation", "test")
NO_INTERVALS: Mapping[str, Any] = MappingProxyType({"direction_auc": None, "days": 0})
"""What stands for the bootstrap of scores: p-values are the audit's own, and draws would take most of the time."""
ENSEMBLES: Mapping[str, str | None] = MappingProxyType({"stacking": "logistic", "voting": None})


def run_market(market: Market) -> Record:
    """Make a market, run the workflow in it, and test every place where predictions are scored; JSON-able.

    `places` holds, by place ("logistic oof", "stacking test" ...), the direction AUC and the tests of direction and
    P&L; `coin` the same of predictions drawn at random, and with an edge `permuted` those of other rows; of out-of-fold
    rows the test of one fold (the market's number says which) and, as `mean_z`, the mean over folds.
    """
    with tempfile.TemporaryDirectory(prefix="foldsmith-null-") as folder, _bare(), planted(market):
        workspace = Workspace(Path(folder))
        write_bars(workspace, market)
        return _Desk(workspace, market).record()


@contextmanager
def _bare() -> Iterator[None]:
    ones = np.ones((3, 3), dtype=np.int64)
    with ExitStack() as stack:
        for owner, name, instead in (
            (page, "render", lambda *_, **__: ""),
            (scores, "interval", lambda *_, **__: dict(NO_INTERVALS)),
            (evaluation, "backtest_interval", lambda *_, **__: {}),
            (evaluation, "label_counts", lambda *_: ones),
        ):
            stack.enter_context(swapped(owner, name, partial(_instead, instead)))
        yield


def _instead(other: Any, _: Any) -> Any:
    return other


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
                    self.workspace, model.id, split, self.provenance, _quiet, folder=runs, importances="none"
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
    up: npt.NDArray[np.float64] = np.divide(P[:, 2], both, out=np.full(len(P), 0.5), where=both > 0)
    return up


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
