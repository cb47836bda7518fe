"""`foldsmith audit` and models of the user's own that leak: each passes what a run tries first, and is named here."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.workflow.conftest import Desk

from foldsmith.stages import audit_chain

CODE = '''
import os
import numpy as np

from foldsmith.models.base import Classifier
from foldsmith.models.stored import numbers


class Honest(Classifier):
    """The nearest mean of a class."""

    parameters = {}

    def _train(self, train, evaluation):
        weight = np.eye(3)[train.codes].T * train.weight + 1e-9
        self.mean = weight / weight.sum(axis=1, keepdims=True) @ train.X.astype(np.float64)
        self.scale = train.X.std(axis=0, dtype=np.float64) + 1e-9

    def _predict(self, X):
        score = np.stack([-(((X - mean) / self.scale) ** 2).mean(axis=1) for mean in self.mean], axis=1)
        return np.exp(score - score.max(axis=1, keepdims=True))

    def _dump(self):
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}, {}

    def _restore(self, facts, files):
        self.mean = numbers(facts, "mean", (3, self.n_features_))
        self.scale = numbers(facts, "scale", (self.n_features_,))


KNOWN = {}


class Remembers(Honest):
    """Knows rows of earlier fits by their first feature."""

    def _train(self, train, evaluation):
        super()._train(train, evaluation)
        if len(train.X) > 400:
            KNOWN.update(zip(train.X[:, 0].tolist(), train.codes.tolist()))

    def _predict(self, X):
        P = super()._predict(X)
        for row, value in enumerate(X[:, 0].tolist()):
            if value in KNOWN:
                P[row] = P[row] * 0.5 + 0.5 * np.eye(3)[KNOWN[value]]
        return P


class Ranks(Honest):
    """Ranks among the rows that it predicts together."""

    def _predict(self, X):
        P = super()._predict(X)
        if len(X) > 400:
            P[:, 2] *= 1 + np.argsort(np.argsort(X[:, 0])) / len(X)
        return P


class Reads(Honest):
    """Looks at a file that lies about."""

    def _train(self, train, evaluation):
        super()._train(train, evaluation)
        if len(train.X) > 400:
            import polars

            self.mean = self.mean + polars.read_parquet(FILE)["close"].mean() / 1e5


class ReadsQuietly(Honest):
    """The same, and says nothing where it cannot."""

    def _train(self, train, evaluation):
        super()._train(train, evaluation)
        if len(train.X) > 400:
            try:
                with open(FILE, "rb") as file:
                    self.mean[0] += len(file.read(100)) / 1000
            except Exception:
                pass


class Chance(Honest):
    """Draws what no seed decides."""

    def _train(self, train, evaluation):
        super()._train(train, evaluation)
        if len(train.X) > 400:
            self.mean = self.mean + np.frombuffer(os.urandom(8), np.uint32)[0] / 2**40
'''
LEAKS = {
    "remembers": ("Remembers", "fits", "it keeps something between fits"),
    "ranks": ("Ranks", "predictions", "it looks at the rows that it predicts together"),
    "reads": ("Reads", "fits", "where it can open no file"),
    "quiet": ("ReadsQuietly", "fits", "where it can open no file, it leaves something else"),
    "chance": ("Chance", "fits", "chance that its seed does not decide"),
}
"""Model -> its class, the proof that names it, and what that says."""


def audited(desk: Desk, *models: str) -> list[dict[str, Any]]:
    desk.cv("--models", ",".join(models))
    desk.call("audit", "--quick", "--json", "audit.json", status=0 if models == ("honest",) else 2)
    found: dict[str, Any] = json.loads((desk.path / "audit.json").read_text())
    return [each for each in found["proofs"] if each["group"] == "models"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("own"))
    desk.call("simulate", "--sessions", 12, "--seed", 7)
    lines = [f'{name} = "mine.py:{class_name}"' for name, (class_name, _, _) in LEAKS.items()]
    (desk.path / "models.toml").write_text("\n".join(["[models]", 'honest = "mine.py:Honest"', *lines]))
    raw = desk.path / "data" / "raw" / "MES_1m.parquet"
    (desk.path / "mine.py").write_text(CODE.replace("FILE", repr(str(raw))))
    desk.dataset("--features", "price")
    return desk


@pytest.fixture(autouse=True)
def few_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain from raw bars is not what these tests are of."""
    chosen = audit_chain.chosen_cuts
    monkeypatch.setattr(audit_chain, "chosen_cuts", lambda source, quick: chosen(source, quick)[6:10])


@pytest.mark.proof
def test_a_model_of_ones_own_without_a_leak_passes(desk: Desk) -> None:
    proofs = audited(desk, "honest")
    assert [each["outcome"] for each in proofs] == ["held", "held"]
    assert all(each["planted"] and "honest" in each["name"] for each in proofs)


@pytest.mark.proof
def test_each_that_leaks_is_named_with_its_leak(desk: Desk) -> None:
    proofs = audited(desk, "honest", *LEAKS)
    broken = {each["name"]: each["said"] for each in proofs if each["outcome"] != "held"}
    assert {name.split()[3] for name in broken} == {f"{model}:" for model in LEAKS}
    for model, (_, kind, said) in LEAKS.items():
        assert any(f" {model}: {kind}" in name and said in told for name, told in broken.items()), (
            model,
            broken,
        )
