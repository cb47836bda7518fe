"""`foldsmith audit`, through the command: clean runs pass, and what leaks fails by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from tests.workflow.conftest import Desk
from tests.workflow.test_flags import covers

from foldsmith.evaluation.metrics import most_probable_signal
from foldsmith.runs.audits import audits
from foldsmith.runs.ledger import Ledger
from foldsmith.stages import audit_chain, audit_evaluations, audit_fresh, trading
from foldsmith.stages.audit_evaluations import look_problems
from foldsmith.stages.audit_mutants import MUTANTS
from foldsmith.stages.out_of_fold import run_folds


def proofs(desk: Desk, *words: object, status: int = 0) -> list[dict[str, Any]]:
    """What an audit wrote as JSON, and its exit status."""
    desk.call("audit", *words, "--json", "audit.json", status=status)
    found: dict[str, Any] = json.loads((desk.path / "audit.json").read_text())
    assert found["held"] == (status == 0)
    assert found["held"] == all(proof["outcome"] == "held" for proof in found["proofs"])
    return list(found["proofs"])


def besides_ledger(everything: dict[str, int]) -> dict[str, int]:
    return {path: size for path, size in everything.items() if not path.endswith("ledger.sqlite")}


@covers("audit", "--cv", "--quick", "--json", "--html", "--workspace")
def test_a_clean_run_passes_and_says_what_was_done(tiny: Desk, tmp_path: Path) -> None:
    before, elsewhere = tiny.everything(), Desk(tmp_path)
    assert "  audit       never audited" in tiny.call("runs", "show", "base").stdout
    words = ["--cv", "base", "--quick", "--workspace", tiny.path, "--json", "a.json", "--html", "a.html"]
    told = elsewhere.call("audit", *words).stdout
    assert besides_ledger(tiny.everything()) == besides_ledger(before), "an audit writes to the ledger alone"
    found = json.loads((tmp_path / "a.json").read_text())
    # It is in the ledger, of this content and this code, with as many proofs as were run.
    assert "entered in the ledger as the audit of 2 runs" in told
    shown = tiny.call("runs", "show", "base").stdout
    assert f": {len(found['proofs'])} proofs held on this content (quick), with this code" in shown
    assert "the ledger: whole" in tiny.call("runs", "verify", "base").stdout
    assert found["held"]
    assert f"{len(found['proofs'])} held" in told
    assert {proof["group"] for proof in found["proofs"]} == {
        "provenance", "intervals", "causality", "seal", "models"
    }  # fmt: skip
    sealed = [proof for proof in found["proofs"] if proof["group"] == "seal"]
    assert {name for proof in sealed for name in ("logistic", "lightgbm") if name in proof["name"]} == {
        "logistic", "lightgbm"
    }  # fmt: skip
    tried = [proof["name"] for proof in found["proofs"] if proof["group"] == "models"]
    assert sorted(name.split(" h")[1].split(" ", 1)[1] for name in tried) == [
        "lightgbm: fits", "lightgbm: predictions", "logistic: fits", "logistic: predictions"
    ]  # fmt: skip
    # Fits made again give the bits that the run stored, and every proof has counted something.
    assert all(proof["counts"]["compared with stored predictions"] for proof in sealed)
    assert all(proof["counts"] for proof in found["proofs"])
    page = (tmp_path / "a.html").read_text()
    assert "All" in page
    assert "Not proved here" in page
    assert "<script" not in page


@pytest.fixture
def few_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cuts, where the chain from raw bars is not what a test is of."""
    chosen = audit_chain.chosen_cuts
    monkeypatch.setattr(audit_chain, "chosen_cuts", lambda source, quick: chosen(source, quick)[6:10])


@covers("audit", "--run", "--dataset", "--all")
@pytest.mark.proof
def test_what_is_audited_is_named_or_the_newest(tiny: Desk, few_cuts: None) -> None:
    words = ["--model", "stacking", "--horizon", 5, "--stacking-data", "base", "--meta-learner", "logistic"]
    model = tiny.train(*words)
    found = proofs(tiny, "--quick")
    assert any(proof["name"] == f"model {model.id}: meta-level folds" for proof in found)
    assert [proof["name"] for proof in proofs(tiny, "--run", model.id, "--quick")] == [
        each["name"] for each in found
    ]
    (dataset,) = (tiny.path / "data" / "datasets").iterdir()
    alone = proofs(tiny, "--dataset", dataset.name, "--quick")
    assert {proof["group"] for proof in alone} == {"provenance", "intervals", "causality"}
    single = tiny.train("--model", "logistic", "--horizon", 10)
    every = {proof["name"] for proof in proofs(tiny, "--all", "--quick")}
    assert {f"model {single.id}: training segment", f"model {model.id}: meta-level folds"} <= every


