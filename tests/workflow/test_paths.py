"""`cv --paths`: paths beside folds change nothing, and go through ensembles, evaluations and audits."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import median, stdev
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.workflow.conftest import Desk, value
from tests.workflow.test_docs import commands
from tests.workflow.test_flags import covers

from foldsmith.errors import DataError
from foldsmith.market.instruments import instrument
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.manifest import Manifest
from foldsmith.runs.store import open_run
from foldsmith.stages import audit_chain, out_of_fold
from foldsmith.stages.path_data import read_paths

PATHS = ("--models", "logistic,lightgbm", "--paths", "4,2")
SIDES = ("short", "neutral", "long")


@pytest.fixture(scope="module")
def crossed(tiny: Desk) -> tuple[Manifest, str]:
    """The run `base` again, by two processes and with paths; and what it printed."""
    words = ["cv", *PATHS, "--horizons", 5, "--n-splits", 2, "--workers", 2, "--output-name", "paths"]
    before = Ledger(tiny.workspace.ledger)
    (dataset,) = (tiny.path / "data" / "datasets").iterdir()
    content = json.loads((dataset / "manifest.json").read_text())["content"]
    trials = before.trial_count(content)
    printed = tiny.call(*words).stdout
    # Two models in two folds were tried; what paths fit is another look at these, and K stays what it is.
    assert before.trial_count(content) == trials + 4
    return open_run(tiny.workspace.stacking, "paths").manifest, printed


def results(desk: Desk, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((desk.workspace.stacking / run_id / "cv_results.json").read_text())
    return found["horizons"]["5"]


def sharpe(dataset: Path, datetimes: list[Any], P: Any) -> float:
    """Of a year after costs, a trade at a time, in plain Python."""
    mine, closes = instrument("MES"), {}
    for row in pl.read_parquet(dataset / "bars.parquet").iter_rows(named=True):
        closes[row["close_time"]] = row["session"]
    labels = {
        row["datetime"]: row for row in pl.read_parquet(dataset / "labels_h5.parquet").iter_rows(named=True)
    }
    cost = 2 * (mine.commission + mine.slippage_ticks * mine.tick_value)
    daily: dict[Any, float] = defaultdict(float)
    last = max(labels[at]["label_end"] for at in datetimes)
    for close, session in closes.items():
        if datetimes[0] <= close <= last:
            daily[session] += 0.0
    free = datetimes[0]
    for at, row in zip(datetimes, P, strict=True):
        side = [-1, 0, 1][int(np.argmax(row))]
        if side and at >= free:
            label = labels[at]
            leave = label["exit_long" if side > 0 else "exit_short"]
            daily[closes[label["label_end"]]] += (
                side * (leave - label["entry"]) / mine.tick_size * mine.tick_value - cost
            )
            free = label["label_end"]
    profits = list(daily.values())
    return float(sum(profits) / len(profits) / stdev(profits) * 252**0.5)


@covers("cv", "--paths")
def test_paths_stand_beside_folds_and_change_nothing(tiny: Desk, crossed: tuple[Manifest, str]) -> None:
    manifest, printed = crossed
    plain = open_run(tiny.workspace.stacking, "base").manifest
    assert manifest.parameters["paths"] == [4, 2]
    assert "paths" not in plain.parameters
    more = {"paths/logistic_h5.parquet", "paths/lightgbm_h5.parquet"}
    assert set(manifest.files) - set(plain.files) == more
    others = {name for name in plain.files if manifest.files[name] != plain.files[name]}
    assert others <= {"cv_results.json", "manifest.json"}
    found, before = results(tiny, "paths"), results(tiny, "base")
    assert {name: each for name, each in found.items() if name != "paths"} == before
    told = found["paths"]
    assert [told[name] for name in ("groups", "tested", "splits", "paths")] == [4, 2, 6, 3]
    assert len(told["certificates"]) == 6
    assert all(one["overlaps"] == one["breaches"] == 0 < one["purged"] for one in told["certificates"])
    # Each row is on each path once, by the model of a split that tests its group; those of one group differ.
    run = open_run(tiny.workspace.stacking, "paths")
    stored = read_paths(run, "paths/lightgbm_h5.parquet")
    oof = pl.read_parquet(run.path / "stacking" / "stacking_dataset_h5.parquet")
    assert stored.rows["datetime"].equals(oof["datetime"])
    assert stored.P.shape == (3, oof.height, 3)
    assert all((stored.P[a] != stored.P[b]).any(axis=1).mean() > 0.9 for a, b in ((0, 1), (0, 2), (1, 2)))
    assert printed.count("path split") == 12
    assert "lightgbm h5 over 3 paths: Sharpe a year after costs median " in printed
    assert (
        f"fits: {2 * (2 + 6 + 1)} "
        in tiny.call("cv", *PATHS, "--horizons", 5, "--n-splits", 2, "--dry-run").stdout
    )


def test_each_sharpe_ratio_is_what_a_slow_trader_makes(tiny: Desk, crossed: tuple[Manifest, str]) -> None:
    (dataset,) = (tiny.path / "data" / "datasets").iterdir()
    run = open_run(tiny.workspace.stacking, "paths")
    for model, found in results(tiny, "paths")["paths"]["models"].items():
        stored = read_paths(run, f"paths/{model}_h5.parquet")
        slow = [sharpe(dataset, stored.rows["datetime"].to_list(), P) for P in stored.P]
        assert found["sharpe"] == pytest.approx(slow, abs=1e-9)
        assert found["median"] == pytest.approx(median(slow))
        assert (found["low"], found["high"]) == (pytest.approx(min(slow)), pytest.approx(max(slow)))
        assert found["below_0"] == sum(one < 0 for one in slow) / 3


def test_an_ensemble_has_paths_and_its_evaluation_shows_them(
    tiny: Desk, crossed: tuple[Manifest, str]
) -> None:
    (dataset,) = (tiny.path / "data" / "datasets").iterdir()
    words = ["--model", "stacking", "--horizon", 5, "--stacking-data"]
    plain, made = tiny.train(*words, "base"), tiny.train(*words, "paths")
    assert set(made.files) - set(plain.files) == {"predictions/paths.parquet"}
    assert all(made.files[name] == plain.files[name] for name in plain.files if name != "manifest.json")
    run = open_run(tiny.workspace.runs, made.id)
    stored = read_paths(run, "predictions/paths.parquet")
    once = pl.read_parquet(run.path / "predictions" / "meta_out_of_fold.parquet")
    assert stored.rows["datetime"].equals(once["datetime"])
    assert len(stored.P) == 3
    shown = tiny.call("evaluate", "--run-id", made.id, "--split", "validation").stdout
    folder = tiny.path / value(shown, "Evaluation saved to")
    found = json.loads((folder / "metrics.json").read_text())["significance"]["paths"]
    assert set(found["models"]) == {"stacking (ensemble)", "logistic", "lightgbm"}
    slow = [sharpe(dataset, stored.rows["datetime"].to_list(), P) for P in stored.P]
    assert found["models"]["stacking (ensemble)"]["sharpe"] == pytest.approx(slow, abs=1e-9)
    assert found["models"]["logistic"] == results(tiny, "paths")["paths"]["models"]["logistic"]
    assert "stacking (ensemble) over 3 paths: Sharpe a year after costs median " in shown
    page = (folder / "report.html").read_text()
    assert "recombined" not in page
    assert "joined to 3 paths that each predict every row once" in page
    assert "their spread is no standard error" in page
    other = tiny.call("evaluate", "--run-id", plain.id, "--split", "validation").stdout
    kept = json.loads((tiny.path / value(other, "Evaluation saved to") / "metrics.json").read_text())
    assert "cv --paths 6,2 makes them" in kept["significance"]["paths"]["skipped"]
    assert "over 3 paths" not in other
    told = tiny.call("runs", "reproduce", made.id, "--workers", 1).stdout
    assert f"model {made.id}: the same content" in told


@pytest.mark.proof
def test_paths_are_audited(
    tiny: Desk, crossed: tuple[Manifest, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Splits, a fit of each model on one of them, and the paths of an ensemble."""
    made = tiny.train("--model", "stacking", "--horizon", 5, "--stacking-data", "paths")
    chosen = audit_chain.chosen_cuts
    monkeypatch.setattr(audit_chain, "chosen_cuts", lambda source, quick: chosen(source, quick)[6:8])
    tiny.call("audit", "--run", made.id, "--quick", "--json", "paths.json")
    proofs = json.loads((tiny.path / "paths.json").read_text())["proofs"]
    (tiny.path / "paths.json").unlink()
    names = {proof["name"] for proof in proofs}
    mine = {f"model {made.id}: paths, made again", f"model {made.id}: meta-level folds of a path"}
    assert mine | {"cv paths h5: path splits"} <= names
    splits = next(proof for proof in proofs if proof["name"] == "cv paths h5: path splits")
    assert splits["counts"]["certificates compared"] == 6
    sealed = [
        proof for proof in proofs if proof["name"].startswith("cv paths h5 ") and "path_" in proof["name"]
    ]
    assert [proof["counts"]["compared with stored predictions"] for proof in sealed] == [1, 1]
    assert all(proof["outcome"] == "held" for proof in proofs)


