"""Simulated markets: whole, repeatable, and with exactly the edge they are said to have."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from tests.market.conftest import us

from foldsmith.errors import SettingError
from foldsmith.market.clean import clean
from foldsmith.market.instruments import Instrument, instrument, parse_instruments
from foldsmith.market.rolls import mark_blocks
from foldsmith.market.sessions import schedule
from foldsmith.market.simulate import MEAN_STAY, VOLUME, Simulation, _path, simulate

START = date(2024, 1, 2)


def as_raw(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(
        pl.col("timestamp").dt.replace_time_zone("UTC").alias("datetime"), pl.exclude("timestamp")
    ).with_columns(pl.col("volume").cast(pl.Float64))


def log_returns(frame: pl.DataFrame) -> np.ndarray:
    """Log return inside each minute, from its open to its close."""
    return np.log(frame["close"].to_numpy() / frame["open"].to_numpy())


@pytest.mark.parametrize("symbol", ["MES", "CL", "6E", "MGC"])
def test_cleaning_finds_nothing_and_blocks_are_the_rolls(symbol: str) -> None:
    frame, state = simulate(Simulation(symbol, 60, 3, 0.05, START), instrument(symbol))
    assert frame.height == len(state)
    hours = schedule(instrument(symbol).calendar, us("2024-01-02"), us("2024-04-01"))
    bars, found = clean(as_raw(frame), instrument(symbol), hours)
    assert [name for name, rule in found.rules.items() if rule.count] == []
    _, blocks = mark_blocks(bars, hours, 60)
    assert (len(blocks.rolls), blocks.holes) == (1, ())
    assert bars["session"].n_unique() == 60
    assert bars["session"][0] == START


def test_same_settings_same_bits_and_a_longer_market_begins_alike(mes: Instrument) -> None:
    short, state = simulate(Simulation("MES", 5, 11, 0.02, START), mes)
    again, _ = simulate(Simulation("MES", 5, 11, 0.02, START), mes)
    longer, more = simulate(Simulation("MES", 120, 11, 0.02, START), mes)
    other, _ = simulate(Simulation("MES", 5, 12, 0.02, START), mes)
    assert short.equals(again)
    assert short.equals(longer.head(short.height))
    assert (state == more[: len(state)]).all()
    assert not short.equals(other)


def test_edge_changes_the_price_and_nothing_else(mes: Instrument) -> None:
    none, state = simulate(Simulation("MES", 20, 5, 0.0, START), mes)
    some, same = simulate(Simulation("MES", 20, 5, 0.1, START), mes)
    assert (state == same).all()
    assert none["volume"].equals(some["volume"])
    assert not none["close"].equals(some["close"])


def test_the_state_is_a_symmetric_chain_of_the_stated_stay(mes: Instrument) -> None:
    _, state = simulate(Simulation("MES", 1500, 1, 0.0, START), mes)
    leaves = np.count_nonzero(np.diff(state))
    assert len(state) / leaves == pytest.approx(MEAN_STAY, rel=0.04)
    assert [float((state == s).mean()) for s in (-1, 0, 1)] == pytest.approx([1 / 3] * 3, abs=0.02)
    before, after = state[:-1][np.diff(state) != 0], state[1:][np.diff(state) != 0]
    for s in (-1, 0, 1):
        moves = after[before == s]
        assert {int(t) for t in np.unique(moves)} == {-1, 0, 1} - {s}
        assert float((moves == moves.max()).mean()) == pytest.approx(0.5, abs=0.03)


def test_volume_shows_the_state(mes: Instrument) -> None:
    frame, state = simulate(Simulation("MES", 100, 2, 0.0, START), mes)
    volume = frame["volume"].to_numpy()
    means = {s: volume[state == s].mean() for s in (-1, 0, 1)}
    assert means[-1] / means[0] == pytest.approx(VOLUME[-1], rel=0.05)
    assert means[1] / means[0] == pytest.approx(VOLUME[1], rel=0.05)
    # Relative to its own minute of the day, one minute's volume nearly tells the state.
    minute = frame["timestamp"].dt.hour().cast(pl.Int32) * 60 + frame["timestamp"].dt.minute()
    usual = frame.select(pl.col("volume").log().mean().over(minute))["volume"].to_numpy()
    guess = np.digitize(np.log(volume) - usual, [-0.35, 0.35]) - 1
    assert (guess == state).mean() > 0.8


@pytest.mark.parametrize("edge", [0.0, 0.05, -0.05])
def test_the_drift_is_the_edge_in_each_state(mes: Instrument, edge: float) -> None:
    frame, state = simulate(Simulation("MES", 400, 7, edge, START), mes)
    returns = log_returns(frame)
    # Each return in units of its own minute's volatility, by time of day.
    minute = frame["timestamp"].dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    key = minute.dt.hour().cast(pl.Int32) * 60 + minute.dt.minute()
    size = pl.DataFrame({"r": returns, "m": key}).select(pl.col("r").std().over("m"))["r"].to_numpy()
    for s in (-1, 0, 1):
        unit = (returns / size)[state == s]
        error = unit.std() / np.sqrt(len(unit))
        # Of mean square 1, the clusters have mean exp(-Var v / 2), 0.94.
        assert unit.mean() == pytest.approx(0.94 * edge * s, abs=4 * error)


def test_price_is_a_martingale_without_edge(mes: Instrument) -> None:
    ends = np.array(
        [simulate(Simulation("MES", 10, seed, 0.0, START), mes)[0]["close"][-1] for seed in range(120)]
    )
    growth = ends / (20_000 * mes.tick_size) - 1
    assert abs(growth.mean()) < 3.5 * growth.std() / np.sqrt(len(growth))
    assert growth.std() == pytest.approx(0.0115 * np.sqrt(10), rel=0.25)


def test_signs_are_balanced_and_free_of_volume_without_edge(mes: Instrument) -> None:
    frame, state = simulate(Simulation("MES", 400, 9, 0.0, START), mes)
    returns = log_returns(frame)
    moved = returns != 0
    for s in (-1, 1):
        up = (returns > 0)[moved & (state == s)]
        assert abs(up.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(up))


def test_volatility_clusters_and_is_highest_at_the_stock_markets_edges(mes: Instrument) -> None:
    frame, _ = simulate(Simulation("MES", 200, 4, 0.0, START), mes)
    size = pl.DataFrame(
        {
            "hour": frame["timestamp"]
            .dt.replace_time_zone("UTC")
            .dt.convert_time_zone("America/New_York")
            .dt.hour(),
            "r": np.abs(log_returns(frame)),
        }
    )
    by_hour = dict(size.group_by("hour").agg(pl.col("r").mean()).iter_rows())
    assert by_hour[15] > 1.3 * by_hour[12] > 1.3 * by_hour[20]
    daily = (
        as_raw(frame)
        .group_by_dynamic("datetime", every="1d")
        .agg((pl.col("close") / pl.col("open")).log().abs().mean().alias("size"), pl.len())
        .filter(pl.col("len") > 1200)["size"]
        .to_numpy()
    )
    assert np.corrcoef(daily[:-1], daily[1:])[0, 1] > 0.2


def test_bars_are_coherent_on_the_grid(mes: Instrument) -> None:
    frame, _ = simulate(Simulation("MES", 30, 6, 0.05, START), mes)
    assert (frame["high"] >= frame.select(pl.max_horizontal("open", "close", "low")).to_series()).all()
    assert (frame["low"] <= frame.select(pl.min_horizontal("open", "close")).to_series()).all()
    ticks = frame["close"].to_numpy() / mes.tick_size
    assert (ticks == np.rint(ticks)).all()
    step = frame["timestamp"].diff().slice(1)
    inside = step == timedelta(minutes=1)
    # Inside a session a minute opens where the last one closed; at a session's open there is a gap.
    jump = (frame["open"] - frame["close"].shift(1)).slice(1)
    assert (jump.filter(inside) == 0).all()
    assert (jump.filter(~inside) != 0).mean() > 0.9


def test_a_market_that_never_closes() -> None:
    mine = parse_instruments('[FIL]\ncalendar = "24x7"\ntick_size = 0.001\ntick_value = 0.001')["FIL"]
    frame, _ = simulate(Simulation("FIL", 3, 1, 0.0, START), mine)
    assert frame.height == 3 * 1440
    assert frame["timestamp"].diff().slice(1).n_unique() == 1


def test_settings_travel_as_json() -> None:
    settings = Simulation("MES", 5, 11, 0.02, START)
    assert Simulation.from_json(settings.as_json()) == settings
    for text in ("", "[]", "{}", settings.as_json().replace("2024", "x")):
        with pytest.raises(SettingError, match="no settings of a simulated market"):
            Simulation.from_json(text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sessions": 0}, "sessions 0"),
        ({"sessions": 20_001}, "1 to 20,000"),
        ({"seed": -1}, "seed -1"),
        ({"edge": 2.0}, "edge 2"),
        ({"edge": float("nan")}, "edge nan"),
    ],
)
def test_settings_are_checked(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Simulation(**{"symbol": "MES", "sessions": 5, "seed": 1, "edge": 0.0, **values})  # type: ignore[arg-type]


def test_steps_keep_the_price_a_martingale_at_any_volatility() -> None:
    # At a minute's real size the correction -sigma^2 / 2 is too small to see; at 30% a minute it is not.
    count = 100_000
    path = _path(
        np.full(count, 0.3), np.zeros(count, np.int8), np.zeros(count), 0.0, np.random.default_rng(1)
    )
    growth = np.exp(path[3] - path[0])
    assert growth.mean() == pytest.approx(1, abs=4 * growth.std() / np.sqrt(count))


def test_a_roll_moves_the_price_level(mes: Instrument, monkeypatch: pytest.MonkeyPatch) -> None:
    rolled, _ = simulate(Simulation("MES", 60, 3, 0.0, START), mes)
    monkeypatch.setattr("foldsmith.market.simulate.SD_ROLL", 0.0)
    smooth, _ = simulate(Simulation("MES", 60, 3, 0.0, START), mes)
    row = int((rolled["contract"] != rolled["contract"][0]).arg_max() or 0)
    assert rolled["close"][:row].equals(smooth["close"][:row])
    assert rolled["open"][row] != smooth["open"][row]
    assert rolled["timestamp"][row].date() == date(2024, 3, 6)