@pytest.mark.proof
def test_a_fresh_ensemble_and_evaluations_are_audited(tiny: Desk, few_cuts: None) -> None:
    fresh = tiny.train(
        "--model", "stacking", "--horizon", 5, "--base-models", "logistic,class_prior", "--meta-learner", "logistic",
        "--n-splits", 2, "--workers", 1,
    )  # fmt: skip
    # One with a trading rule of its own: it is made again by that rule, and by the counts of then.
    tiny.call("evaluate", "--run-id", fresh.id, "--split", "validation", "--flat-overnight")
    tiny.call("evaluate", "--run-id", fresh.id, "--split", "test")
    (tiny.path / "audit.json").unlink(missing_ok=True)
    before = tiny.everything()
    found = proofs(tiny, "--run", fresh.id, "--quick")
    (tiny.path / "audit.json").unlink()
    assert besides_ledger(tiny.everything()) == besides_ledger(before), (
        "nothing of what is made again is left"
    )
    names = [proof["name"] for proof in found]
    for name in (
        "h5: base folds",
        "h5 logistic fold 1",
        "meta-level folds",
        "meta-level folds, intervals",
        "looks",
    ):
        assert any(each.startswith(f"model {fresh.id}") and each.endswith(name) for each in names), name
    evaluated = [proof for proof in found if proof["name"].startswith("evaluation ")]
    assert [proof["group"] for proof in evaluated] == [
        "provenance", "provenance", "intervals", "evaluations", "intervals", "evaluations"
    ]  # fmt: skip
    assert all(proof["planted"] for proof in found if proof["group"] == "evaluations")