@pytest.mark.parametrize("model", ["voting", "blending", "meta_labelling"])
def test_other_ensembles_have_paths_of_the_rows_they_are_scored_on(
    tiny: Desk, crossed: tuple[Manifest, str], model: str
) -> None:
    made = tiny.train("--model", model, "--horizon", 5, "--stacking-data", "paths")
    run = open_run(tiny.workspace.runs, made.id)
    stored = read_paths(run, "predictions/paths.parquet")
    once = pl.read_parquet(run.path / "predictions" / "meta_out_of_fold.parquet")
    assert stored.rows["datetime"].equals(once["datetime"])
    if model == "voting":
        cv = open_run(tiny.workspace.stacking, "paths")
        each = [read_paths(cv, f"paths/{name}_h5.parquet").P for name in ("logistic", "lightgbm")]
        assert np.allclose(stored.P, (each[0] + each[1]) / 2, atol=1e-6)


def test_joined_predictions_have_no_paths_and_say_so(tiny: Desk, crossed: tuple[Manifest, str]) -> None:
    told = tiny.call("train", "--model", "voting", "--horizon", 5, "--stacking-data", "paths,base").stdout
    assert "no paths: predictions of several runs or horizons are joined" in told
    assert (
        "predictions/paths.parquet" not in open_run(tiny.workspace.runs, value(told, "Run ID")).manifest.files
    )


