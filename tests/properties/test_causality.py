"""From raw minutes to features and labels, on disk: what comes after an instant changes nothing known at it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.properties.conftest import Made, prepared

from foldsmith.features import FEATURES
from foldsmith.intervals import as_instants
from foldsmith.labels.triple_barrier import Barriers
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation, simulate
from foldsmith.stages import prepare as stage
from foldsmith.stages.horizon import load_recipe

MINUTE = 60_000_000
HORIZONS = (5, 10)
TICK = 0.25
# Over the roll of March 2024 and a change of the clocks.
RAW, _ = simulate(Simulation("MES", 10, 5, 0.05, date(2024, 3, 1)), instrument("MES"))
OPENS = as_instants(RAW["timestamp"])
COLUMNS = ("open", "high", "low", "close", "volume")


def wild(after: np.ndarray, seed: int = 0) -> pl.DataFrame:
    """Other prices and volumes in those minutes, good bars each: a walk of far larger steps, on ticks."""
    rng = np.random.default_rng(seed)
    n = RAW.height
    close = np.maximum(20_000 + np.cumsum(rng.integers(-60, 61, n)), 500)
    open_ = np.r_[close[0], close[:-1]]
    high = np.maximum(open_, close) + rng.integers(0, 40, n)
    low = np.minimum(open_, close) - rng.integers(0, 40, n)
    made = dict(zip(COLUMNS, (open_ * TICK, high * TICK, low * TICK, close * TICK), strict=False))
    made["volume"] = rng.integers(1, 100_000, n)
    wanted = pl.Series(after)
    return RAW.with_columns(
        pl.when(wanted).then(pl.Series(made[name])).otherwise(pl.col(name)).alias(name) for name in COLUMNS
    )


def broken(after: np.ndarray) -> pl.DataFrame:
    """A fifth of those minutes as no market has them: high below low, missing, negative, another contract, twice."""
    rng = np.random.default_rng(1)
    kind = pl.Series(np.where(after, rng.integers(0, 30, RAW.height), -1))
    frame = RAW.with_columns(
        pl.when(kind == 0).then(pl.col("low") - 1).otherwise(pl.col("high")).alias("high"),
        pl.when(kind == 1).then(None).otherwise(pl.col("close")).alias("close"),
        pl.when(kind == 2).then(-pl.col("open")).otherwise(pl.col("open")).alias("open"),
        pl.when(kind == 3).then(pl.lit("MES 12-25")).otherwise(pl.col("contract")).alias("contract"),
        pl.when(kind == 4).then(0).otherwise(pl.col("volume")).alias("volume"),
    )
    return pl.concat([frame, frame.filter(kind == 5)]).sort("timestamp", maintain_order=True)


def cut_off(after: np.ndarray) -> pl.DataFrame:
    """Those minutes not there."""
    return RAW.filter(pl.Series(~after))


class Chain:
    """What phase 1 made of some raw minutes, read back from its files."""

    def __init__(self, root: Path, raw: pl.DataFrame, timeframe: str = "5m", **labelling: Any) -> None:
        (root / "data" / "raw").mkdir(parents=True)
        raw.write_parquet(root / "data" / "raw" / "MES_1m.parquet")
        self.made: Made = prepared(
            root, horizons=HORIZONS, timeframe=timeframe, features=("all",), **labelling
        )
        folder = self.made.dataset.path
        self.recipe = load_recipe(self.made.dataset)
        self.bars = pl.read_parquet(folder / "bars.parquet")
        self.features = pl.read_parquet(folder / "features.parquet")
        self.labels = {h: pl.read_parquet(folder / f"labels_h{h}.parquet") for h in HORIZONS}

    def known_features(self, cut: int) -> np.ndarray:
        """Bits of the features of every bar that has closed at the cut."""
        rows = as_instants(self.bars["close_time"]) <= cut
        values = self.features.filter(pl.Series(rows)).select(list(FEATURES)).to_numpy().astype(np.float32)
        return np.ascontiguousarray(values).view(np.uint32)

    def ended_labels(self, horizon: int, cut: int, *, window: bool) -> pl.DataFrame:
        """Labels over at the cut; with `window`, only those whose whole window is."""
        closes = as_instants(self.bars["close_time"])
        labels = self.labels[horizon]
        over = as_instants(labels["label_end"]) <= cut
        if window:
            last = np.minimum(labels["bar"].to_numpy() + horizon, len(closes) - 1)
            over &= (closes[last] <= cut) & (labels["bar"].to_numpy() + horizon < len(closes))
        return labels.filter(pl.Series(over))

    def known_barriers(self, horizon: int, cut: int) -> pl.DataFrame:
        """Entry and barriers of every label whose entry, the first minute of the next bar, is known at the cut."""
        labels = self.labels[horizon]
        enters = as_instants(self.bars["datetime"])[labels["bar"].to_numpy() + 1] + MINUTE
        return labels.filter(pl.Series(enters <= cut)).select("datetime", "bar", "entry", "upper", "lower")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return Chain(tmp_path_factory.mktemp("clean"), RAW)


def cuts(clean: Chain) -> list[tuple[int, bool]]:
    """(instant, whether the training segment is over by then): all minutes of a 5-minute bar, early and late."""
    training_ends = clean.recipe.cuts[0]
    late = int(OPENS[int(len(OPENS) * 0.85)]) // (5 * MINUTE) * (5 * MINUTE)
    early = int(OPENS[int(len(OPENS) * 0.4)]) // (5 * MINUTE) * (5 * MINUTE)
    chosen = [late + phase * MINUTE for phase in range(5)] + [early, early + 3 * MINUTE, training_ends]
    return [(cut, cut >= training_ends) for cut in chosen]


def changes(clean: Chain, found: Chain, cut: int, *, same_bars: bool, after_training: bool) -> list[str]:
    """What is known at the cut and yet differs."""
    said = []
    if not np.array_equal(found.known_features(cut), clean.known_features(cut)):
        said.append("features")
    for horizon in HORIZONS:
        if after_training and found.recipe.horizons[horizon] != clean.recipe.horizons[horizon]:
            said.append(f"width {horizon}")
        if after_training:
            before, now = (each.ended_labels(horizon, cut, window=not same_bars) for each in (clean, found))
            assert before.height > 100
            if not before.equals(now):
                said.append(f"labels {horizon}")
            if same_bars and not clean.known_barriers(horizon, cut).equals(
                found.known_barriers(horizon, cut)
            ):
                said.append(f"barriers {horizon}")
    return said


@pytest.mark.parametrize("number", range(8))
def test_other_minutes_after_a_cut_change_nothing_known_at_it(
    clean: Chain, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, after_training = cuts(clean)[number]
    if not after_training:
        # The width is chosen later than this cut, so it is given: labels are then a matter of their own past.
        clean = _with_fixed_width(monkeypatch, tmp_path / "clean", RAW)
    spoilt = Chain(tmp_path / "wild", wild(cut <= OPENS))
    assert changes(clean, spoilt, cut, same_bars=True, after_training=True) == []
    # The spoilt minutes are felt, from the first bar of them on.
    closes = as_instants(clean.bars["close_time"])
    assert changes(clean, spoilt, int(closes[closes > cut][0]), same_bars=True, after_training=True) != []


@pytest.mark.parametrize(
    "labelling",
    [
        {"label": "fixed-horizon", "barrier_volatility": "parkinson"},
        {"label": "trend-scanning"},
        {"barrier_volatility": "atr", "min_barrier_cost": 3.0},
        {"barrier_objective": "after-cost", "assumed_edge": 0.45},
    ],
)
def test_nor_do_they_change_labels_of_another_kind(
    clean: Chain, tmp_path: Path, labelling: dict[str, Any]
) -> None:
    cut = cuts(clean)[3][0]
    other = Chain(tmp_path / "clean", RAW, **labelling)
    assert not other.labels[5].equals(clean.labels[5])
    spoilt = Chain(tmp_path / "wild", wild(cut <= OPENS), **labelling)
    assert changes(other, spoilt, cut, same_bars=True, after_training=True) == []
    closes = as_instants(clean.bars["close_time"])
    after = int(closes[closes > cut][0])
    assert changes(other, spoilt, after, same_bars=True, after_training=True) != []


@pytest.mark.parametrize("spoil", [broken, cut_off])
def test_bars_that_break_off_or_cannot_be_change_nothing_known_before(
    clean: Chain, tmp_path: Path, spoil: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fewer bars the segments are cut elsewhere, so the width is given."""
    cut = cuts(clean)[3][0]
    fixed = _with_fixed_width(monkeypatch, tmp_path / "clean", RAW)
    spoilt = Chain(tmp_path / "spoilt", spoil(cut <= OPENS))  # type: ignore[operator]
    assert changes(fixed, spoilt, cut, same_bars=False, after_training=True) == []