@pytest.mark.proof
def test_what_is_made_again_by_other_code_is_not_what_is_stored(
    tiny: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny.train(
        "--model", "voting", "--horizon", 5, "--base-models", "logistic,class_prior", "--n-splits", 2, "--workers", 1
    )  # fmt: skip
    tiny.call("evaluate", "--run-id", made.id, "--split", "validation")
    workspace = tiny.workspace
    model = workspace.open_run(workspace.runs, made.id)
    dataset = workspace.open_run(workspace.datasets, made.parents[0].id)

    def otherwise(tables: Any, *words: Any, **options: Any) -> Any:
        other = {
            h: replace(table, fitting=replace(table.fitting, class_weight="balanced"))
            for h, table in tables.items()
        }
        return run_folds(other, *words, **options)

    monkeypatch.setattr(audit_fresh, "run_folds", otherwise)
    proofs = {proof.name: proof for proof in audit_fresh.fresh_proofs(workspace, dataset, model, quick=True)}
    meta = proofs[f"model {made.id}: meta-level folds, intervals"]
    assert meta.outcome == "broken"
    assert "does not give the stored predictions" in meta.said
    monkeypatch.setattr(trading, "most_probable_signal", lambda P: -most_probable_signal(P))
    evaluated = audit_evaluations.evaluations_of(workspace, model)
    found = list(audit_evaluations.evaluation_proofs(workspace, model, evaluated))
    assert [proof.outcome for proof in found] == ["held", "broken", "held"]
    assert "trades.parquet, made again, is not what is stored" in found[1].said


def test_a_look_that_the_ledger_lacks_is_a_problem() -> None:
    evaluated = [SimpleNamespace(id="e", manifest=SimpleNamespace(extra={"look": 3}))]
    assert look_problems("test", evaluated, 1, 3) == []  # type: ignore[arg-type]
    assert "1 evaluations on test, and 0 looks" in look_problems("test", evaluated, 0, 3)[0]  # type: ignore[arg-type]
    assert "more looks at test" in look_problems("test", evaluated, 1, 2)[0]  # type: ignore[arg-type]


@covers("audit", "--plant")
@pytest.mark.parametrize(
    ("name", "proof"),
    [
        pytest.param("next-bar", "raw bars after a cut noise", marks=pytest.mark.proof),
        ("purge-by-start", "base folds"),
        pytest.param("in-sample", "logistic fold", marks=pytest.mark.proof),
        pytest.param("hashes-not-compared", "cv base", marks=pytest.mark.proof),
    ],
)
def test_a_leak_planted_in_the_program_fails_by_name(
    tiny: Desk, name: str, proof: str, few_cuts: None
) -> None:
    entered = audits(Ledger(tiny.workspace.ledger))
    done = tiny.call("audit", "--cv", "base", "--quick", "--plant", name, status=2)
    assert audits(Ledger(tiny.workspace.ledger)) == entered, "a plant says nothing of the run"
    failed = [line for line in done.stdout.splitlines() if line.startswith(("BROKEN", "BLIND", "COULD NOT"))]
    assert any(proof in line for line in failed), done.stdout
    assert proof in done.stderr or "more" in done.stderr
    assert "proofs failed" in done.stderr


@pytest.mark.proof
def test_a_feature_of_the_users_own_that_leaks_on_rare_days_is_named(tmp_path: Path) -> None:
    """One that phase 1 lets pass: it looks ahead in a block that is not among the three longest, which it probes."""
    desk = Desk(tmp_path)
    desk.call("simulate", "--sessions", 20, "--seed", 7)
    path = tmp_path / "data" / "raw" / "MES_1m.parquet"
    raw = pl.read_parquet(path)
    holes = pl.int_range(pl.len())
    gone = [holes.is_between(start, start + 199) for start in (8000, 9200, 15000)]
    raw.filter(~pl.any_horizontal(gone)).write_parquet(path)
    begins = str(raw["timestamp"][8200])[:13]
    (tmp_path / "features.toml").write_text(
        '[features.sly]\nfile = "mine.py"\nfunction = "sly"\nwarmup = 1\nequation = "close of a later bar"\n'
    )
    (tmp_path / "mine.py").write_text(
        "import polars as pl\n\n\ndef sly(bars: pl.DataFrame) -> pl.Series:\n"
        f'    ahead = 1 if str(bars["datetime"][0])[:13] == "{begins}" else 0\n'
        '    return bars["close"].shift(-ahead).fill_null(0.0)\n'
    )
    made = desk.dataset("--features", "price,sly")
    done = desk.call("audit", "--dataset", made.id, "--quick", status=2)
    assert "feature sly known at cut" in done.stdout
    assert "raw bars after a cut" in done.stderr
    assert "feature return_1" not in done.stdout
    # The same without the leak passes.
    (tmp_path / "mine.py").write_text(
        'import polars as pl\n\n\ndef sly(bars: pl.DataFrame) -> pl.Series:\n    return bars["close"] * 1.0\n'
    )
    desk.dataset("--features", "price,sly")
    desk.call("audit", "--quick")


def test_a_proof_that_cannot_run_is_a_failure_that_says_why(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.call("simulate", "--sessions", 12)
    desk.dataset()
    raw = tmp_path / "data" / "raw" / "MES_1m.parquet"
    raw.rename(raw.with_suffix(".away"))
    done = desk.call("audit", "--quick", status=2)
    assert "COULD NOT RUN  causality" in done.stdout
    assert "cannot be gone back to" in done.stdout
    assert "is gone" in done.stdout


def test_what_cannot_go_together_is_refused(tiny: Desk) -> None:
    assert "--cv and --all cannot go together" in tiny.denied("audit", "--cv", "base", "--all")
    assert "is no page" in tiny.denied("audit", "--html", "page.txt")
    assert "leave out" in tiny.denied("audit", "--mutants", "--quick")
    assert "name it with --cv" in tiny.denied("audit", "--dataset", "base")
    assert "no leak 'nope'" in tiny.denied("audit", "--plant", "nope")
    assert "nowhere" in tiny.denied("audit", "--cv", "nowhere")
    assert "--quick does not apply" in tiny.denied("audit", "--quick", "row", "2022-01-10T15:00")


@covers("audit row", "time", "--dataset", "--symbol", "--horizon", "--workspace")
def test_why_a_bar_is_a_row_is_said(tiny: Desk, tmp_path: Path) -> None:
    (dataset,) = (tiny.path / "data" / "datasets").iterdir()
    told = tiny.call("audit", "row", "2022-01-10T15:00", "--dataset", dataset.name).stdout
    assert "decides at its close 2022-01-10 15:00 UTC" in told
    assert "horizon 5: a row of the training segment" in told
    assert told.count("fold ") == 5
    other = tiny.call("audit", "row", "2022-01-10T15:00", "--symbol", "MES", "--horizon", 10).stdout
    assert "horizon 10" in other
    first = Desk(tmp_path).call("audit", "row", "2022-01-02T23:05", "--workspace", tiny.path).stdout
    assert "volatility is not known yet" in first
    assert "the market is closed" in tiny.denied("audit", "row", "2022-01-08T12:00").splitlines()[-1]
    assert "is no instant" in tiny.denied("audit", "row", "soon")


@covers("audit", "--mutants")
@pytest.mark.proof
def test_the_audit_sees_every_leak_that_is_planted(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    found = proofs(desk, "--mutants")
    assert [proof["name"] for proof in found] == ["no leak planted", *MUTANTS]
    assert sum(proof["counts"].get("killed", 0) for proof in found) == len(MUTANTS)


@pytest.mark.parametrize(
    "words", [("--quick",), ("null",), ("residual",), ("splitters", "--made-up")], ids=lambda words: words[0]
)
def test_where_it_is_to_be_written_is_looked_at_first(tiny: Desk, words: tuple[str, ...]) -> None:
    assert "the folder absent is not there" in tiny.denied("audit", *words, "--json", "absent/found.json")
    assert "no page" in tiny.denied("audit", *words, "--html", "found.txt")
