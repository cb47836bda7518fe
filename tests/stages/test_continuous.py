"""Features and labels are of prices as they stood: neither a later contract nor an adjustment reaches them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from tests.market.two_contracts import NEW, OLD, two_contracts

from foldsmith.features import FEATURES
from foldsmith.features import compute as compute_features
from foldsmith.intervals import as_instants
from foldsmith.labels.triple_barrier import Barriers, volatility
from foldsmith.market.continuous import adjusted
from foldsmith.market.instruments import instrument
from foldsmith.market.roll_rule import RollRule
from foldsmith.market.simulate import Simulation, simulate
from foldsmith.market.timeframe import parse_timeframe
from foldsmith.stages.market_bars import MarketBars, clean_and_mark, market_bars
from foldsmith.stages.prepare import label_bars
from foldsmith.stages.recipe import HorizonRecipe

MES = instrument("MES")
HORIZON = 10
FLIP = date(2022, 3, 2)
BARS = simulate(Simulation("MES", 16, 3, 0.05, date(2022, 2, 21)), MES)[0].with_columns(
    pl.col("timestamp").dt.replace_time_zone("UTC")
)
RAW = two_contracts(BARS, FLIP).rename({"timestamp": "datetime"})
PRICES = ["open", "high", "low", "close"]
IS_OLD = pl.col("contract") == OLD


class Made:
    """Features, volatilities and labels of raw bars of 5 minutes."""

    def __init__(self, raw: pl.DataFrame) -> None:
        self.market: MarketBars = market_bars(raw, MES, parse_timeframe("5m"))
        bars = self.market.bars
        self.contract = bars["contract"]
        self.features = compute_features(bars).select(list(FEATURES)).to_numpy().astype(np.float64)
        self.sigma = volatility(bars, 48)
        self.labels, _ = label_bars(
            self.market, self.sigma, HORIZON, HorizonRecipe(HORIZON, Barriers(0.8, 0.8)), MES
        )

    def known(self, contract: str) -> tuple[bytes, bytes, pl.DataFrame]:
        """Bits of the features of a contract's bars, of its barriers' volatilities, and its labels."""
        rows = (self.contract == contract).to_numpy()
        labels = self.labels.with_columns(contract=self.contract.gather(self.labels["bar"]))
        labels = labels.filter(pl.col("contract") == contract)
        return self.features[rows].tobytes(), self.sigma[labels["bar"].to_numpy()].tobytes(), labels


MADE = Made(RAW)


def moved(expression: Callable[[pl.Expr], pl.Expr], which: pl.Expr) -> pl.DataFrame:
    """The raw bars with prices of some of them moved."""
    return RAW.with_columns(
        pl.when(which).then(expression(pl.col(name))).otherwise(name).alias(name) for name in PRICES
    )


def test_the_market_rolls_once_the_day_after_the_larger_volume() -> None:
    first = MADE.market.bars.filter(~IS_OLD)["session"][0]
    assert (first, MADE.contract.n_unique()) == (FLIP + timedelta(days=1), 2)
    assert MADE.market.findings["blocks"]["rolls"]["at"][0]["offset"] == 20.0
    assert MADE.market.findings["blocks"]["rolls"]["count"] == 1


CHANGES = {
    "ratio": lambda price: price * 2,
    "difference": lambda price: price + 100,
    "other prices": lambda price: (price * 0.5 + price.shift(7).fill_null(strategy="backward") * 0.4).round(
        0
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_prices_after_a_roll_reach_nothing_before_it(change: str) -> None:
    """Whatever would move the new contract's prices onto the old one's level, or is wrong with them."""
    prices = moved(CHANGES[change], ~IS_OLD)
    prices = prices.with_columns(high=pl.max_horizontal(PRICES), low=pl.min_horizontal(PRICES))
    other = Made(prices)
    assert other.contract.equals(MADE.contract)
    for found, before in zip(other.known(OLD), MADE.known(OLD), strict=True):
        assert found.equals(before) if isinstance(found, pl.DataFrame) else found == before
    # The change is felt in the new contract.
    assert other.known(NEW)[2]["entry"].to_list() != MADE.known(NEW)[2]["entry"].to_list()


@pytest.mark.parametrize("change", ["ratio", "difference"])
def test_prices_before_a_roll_reach_nothing_after_it(change: str) -> None:
    """Whatever would move the old contract's prices onto the new one's level: back-adjustment."""
    other = Made(moved(CHANGES[change], IS_OLD))
    for found, before in zip(other.known(NEW), MADE.known(NEW), strict=True):
        assert found.equals(before) if isinstance(found, pl.DataFrame) else found == before
    assert other.known(OLD)[2]["entry"].to_list() != MADE.known(OLD)[2]["entry"].to_list()


def test_bars_that_are_not_the_fronts_reach_nothing() -> None:
    """The new contract's prices before the roll, and the old one's after it."""
    at = as_instants(MADE.market.bars.filter(~IS_OLD)["datetime"])[0]
    behind = (pl.col("datetime").to_physical() < at) != IS_OLD
    other = Made(moved(lambda price: price * 3, behind))
    assert other.features.tobytes() == MADE.features.tobytes()
    assert other.sigma.tobytes() == MADE.sigma.tobytes()
    assert other.labels.equals(MADE.labels)
    assert other.market.base.equals(MADE.market.base)


def test_no_label_crosses_the_roll_and_prices_are_those_of_the_file() -> None:
    last = (MADE.labels["bar"] + HORIZON).to_list()
    assert (MADE.contract.gather(last) == MADE.contract.gather(MADE.labels["bar"])).all()
    entries = MADE.market.bars["open"].gather(MADE.labels["bar"] + 1)
    assert MADE.labels["entry"].equals(entries.rename("entry"))
    both = MADE.market.base.join(RAW, on=["datetime", "contract"], suffix="_raw")
    assert both.height == MADE.market.base.height
    assert all(both[name].equals(both[f"{name}_raw"].rename(name)) for name in PRICES)


def test_an_adjusted_series_would_have_other_features() -> None:
    """That the checks above could fail: moved prices are other features."""
    _, _, _, blocks = clean_and_mark(RAW, MES, roll=RollRule())
    bars = adjusted(MADE.market.bars, blocks.rolls, "difference")
    found = compute_features(bars).select(list(FEATURES)).to_numpy().astype(np.float64)
    rows = (MADE.contract == NEW).to_numpy()
    assert found[rows].tobytes() != MADE.features[rows].tobytes()
    assert found[~rows].tobytes() == MADE.features[~rows].tobytes()