@pytest.mark.parametrize("spoil", [wild, broken, cut_off])
@pytest.mark.parametrize("timeframe", ["volume:1500", "dollar:3e7", "7m"])
def test_nor_do_they_where_a_sum_closes_the_bars(
    clean: Chain, tmp_path: Path, timeframe: str, spoil: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = cuts(clean)[3][0]
    fixed = _with_fixed_width(monkeypatch, tmp_path / "clean", RAW, timeframe)
    spoilt = Chain(tmp_path / "spoilt", spoil(cut <= OPENS), timeframe)  # type: ignore[operator]
    assert changes(fixed, spoilt, cut, same_bars=False, after_training=True) == []
    later = int(fixed.bars.filter(pl.col("close_time").to_physical() > cut)["close_time"].to_physical()[5])
    assert changes(fixed, spoilt, later, same_bars=False, after_training=True) != []


def _with_fixed_width(
    monkeypatch: pytest.MonkeyPatch, root: Path, raw: pl.DataFrame, timeframe: str = "5m"
) -> Chain:
    monkeypatch.setattr(stage, "choose_barriers", lambda *_, **__: Barriers(0.8, 0.8))
    return Chain(root, raw, timeframe)


@pytest.mark.parametrize("fault", ["features", "width", "payoff", "barriers", "labels"])
def test_a_planted_leak_is_found(
    clean: Chain, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A feature of the next bar, a width chosen on all bars, a volatility of the next bar, and one of an hour later."""
    cut = cuts(clean)[2][0]
    how: dict[str, Any] = {}
    if fault == "features":
        whole = stage.compute_features
        monkeypatch.setattr(
            stage,
            "compute_features",
            lambda *a, **k: whole(*a, **k).with_columns(
                pl.col(next(iter(FEATURES))).shift(-1, fill_value=0.0)
            ),
        )
    elif fault == "width":
        choose = stage.choose_barriers
        monkeypatch.setattr(
            stage, "choose_barriers", lambda *a, **k: choose(*a, **{**k, "until": int(OPENS[-1])})
        )
    elif fault == "payoff":
        pay = stage.choose_by_payoff
        monkeypatch.setattr(
            stage, "choose_by_payoff", lambda *a, **k: pay(*a, **{**k, "until": int(OPENS[-1])})
        )
        how, fault = {"barrier_objective": "after-cost", "assumed_edge": 0.45}, "width"
    else:
        sigma = stage.volatility
        ahead = 1 if fault == "barriers" else 12
        monkeypatch.setattr(stage, "volatility", lambda *a: np.r_[sigma(*a)[ahead:], np.full(ahead, np.nan)])
        monkeypatch.setattr(stage, "choose_barriers", lambda *_, **__: Barriers(0.8, 0.8))
    leaky = Chain(tmp_path / "clean", RAW, **how)
    spoilt = Chain(tmp_path / "wild", wild(cut <= OPENS), **how)
    found = changes(leaky, spoilt, cut, same_bars=True, after_training=True)
    assert any(each.startswith(fault) for each in found), found
