"""What a fold fits before its model: from its own rows alone, saved to the bit, and equal wherever it is made."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.models.rows import QUICK
from tests.validation.rows import apart

from foldsmith.dataset import BarInputs, Dataset
from foldsmith.errors import DataError, FoldsmithError
from foldsmith.features.fitted import FITTED, inputs_of
from foldsmith.labels.weighting import Weighting
from foldsmith.splits import PurgedKFold, purged_tail
from foldsmith.validation import cross_validate
from foldsmith.validation.cross_validate import Fitting, Search, fit_fold, predict, predict_rows, refit
from foldsmith.validation.fold_features import FILE, FoldFeatures

MINUTE = 60_000_000
NAMES = tuple(FITTED)
N = 1200


def made(seed: int = 0) -> tuple[Dataset, Any]:
    """A row for most bars of two blocks, labels that a calm or wild state decides, and the closes of all bars."""
    rng = np.random.default_rng(seed)
    n_bars = N + 60
    wild = (np.arange(n_bars) // 70) % 2
    r = rng.normal(size=n_bars) * (1 + 3 * wild) * 1e-3
    of_bars = {
        "return_1": r,
        "bar_range": np.abs(r) + rng.uniform(0, 1e-3, n_bars) * (1 + wild),
        "momentum_12": np.convolve(r, np.ones(12))[:n_bars] * 100,
        "volatility_ratio_6_48": wild + rng.normal(size=n_bars) * 0.3,
    }
    names = inputs_of(NAMES)
    bars = (np.arange(n_bars, dtype=np.int64) + 1) * MINUTE
    bar = np.sort(rng.choice(n_bars - 12, N, replace=False)).astype(np.int64)
    values = np.stack([of_bars[name] for name in names], axis=1).astype(np.float32)
    inputs = BarInputs(values, names, (np.arange(n_bars) >= 500).astype(np.int32), bar)
    y = np.where(wild[bar] == 1, rng.choice([-1, 1], N), 0).astype(np.int8)
    X = rng.normal(size=(N, 2)).astype(np.float32)
    end = bars[bar + rng.integers(1, 9, N)]
    return Dataset(X, y, np.ones(N), bars[bar], end, ("a", "b"), NAMES, inputs), bars


DATA, BARS = made()
APART = apart(BARS)
PLAIN = Fitting(APART, Weighting("none", BARS), 0.25)
FOLDS = list(PurgedKFold(4, t0=DATA.t0, t1=DATA.t1, **APART.options()).split(DATA.X))


def inputs_of_data(data: Dataset = DATA) -> BarInputs:
    assert data.inputs is not None
    return data.inputs


def garbage(data: Dataset, bars: Any) -> Dataset:
    """Wild numbers for the inputs of these bars."""
    inputs = inputs_of_data(data)
    values = inputs.values.copy()
    values[bars] = np.random.default_rng(9).uniform(1, 50, size=(len(bars), values.shape[1]))
    return replace(data, inputs=replace(inputs, values=values))


def fitted_fold(
    model: str, data: Dataset, number: int = 3, n_trials: int = 0, **more: Any
) -> cross_validate.FoldFit:
    train, test = FOLDS[number]
    settings = {
        "fitting": PLAIN,
        "seed": 11,
        "keys": (model, 8, number),
        "params": None if n_trials else QUICK[model],
        "search": Search(n_trials),
    }
    return fit_fold(model, data, train, test, **{**settings, **more})


@pytest.mark.parametrize("number", range(4))
def test_a_fit_sees_the_bars_of_its_own_rows_alone(number: int) -> None:
    train, _ = FOLDS[number]
    clean = FoldFeatures.fit(DATA.take(train))
    others = np.setdiff1d(np.arange(len(inputs_of_data().values)), inputs_of_data().bar[train])
    assert len(others) > N // 4
    spoilt = garbage(DATA, others)
    spoilt = replace(spoilt, y=-spoilt.y, X=spoilt.X * 50)
    assert FoldFeatures.fit(spoilt.take(train)).to_files() == clean.to_files()
    felt = FoldFeatures.fit(garbage(DATA, inputs_of_data().bar[train[:5]]).take(train))
    assert felt.to_files() != clean.to_files()


def test_a_row_knows_the_bars_of_its_block_up_to_its_own() -> None:
    fitted = FoldFeatures.fit(DATA)
    whole = fitted.matrix(DATA.X, DATA.inputs)
    inputs = inputs_of_data()
    for row in (3, 400, 700, N - 1):
        bar = int(inputs.bar[row])
        later = garbage(DATA, np.arange(bar + 1, len(inputs.values)))
        earlier = garbage(DATA, np.flatnonzero(inputs.block < inputs.block[bar]))
        for data in (later, earlier):
            found = fitted.matrix(data.X, data.inputs)
            assert found[row].tobytes() == whole[row].tobytes()
        # One row alone, also where the bars begin with its block.
        begin = int(np.flatnonzero(inputs.block == inputs.block[bar])[0])
        short = BarInputs(inputs.values[begin:], inputs.names, inputs.block[begin:], np.array([bar - begin]))
        assert fitted.matrix(DATA.X[[row]], short).tobytes() == whole[[row]].tobytes()
    # And it does know those: the bar before is felt.
    felt = garbage(DATA, inputs.bar[[399]])
    assert (fitted.matrix(felt.X, felt.inputs)[400] != whole[400]).any()


def test_what_is_saved_comes_back_to_the_bit() -> None:
    for names in (NAMES, ("hmm_up",), ("hmm_volatile", "hmm_calm")):
        fitted = FoldFeatures.fit(DATA.select(("a", *names)))
        files = fitted.to_files()
        assert list(files) == [FILE]
        back = FoldFeatures.from_files({**files, "other": b""})
        assert back.names == names
        assert back.to_files() == files
        assert back.matrix(DATA.X, DATA.inputs).tobytes() == fitted.matrix(DATA.X, DATA.inputs).tobytes()
    assert FoldFeatures.fit(DATA.select(("a",))).to_files() == {}
    assert FoldFeatures.from_files({"model.bin": b""}).matrix(DATA.X, None) is DATA.X


def _edited(edit: Any) -> dict[str, bytes]:
    """A saved file with its facts changed and its own hash made to fit again, as a forger would."""
    from foldsmith.models.stored import OWN, pack

    facts = json.loads(FoldFeatures.fit(DATA).to_files()[FILE])
    for key in ("format", "sha256", OWN):
        facts.pop(key)
    edit(facts)
    return pack(FILE, facts, {})


@pytest.mark.parametrize(
    "edit",
    [
        lambda facts: facts.update(features=["hmm_up", "hmm_up"]),
        lambda facts: facts.update(features=["nope"]),
        lambda facts: facts.update(features=[["hmm_up"]]),
        lambda facts: facts.update(features="hmm_up"),
        lambda facts: facts.update(markov=[]),
        lambda facts: facts["markov"].pop("trend_3"),
        lambda facts: facts["markov"].update(trend_3=5),
        lambda facts: facts["markov"]["trend_3"].update(inputs=["return_1", "gap"]),
        lambda facts: facts["markov"]["trend_3"].update(mean=[0.0]),
        lambda facts: facts["markov"]["trend_3"].update(scale=[0.0, 1.0]),
        lambda facts: facts["markov"]["trend_3"].update(transition=[[1.0, 1.0, 0.0]] * 3),
        lambda facts: facts["markov"]["trend_3"].update(transition=[[2.0, -1.0, 0.0]] * 3),
        lambda facts: facts["markov"]["trend_3"].update(variances=[[0.0, 1.0]] * 3),
        lambda facts: facts["markov"]["trend_3"].update(means=[["x", 1.0]] * 3),
        lambda facts: facts["markov"]["trend_3"].update(means=[[10**400, 1.0]] * 3),
    ],
)
def test_a_forged_file_is_refused(edit: Any) -> None:
    with pytest.raises(DataError):
        FoldFeatures.from_files(_edited(edit))


def test_a_damaged_file_is_refused() -> None:
    content = FoldFeatures.fit(DATA).to_files()[FILE]
    rng = np.random.default_rng(5)
    for at in rng.choice(len(content), 60, replace=False):
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(FoldsmithError):
            FoldFeatures.from_files({FILE: bytes(damaged)})


@pytest.mark.parametrize("n_trials", [0, 2])
@pytest.mark.parametrize("model", ["logistic", "lightgbm"])
def test_a_fold_without_later_rows_is_sealed_whole(model: str, n_trials: int) -> None:
    """Labels, features and inputs of what is purged, and labels of what is scored, are poisoned: nothing changes."""
    train, test = FOLDS[3]
    outside = np.setdiff1d(np.arange(N), train)
    y = DATA.y.copy()
    y[outside] = -1
    bad = replace(DATA, y=y, X=DATA.X.copy())
    bad.X[np.setdiff1d(outside, test)] = 77
    bad = garbage(bad, np.arange(int(inputs_of_data().bar[-1]) + 1, len(BARS)))
    clean = fitted_fold(model, DATA, n_trials=n_trials)
    assert fitted_fold(model, bad, n_trials=n_trials).probabilities.tobytes() == clean.probabilities.tobytes()
    # The states decide the labels: the columns reach the model.
    blind = fitted_fold(model, DATA.select(("a", "b")), n_trials=n_trials)
    right, chance = (
        (each.probabilities.argmax(axis=1) == DATA.y[test] + 1).mean() for each in (clean, blind)
    )
    assert right > chance + 0.1


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("model", ["logistic", "lightgbm"])
def test_a_fitted_model_has_the_same_bytes_whatever_its_fold_must_not_see(model: str, number: int) -> None:
    """Poisoned: all of purged, embargoed and scored rows, and inputs of their bars where no training row follows.

    A training row behind the scored fold filters its past, as each feature does, so there the bars of its block before
    it stay; the parameters do not come from them (see the first test).
    """
    train, _ = FOLDS[number]
    inputs = inputs_of_data()
    bars = np.setdiff1d(np.arange(len(inputs.values)), inputs.bar[train])
    last = {int(block): inputs.bar[train][inputs.block[inputs.bar[train]] == block].max() for block in (0, 1)
            if (inputs.block[inputs.bar[train]] == block).any()}  # fmt: skip
    unreached = [bar for bar in bars if bar > last.get(int(inputs.block[bar]), -1)]
    assert len(unreached) > 8
    outside = np.setdiff1d(np.arange(N), train)
    bad = garbage(DATA, np.array(unreached))
    y, X = bad.y.copy(), bad.X.copy()
    y[outside], X[outside] = -1, 77
    bad = replace(bad, y=y, X=X)

    def files(data: Dataset) -> dict[str, bytes]:
        fitting = Fitting(APART, Weighting("uniqueness", BARS), 0.25)
        settings: dict[str, Any] = {"fitting": fitting, "params": QUICK[model]}
        return refit(model, data.take(train), iterations=[None], seed=5, **settings).to_files()

    clean = files(DATA)
    assert FILE in clean
    assert len(clean) >= 2
    assert files(bad) == clean
    assert files(garbage(DATA, inputs.bar[train[-3:]])) != clean


def test_fitted_on_the_head_where_the_model_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials and early stopping see features of the head; a model fitted on all rows sees those of all rows."""
    train, _ = FOLDS[1]
    rows = DATA.take(train)
    head, _ = purged_tail(rows.t0, rows.t1, 0.25, **APART.options())
    fits: list[bytes] = []
    whole = FoldFeatures.fit.__func__  # type: ignore[attr-defined]

    def noted(cls: Any, data: Dataset) -> FoldFeatures:
        made: FoldFeatures = whole(cls, data)
        fits.append(made.to_files()[FILE])
        return made

    on_head, on_all = (FoldFeatures.fit(each).to_files()[FILE] for each in (rows.take(head), rows))
    assert on_head != on_all
    monkeypatch.setattr(FoldFeatures, "fit", classmethod(noted))
    for model, n_trials, expected in (
        ("lightgbm", 0, [on_head]),
        ("lightgbm", 1, [on_head, on_head]),
        ("logistic", 1, [on_head, on_all]),
        ("logistic", 0, [on_all]),
    ):
        fits.clear()
        fitted_fold(model, DATA, 1, n_trials=n_trials)
        assert fits == expected, (model, n_trials)


