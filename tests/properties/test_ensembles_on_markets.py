"""Stacking on markets with a planted edge: what it adds to its base models, and whether its estimate comes true.

Each seed is a market of its own, from raw minutes to the test segment, so the spread between seeds is that of
independent draws. Scores are gains, base rate minus log loss in nats, so that a stretch of rows which is hard for all
counts for little. Beside it stands scikit-learn's `StackingClassifier` with the same base models, hyperparameters and
rows, used as its documentation shows: shuffled folds, which put rows whose labels overlap on both sides.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.properties.conftest import Made, prepared, quiet

from foldsmith.config import CrossValidateSettings, ValidationSettings
from foldsmith.evaluation.metrics import score
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation
from foldsmith.runs.store import Run, Workspace, read_json
from foldsmith.stages import evaluate as evaluate_stage
from foldsmith.stages.cross_validate import cross_validate
from foldsmith.stages.ensemble import train_stored
from foldsmith.stages.evaluate import evaluate
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.model_store import read_model
from foldsmith.stages.simulated import write_market
from foldsmith.validation.cross_validate import class_shares

LEVEL = 0.01
SEEDS = range(101, 111)
SESSIONS = 45
EDGE = 0.08
HORIZON = 10
MODELS = ("lightgbm", "logistic")
SHUFFLED = "StackingClassifier, shuffled folds"
SHUFFLED_FOLDS = 3
MARGIN = 0.25
"""Share of the best base model's gain that stacking may be behind, at most."""


@dataclass(frozen=True)
class Gain:
    """Base rate minus log loss, in nats: as estimated out of fold, and on the test segment."""

    estimated: float
    test: float


def gain(scores: Any) -> float:
    return float(scores["log_loss_base"] - scores["log_loss"])


def run_market(root: Path, seed: int) -> dict[str, Gain]:
    """Every model's gains on one market, by the stages as a library; default settings."""
    write_market(Workspace(root), Simulation("MES", SESSIONS, seed, EDGE), instrument("MES"), quiet)
    made = prepared(root, horizons=(HORIZON,))
    workspace = made.workspace
    settings = CrossValidateSettings(MODELS, (HORIZON,))
    cv = cross_validate(
        made.dataset, settings, made.provenance, quiet, folder=workspace.stacking, executor=Executor()
    )
    stacked = train_stored(
        workspace, cv.id, HORIZON, "stacking", "logistic", made.provenance, quiet,
        phase3_folder=workspace.stacking, folder=workspace.runs,
    )  # fmt: skip
    seen = evaluate(workspace, stacked.id, "test", made.provenance, quiet, folder=workspace.runs).metrics
    stated = read_json(cv.path / "cv_results.json")["horizons"][str(HORIZON)]["models"]
    found = {model: Gain(gain(stated[model]["oof"]), gain(seen["members"][model])) for model in MODELS}
    found["stacking"] = Gain(gain(read_json(stacked.path / "metrics.json")["meta_out_of_fold"]), gain(seen))
    found[SHUFFLED] = shuffled(made, cv, seed)
    return found


def shuffled(made: Made, cv: Run, seed: int) -> Gain:
    """scikit-learn's StackingClassifier, cross-validated and cross-fitted on shuffled folds."""
    from sklearn.ensemble import StackingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold, cross_val_predict

    table = load_horizons(made.dataset, (HORIZON,), ValidationSettings())[HORIZON]
    rows, held = (table.data.take(part) for part in (table.segments.training, table.segments.test))
    folds = KFold(SHUFFLED_FOLDS, shuffle=True, random_state=seed)
    stack = StackingClassifier(
        estimators(cv), LogisticRegression(max_iter=1000), cv=folds, stack_method="predict_proba"
    )
    rate = class_shares(rows.y)
    out = cross_val_predict(stack, rows.X, rows.y, cv=folds, method="predict_proba")
    tested = stack.fit(rows.X, rows.y).predict_proba(held.X)
    return Gain(gain(score(rows.y, out, base_rate=rate)), gain(score(held.y, tested, base_rate=rate)))


