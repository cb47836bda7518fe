"""The audit sees each known leak that is planted, and what is planted is taken out again."""

from __future__ import annotations

import pytest

from foldsmith.audit import seal
from foldsmith.errors import SettingError
from foldsmith.models.base import Classifier
from foldsmith.stages import audit_mutants as mutants
from foldsmith.stages import prepare
from foldsmith.validation import cross_validate as fits

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> mutants.Bench:
    return mutants.make_bench(tmp_path_factory.mktemp("bench"))


QUICK = (
    "next-bar",
    "next-volatility",
    "purge-by-start",
    "no-embargo",
    "class-weights-of-all",
    "hashes-not-compared",
    "rows-remembered",
    "ranked-together",
    "chance-of-its-own",
)


def test_without_a_leak_every_proof_holds(bench: mutants.Bench) -> None:
    proof = mutants._baseline(bench, QUICK)
    assert proof.held, proof.said
    assert proof.counts["proofs"] >= 10


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_leak_is_seen_by_proofs_of_its_kind(bench: mutants.Bench, name: str) -> None:
    proof = mutants._prove_killed(bench, name)
    assert proof.held, proof.said
    assert f"killed by {mutants.MUTANTS[name].group}" in proof.said


@pytest.mark.parametrize("name", sorted(set(mutants.MUTANTS) - set(QUICK)))
def test_so_is_every_other(bench: mutants.Bench, name: str) -> None:
    proof = mutants._prove_killed(bench, name)
    assert proof.held, proof.said
    assert f"killed by {mutants.MUTANTS[name].group}" in proof.said


def test_a_leak_that_does_nothing_survives(bench: mutants.Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of killed and survived can say survived."""
    harmless = mutants.Mutant("intervals", "nothing", lambda: mutants.audit_leaks.folds({}))
    monkeypatch.setattr(mutants, "MUTANTS", {"harmless": harmless})
    monkeypatch.setattr(mutants.Bench, "proofs", lambda self, group: iter(()))
    proof = mutants._prove_killed(bench, "harmless")
    assert proof.outcome == "broken"
    assert "survived" in proof.said


def test_leaks_are_many_and_leave_nothing_behind() -> None:
    assert len(mutants.MUTANTS) >= 40

    def now() -> tuple[object, ...]:
        models = Classifier.fit, Classifier.predict_proba
        return (*models, prepare.compute_features, fits.fit_fold, fits._FitOn.stopping, fits.PurgedKFold)

    before = now()
    for each in mutants.MUTANTS.values():
        with each.plant():
            pass
    assert before == now()
    with pytest.raises(SettingError, match="next-bar"):
        mutants.mutant("nope")


def test_a_fit_that_learns_nothing_from_its_rows_is_blind(bench: mutants.Bench) -> None:
    from dataclasses import replace

    folds = replace(bench.folds(mutants.CORRECTED), features={"logistic": mutants.FEATURES})
    case = mutants.audit_splits.fold_case(folds, "logistic", 1, folds.pairs()[1], 1)
    still = replace(case, name="still")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seal, "fitted", lambda case, data: {"predictions": b"always"})
        assert seal.prove_case(still).outcome == "blind"