def test_a_run_with_paths_is_reproduced_explained_and_resumed(
    tiny: Desk, crossed: tuple[Manifest, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process makes what two made; so does a run that failed in a path's fit and went on."""
    assert "--paths 4,2" in tiny.call("runs", "explain", "paths").stdout
    true = out_of_fold.fit_fold

    def broken(*args: Any, keys: Any, **options: Any) -> Any:
        if keys == ("lightgbm", 5, "path_3"):
            raise ValueError("no such luck")
        return true(*args, keys=keys, **options)

    words = ["cv", *PATHS, "--horizons", 5, "--n-splits", 2, "--workers", 1, "--output-name", "luck"]
    with monkeypatch.context() as patch:
        patch.setattr(out_of_fold, "fit_fold", broken)
        told = tiny.call(*words, status=2).stderr
    assert "1 of 12 fits failed: lightgbm_h5_fold_path_3 (ValueError: no such luck)" in told
    assert not (tiny.workspace.stacking / "luck").exists()
    resumed = tiny.call("cv", "--resume", "luck", "--workers", 1).stdout
    assert resumed.count("path split") == 1
    assert open_run(tiny.workspace.stacking, "luck").manifest.content == crossed[0].content


def test_the_command_of_the_page_on_splits_runs_as_it_stands(tiny: Desk) -> None:
    (words,) = commands("docs/validation.md")
    shown = tiny.call(*words, "--workers", 1).stdout
    run = open_run(tiny.workspace.stacking, value(shown, "CV Run ID"))
    assert len(read_paths(run, "paths/logistic_h5.parquet").P) == 3


def test_what_cannot_be_used_is_refused(tiny: Desk) -> None:
    assert "write N,K, such as 6,2" in tiny.denied("cv", "--paths", "6")
    assert "a single path" in tiny.denied("cv", "--paths", "6,1")
    assert "the most is 300" in tiny.denied("cv", "--paths", "20,10")
    assert "--paths does not apply: a resumed run" in tiny.denied("cv", "--resume", "base", "--paths", "6,2")
    tiny.call("train", "--model", "voting", "--horizon", 5, "--paths", "6,2", status=2)


def test_a_table_of_paths_that_was_spoilt_is_refused(
    tiny: Desk, crossed: tuple[Manifest, str], tmp_path: Path
) -> None:
    run = open_run(tiny.workspace.stacking, "paths")
    name = "paths/logistic_h5.parquet"
    frame, metadata = pl.read_parquet(run.path / name), pl.read_parquet_metadata(run.path / name)
    assert list(frame.columns[4:7]) == [f"path_0_prob_{side}" for side in SIDES]
    spoilt = {
        "must add up to 1": (frame.with_columns(path_1_prob_long=pl.lit(0.9, dtype=pl.Float32)), metadata),
        "'path_2_prob_short' is missing": (frame.drop("path_2_prob_short"), metadata),
        "does not say what paths it holds": (frame, {**metadata, "foldsmith": "{}"}),
        "says? what paths it holds|no groups of paths|the most is": (
            frame, {**metadata, "foldsmith": json.dumps({"paths": [20, 10]})}
        ),
    }  # fmt: skip
    for sentence, (table, about) in spoilt.items():
        table.write_parquet(tmp_path / "paths.parquet", metadata=about)
        other = _Unchecked(tmp_path)
        with pytest.raises(DataError, match=sentence):
            read_paths(other, "paths.parquet")  # type: ignore[arg-type]


class _Unchecked:
    """A run whose hashes are not compared, so that contracts are seen to be."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def verify(self, names: list[str]) -> None:
        """Nothing."""