def estimators(cv: Run) -> list[tuple[str, Any]]:
    """The libraries' own estimators with the hyperparameters that the cross-validation's models were refitted with."""
    import lightgbm
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def params(model: str) -> dict[str, Any]:
        stored = read_model(cv, f"models/{model}_h{HORIZON}").params
        return {key: value for key, value in stored.items() if key != "seed"}

    boosted = lightgbm.LGBMClassifier(
        **params("lightgbm"), subsample_freq=1, random_state=1, n_jobs=1, verbosity=-1
    )
    # Newton's method, as the engine's own: lbfgs takes ten times as long.
    linear = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky", C=1.0))
    return [("lightgbm", boosted), ("logistic", linear)]


@pytest.fixture(scope="module")
def markets(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Gain]]:
    root = tmp_path_factory.mktemp("ensembles")
    found = []
    with pytest.MonkeyPatch.context() as patch:
        # What could be reached at most is not asked here; it need not be simulated for each.
        patch.setattr(evaluate_stage, "label_counts", lambda *_: np.ones((3, 3), dtype=np.int64))
        for seed in SEEDS:
            folder = root / str(seed)
            folder.mkdir()
            found.append(run_market(folder, seed))
            shutil.rmtree(folder)
            print(
                seed,
                {name: (round(one.estimated, 4), round(one.test, 4)) for name, one in found[-1].items()},
                flush=True,
            )
    print("\n| model | gain estimated | gain on test | test minus estimate | 99% interval | t |")
    print("|---|---|---|---|---|---|")
    for name in found[0]:
        estimated, test = gains(found, name)
        low, high = interval(test - estimated)
        t = stats.ttest_1samp(test - estimated, 0.0).statistic
        print(f"| {name} | {estimated.mean():.4f} | {test.mean():.4f} | {(test - estimated).mean():+.4f} | "
              f"[{low:+.4f}, {high:+.4f}] | {t:.1f} |")  # fmt: skip
    return found


def gains(markets: list[dict[str, Gain]], name: str) -> tuple[Any, Any]:
    """Gains of one model by seed, estimated and on test."""
    estimated, test = zip(*((one[name].estimated, one[name].test) for one in markets), strict=True)
    return np.array(estimated), np.array(test)


def interval(values: Any) -> tuple[float, float]:
    """Student's interval of the mean at 1 - LEVEL, over seeds."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    half = float(stats.t.ppf(1 - LEVEL / 2, len(values) - 1) * error)
    return float(values.mean()) - half, float(values.mean()) + half


@pytest.mark.proof
@pytest.mark.xdist_group("ensembles")
class TestPlantedEdge:
    def test_stacking_is_not_worse_than_the_best_base_model(self, markets: list[dict[str, Gain]]) -> None:
        """Against the base model that turns out best on test over all seeds, which nobody knows before: paired over
        seeds, the lower end of the 99% interval of the difference is above a quarter of that model's gain below 0."""
        tested = {model: gains(markets, model)[1] for model in MODELS}
        best = max(tested, key=lambda model: float(tested[model].mean()))
        apart = gains(markets, "stacking")[1] - tested[best]
        low, high = interval(apart)
        print(f"stacking minus {best} on test: {apart.mean():+.4f} [{low:+.4f}, {high:+.4f}]")
        assert tested[best].mean() > 0
        assert low > -MARGIN * tested[best].mean()

    def test_the_estimate_of_stacking_comes_true(self, markets: list[dict[str, Gain]]) -> None:
        """The 99% interval of test minus estimate holds 0, and is narrower than the gain itself."""
        estimated, test = gains(markets, "stacking")
        low, high = interval(test - estimated)
        assert low <= 0 <= high, (low, high)
        assert high - low < test.mean()

    def test_shuffled_folds_promise_more(self, markets: list[dict[str, Gain]]) -> None:
        """Paired over seeds: how far short of its estimate each falls."""
        short = {name: np.subtract(*gains(markets, name)) for name in ("stacking", SHUFFLED)}
        found = stats.ttest_rel(short[SHUFFLED], short["stacking"], alternative="greater")
        print(
            f"shuffled folds promise {np.mean(short[SHUFFLED] - short['stacking']):+.4f} more, p {found.pvalue:.4f}"
        )
        assert found.pvalue < LEVEL
