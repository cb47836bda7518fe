"""Markets of known truth, from raw minutes to the test segment: no edge is found in none, a planted one is.

Level: each group of tests is wrong about a sound engine in at most 1 of 100 draws of its seeds, by Bonferroni over
the tests in it. The spread is that between seeds, which are independent; nothing is assumed about rows of one market.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats
from tests.properties.markets import MODELS, Verdict, means_over_seeds, run_market

from foldsmith.features import FEATURES
from foldsmith.stages import evaluate as evaluate_stage
from foldsmith.stages import prepare as prepare_stage

LEVEL = 0.01
NULL_SEEDS = range(1, 21)
EDGE_SEEDS = range(1, 11)
EDGE = 0.08
HELD_OUT = [f"{name} {split}" for name in ("stacking", *MODELS) for split in ("validation", "test")]
OOF = [f"{model} oof" for model in MODELS]
TRADED = [*OOF, "stacking validation", "stacking test"]


def markets(root: Path, edge: float, seeds: range) -> Iterator[Verdict]:
    for seed in seeds:
        folder = root / str(seed)
        folder.mkdir()
        yield run_market(folder, edge, seed)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def without_edge(tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    with pytest.MonkeyPatch.context() as patch:
        # What could be reached without an edge is nothing; it need not be simulated for each.
        patch.setattr(evaluate_stage, "label_counts", lambda *_: np.ones((3, 3), dtype=np.int64))
        return list(markets(tmp_path_factory.mktemp("null"), 0.0, NULL_SEEDS))


@pytest.fixture(scope="module")
def with_edge(tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    return list(markets(tmp_path_factory.mktemp("edge"), EDGE, EDGE_SEEDS))


def told(values: np.ndarray, truth: float, what: str) -> str:
    test = stats.ttest_1samp(values, truth)
    return f"{what}: mean {values.mean():.4f}, sd {values.std(ddof=1):.4f}, t {test.statistic:.2f}, p {test.pvalue:.4f}"


@pytest.mark.proof
@pytest.mark.xdist_group("null")
class TestWithoutEdge:
    def test_direction_cannot_be_told(self, without_edge: list[Verdict]) -> None:
        """Mean AUC over seeds against 0.5, two-sided, at every level: base models out of fold, all on held-out rows."""
        places = [*OOF, *HELD_OUT]
        for place in places:
            values = means_over_seeds(without_edge, "auc", place)
            print(told(values, 0.5, place))
            assert stats.ttest_1samp(values, 0.5).pvalue > LEVEL / len(places), told(values, 0.5, place)

    def test_pooled_folds_do_not_look_better_than_they_are(self, without_edge: list[Verdict]) -> None:
        """Pooled, the AUC leans below 0.5 without an edge: a fold rich in longs leaves few to train on. Never above."""
        for place in OOF:
            values = means_over_seeds(without_edge, "pooled", place)
            print(told(values, 0.5, f"{place} pooled"))
            assert stats.ttest_1samp(values, 0.5, alternative="greater").pvalue > LEVEL / len(OOF)

    def test_nothing_is_earned_before_costs(self, without_edge: list[Verdict]) -> None:
        """Mean gross P&L of a trade against 0: between seeds everywhere, and over all trades where models are fixed."""
        for place in TRADED:
            values = means_over_seeds(without_edge, "gross", place)
            found = [stats.ttest_1samp(values, 0.0)]
            if "oof" not in place:
                # On held-out rows trades follow each other and each is a fair bet, so they are independent.
                trades = np.concatenate([verdict.gross[place] for verdict in without_edge])
                assert len(trades) > 1000
                found.append(stats.ttest_1samp(trades, 0.0))
            print(
                told(values, 0.0, place), "| all trades t", [round(float(one.statistic), 2) for one in found]
            )
            for one in found:
                assert one.pvalue > LEVEL / (len(TRADED) + 2), told(values, 0.0, place)

    def test_intervals_on_held_out_rows_hold_the_truth(self, without_edge: list[Verdict]) -> None:
        """Of n intervals of 95%, no more miss 0.5 than Binomial(n, 0.05) allows."""
        for place in HELD_OUT:
            missed = sum(not v.interval[place][0] <= 0.5 <= v.interval[place][1] for v in without_edge)
            print(f"{place}: {missed} of {len(without_edge)} intervals miss")
            assert stats.binom.sf(missed - 1, len(without_edge), 0.05) > LEVEL / len(HELD_OUT), (
                place,
                missed,
            )

    def test_the_ensembles_own_score_says_that_it_is_not_nested(self, without_edge: list[Verdict]) -> None:
        """It leans above 0.5 by about 0.01 (see test_noise); its statement goes with it, and validation is clean."""
        values = means_over_seeds(without_edge, "pooled", "stacking oof")
        print(told(values, 0.5, "stacking oof"))
        assert abs(values.mean() - 0.5) < 0.03
        assert all("not fully nested" in verdict.statement for verdict in without_edge)


@pytest.mark.proof
@pytest.mark.xdist_group("edge")
class TestPlantedEdge:
    def test_direction_is_told(self, with_edge: list[Verdict]) -> None:
        """Mean AUC over seeds above 0.5 at every level, and no interval of a seed lies below."""
        places = [*OOF, *HELD_OUT]
        for place in places:
            values = means_over_seeds(with_edge, "auc", place)
            print(told(values, 0.5, place))
            assert stats.ttest_1samp(values, 0.5, alternative="greater").pvalue < LEVEL / len(places)
            assert values.mean() > 0.57
            assert all(verdict.interval[place][1] > 0.5 for verdict in with_edge)

    def test_it_earns_before_costs(self, with_edge: list[Verdict]) -> None:
        for place in TRADED:
            values = means_over_seeds(with_edge, "gross", place)
            trades = np.concatenate([verdict.gross[place] for verdict in with_edge])
            print(told(values, 0.0, place), told(trades, 0.0, "all trades"))
            assert stats.ttest_1samp(values, 0.0, alternative="greater").pvalue < LEVEL / len(TRADED)

    def test_most_of_what_can_be_known_is_found_and_not_more(self, with_edge: list[Verdict]) -> None:
        """The stated share of the reachable gain: by seed it swings by 0.3, its mean is near but below 1."""
        found = [verdict.recovery["direction"] for verdict in with_edge]
        shares = np.array([each["share"] for each in found])
        print("shares", shares.round(2), told(shares, 1.0, "share"))
        assert all(0.03 < each["reachable"] < 0.06 for each in found)
        error = shares.std(ddof=1) / np.sqrt(len(shares))
        assert 0.5 < shares.mean() < 1 + 3 * error
        assert shares.min() > 0


@pytest.mark.proof
@pytest.mark.xdist_group("edge")
def test_a_planted_leak_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the features seen half an hour early, in a market without edge: four seeds give it away."""
    whole = prepare_stage.compute_features

    def leaky(bars: pl.DataFrame, slot_seconds: int, names: list[str], **options: int) -> pl.DataFrame:
        assert "rsi_14" in FEATURES
        return whole(bars, slot_seconds, names, **options).with_columns(
            pl.col("rsi_14").shift(-6, fill_value=float("nan"))
        )

    monkeypatch.setattr(prepare_stage, "compute_features", leaky)
    monkeypatch.setattr(evaluate_stage, "label_counts", lambda *_: np.ones((3, 3), dtype=np.int64))
    seen = list(markets(tmp_path, 0.0, range(1, 5)))
    for place in [*OOF, *HELD_OUT]:
        values = means_over_seeds(seen, "auc", place)
        assert stats.ttest_1samp(values, 0.5).pvalue < LEVEL / 8, told(values, 0.5, place)