def test_a_refit_predicts_with_what_it_was_fitted_with() -> None:
    train, test = FOLDS[2]
    fitted = refit("logistic", DATA.take(train), fitting=PLAIN, params={}, iterations=[None], seed=5)
    assert set(fitted.to_files()) == {*fitted.classifier.to_files(), FILE}
    features = FoldFeatures.from_files(fitted.to_files())
    by_hand = predict(fitted.classifier, features.matrix(DATA.X[test], inputs_of_data().take(test)))
    assert predict_rows(fitted, DATA.take(test)).tobytes() == by_hand.tobytes()
    assert fitted.classifier.n_features_ == 2 + len(NAMES)


def test_rows_and_columns_go_together() -> None:
    rows = np.array([5, 9, 700])
    taken = DATA.take(rows)
    assert inputs_of_data(taken).bar.tolist() == inputs_of_data().bar[rows].tolist()
    fitted = FoldFeatures.fit(DATA)
    applied = fitted.apply(taken)
    assert applied.names == ("a", "b", *NAMES)
    assert applied.X.tobytes() == fitted.apply(DATA).X[rows].tobytes()
    some = DATA.select(("b", "hmm_up"))
    assert (some.names, some.fitted) == (("b",), ("hmm_up",))
    assert DATA.select(("a",)).inputs is None
    alone = DATA.select(("hmm_up",))
    assert FoldFeatures.fit(alone).apply(alone).names == ("hmm_up",)
    assert DATA.select(("a", "b", *NAMES)) is DATA
    with pytest.raises(DataError, match="need the bar of each row"):
        replace(DATA, inputs=None)
    with pytest.raises(DataError, match="none were given"):
        fitted.matrix(DATA.X, None)
    values = inputs_of_data().values.copy()
    values[inputs_of_data().bar[4]] = np.nan
    with pytest.raises(DataError, match="is missing in a row"):
        fitted.matrix(DATA.X, replace(inputs_of_data(), values=values))
