"""What `evaluate` says and keeps: the verdict, what was tried, and the trading rules that its flags choose."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.workflow.conftest import Desk, Made, value
from tests.workflow.test_docs import commands
from tests.workflow.test_flags import covers

from foldsmith.evaluation.trading_rule import DEFAULT_RULE, TradingRule
from foldsmith.runs.audits import Audited, record
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.manifest import read
from foldsmith.runs.store import Run
from foldsmith.stages import trading
from foldsmith.stages.trading import trade

pytestmark = pytest.mark.xdist_group("workflow")


def evaluated(
    desk: Desk, run_id: str, *flags: object, split: str = "validation"
) -> tuple[Path, dict[str, Any]]:
    """Folder and metrics of a new evaluation."""
    shown = desk.call("evaluate", "--run-id", run_id, "--split", split, *flags).stdout
    folder = desk.path / value(shown, "Evaluation saved to")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert value(shown, "Verdict") == metrics["verdict"]["verdict"]
    return folder, metrics


def counted(desk: Desk) -> int:
    """K by a query of its own: every trial and every model looked at, on all datasets of the one raw file."""
    raw = next(parent.content for parent in read(next((desk.path / "data" / "datasets").iterdir())).parents)
    with sqlite3.connect(desk.path / "experiments" / "ledger.sqlite") as connection:
        trials = connection.execute(
            "SELECT COUNT(DISTINCT run_id || body) FROM entries WHERE kind = 'trial' AND fingerprint <> ?",
            (raw,),
        ).fetchone()[0]
        looked = connection.execute(
            "SELECT COUNT(DISTINCT json_extract(body, '$.content') || COALESCE(json_extract(body, '$.rule'), '')) "
            "FROM entries WHERE kind = 'look'"
        ).fetchone()[0]
    return int(trials + looked)


@covers("evaluate", "--snooping")
def test_the_verdict_rests_on_the_ledger_whatever_is_deleted(tiny: Desk, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    shutil.copytree(tiny.path, desk.path)
    stacked = desk.train("--model", "stacking", "--horizon", 5, "--stacking-data", "base")
    first, metrics = evaluated(desk, stacked.id, "--snooping")
    found = metrics["significance"]
    assert (
        found["tried"]["trials"] == found["sharpe"]["trials"] == metrics["verdict"]["trials"] == counted(desk)
    )
    assert found["series"]["names"] == ["logistic", "lightgbm", "stacking (ensemble)"]
    assert set(found["diebold_mariano"]) == {"logistic", "lightgbm"}
    # Asked for, and too short a market for it (or no `arch`): that is said, and nothing passes in silence.
    assert (
        "days are too few to test" in found["snooping"]["skipped"] or "arch" in found["snooping"]["skipped"]
    )
    assert found["sharpe"]["deflated_sharpe_ratio"] <= metrics["backtest"]["psr"]
    again = (
        f"again       python scripts/evaluate_model.py --run-id {stacked.id} --split validation --snooping"
    )
    assert again in desk.call("runs", "explain", first.name).stdout
    # A pruned trial, a model whose fit fails, a removed run, and the look at it.
    desk.cv("--models", "lightgbm", "--tune", "--n-trials", 2, "--output-name", "gone")
    alone = desk.train("--model", "logistic", "--horizon", 5)
    evaluated(desk, alone.id)
    shutil.rmtree(desk.path / "data" / "stacking" / "gone")
    shutil.rmtree(desk.path / "experiments" / "runs" / alone.id)
    second, later = evaluated(desk, stacked.id)
    assert later["significance"]["tried"]["trials"] == counted(desk) > found["tried"]["trials"]
    # The model is still the first that was looked at; what came after cost it nothing, and its looks are shown.
    assert later["verdict"]["place"] == 1
    assert "these raw bars</dt><dd>3</dd>" in (second / "report.html").read_text()
    other = desk.train("--model", "lightgbm", "--horizon", 5)
    assert evaluated(desk, other.id)[1]["verdict"]["place"] == 3
    # One that kept no out-of-fold profits says so.
    report = (desk.path / "experiments" / "runs" / other.id / "evaluations").glob("*/report.html")
    assert "0 series of out-of-fold profits" in next(report).read_text()
    # Without the CV run it was made from, that is told, and the rest is as before.
    (desk.path / "data" / "stacking" / "base").rename(tmp_path / "away")
    _, without = evaluated(desk, stacked.id)
    assert without["significance"]["series"]["missing"] == ["CV run 1 that it was made from is not found"]
    assert without["verdict"]["tests"] == later["verdict"]["tests"]


@covers("evaluate", "--sizing", "--contracts", "--overlap", "--slippage", "--flat-overnight")
def test_trading_rules(made: Made) -> None:
    desk, usual = made.desk, made.desk.path / made.evaluation
    plain = json.loads((usual / "metrics.json").read_text())["backtest"]

    def trades(*flags: object) -> tuple[pl.DataFrame, dict[str, Any]]:
        folder, metrics = evaluated(desk, made.stacked, *flags, "--importance", "none", split="test")
        assert metrics["direction_auc"] == json.loads((usual / "metrics.json").read_text())["direction_auc"]
        return pl.read_parquet(folder / "trades.parquet"), metrics["backtest"]

    before = pl.read_parquet(usual / "trades.parquet")
    twice, summary = trades("--contracts", 2)
    # The walk over the bars leaves where the labels do, by default.
    shared = ["datetime", "label_end", "side", "entry", "exit", "bars", "session"]
    assert twice.select(shared).equals(before.select(shared))
    assert summary["gross"] == pytest.approx(2 * plain["gross"])
    assert summary["net"] == pytest.approx(2 * plain["net"])
    dear, _ = trades("--slippage", "0.5,1,2.5")
    assert dear.select(shared).equals(before.select(shared))
    assert dear["cost"].round(4).unique().sort().to_list() == [2.49, 3.74, 7.49]
    assert trades("--slippage", 0)[0]["cost"].to_list() == pytest.approx([1.24] * before.height)
    sized, summary = trades("--sizing", "probability", "--contracts", 10)
    assert sized["contracts"].n_unique() > 3
    assert summary["too_small"] >= 0
    own, summary = trades("--overlap", "net", "--contracts", 3)
    assert summary["rule"] == {"contracts": 3, "overlap": "net"}
    assert (own["datetime"].shift(-1) < own["label_end"]).any()
    mean, summary = trades("--overlap", "average", "--contracts", 3)
    assert summary["rule"] == {"contracts": 3, "overlap": "average"}
    assert summary["signals"] > summary["orders"] >= mean.height > 0
    assert mean["contracts"].max() <= 3
    # Of three classes few sides have a probability above a half.
    sure, summary = trades("--contracts", 3, "--sizing", "meta")
    assert summary["rule"] == {"contracts": 3, "sizing": "meta"}
    assert summary["too_small"] > 0
    assert sure.height < before.height
    day, _ = trades("--flat-overnight")
    sessions = pl.read_parquet(desk.path / "data" / "datasets" / made.dataset / "bars.parquet")
    begun = day.join(sessions.select(datetime="close_time", begun="session"), on="datetime")
    assert (begun["begun"] == begun["session"]).all()
    for wrong in ("1,2", "dear", "nan", "-1"):
        assert "slippage" in desk.denied(
            "evaluate", "--run-id", made.stacked, "--split", "test", f"--slippage={wrong}"
        )
    # An evaluation by a rule is made again by it.
    last = max((desk.path / "experiments" / "runs" / made.stacked / "evaluations").glob("test_*"))
    assert "--flat-overnight" in desk.call("runs", "explain", last.name).stdout
    assert read(last).parameters == {"split": "test", "flat_overnight": True, "importance": "none"}


@covers("evaluate", "--importance")
def test_where_a_result_comes_from(tiny: Desk, made: Made) -> None:
    """Cells, curves and importances are in metrics.json and on the page; --importance does what it says."""
    folder = made.desk.path / made.evaluation
    metrics, page = json.loads((folder / "metrics.json").read_text()), (folder / "report.html").read_text()
    trades, rows = (pl.read_parquet(folder / f"{name}.parquet") for name in ("trades", "predictions"))
    found = metrics["attribution"]
    assert set(found["ways"]) == {
        "year", "part of the day", "hour", "weekday", "volatility", "trend", "side"
    }  # fmt: skip
    for name in ("year", "part of the day", "hour", "weekday", "volatility"):
        cells = found["ways"][name]["cells"]
        assert sum(cell["trades"] for cell in cells) == trades.height, name
        assert sum(cell["net"] for cell in cells) == pytest.approx(trades["net"].sum())
        assert sum(cell["rows"] for cell in cells) == rows.height
    by_hour = {cell["name"][:2]: cell["trades"] for cell in found["ways"]["hour"]["cells"] if cell["trades"]}
    hours = trades["datetime"].dt.convert_time_zone("America/Chicago").dt.strftime("%H")
    assert by_hour == dict(hours.value_counts().iter_rows())
    assert found["looked_at"] == sum(len(way["cells"]) for way in found["ways"].values())
    costs = metrics["sensitivity"]["costs"]["points"]
    assert costs[1]["net"] == pytest.approx(metrics["backtest"]["net"])
    assert metrics["importance"]["of"] > metrics["importance"]["rows"] == 500
    drift = metrics["drift"]
    assert [one["name"] for one in drift["predictions"]] == ["prob_short", "prob_neutral", "prob_long"]
    seen = json.loads((made.desk.path / "data" / "datasets" / made.dataset / "recipe.json").read_text())
    assert [one["name"] for one in drift["features"]] == seen["features"]
    for text in ("How far these rows have moved",
                 "Where the result comes from", "Features the model leans on", "How rows were kept apart",
                 f"foldsmith audit --run {made.stacked}", 'data-chart="by-hour"', 'id="chart-data"'):  # fmt: skip
        assert text in page
    booster = tiny.train("--model", "lightgbm", "--horizon", 5)
    shap, told = evaluated(tiny, booster.id, "--importance", "shap")
    assert told["importance"]["models"]["lightgbm"]["rows"] == 400
    assert read(shap).parameters == {"split": "validation", "importance": "shap"}
    assert "--importance shap" in tiny.call("runs", "explain", shap.name).stdout
    none, bare = evaluated(tiny, booster.id, "--importance", "none")
    assert "Features the model leans on" not in (none / "report.html").read_text()
    # It is no other model and no other rule: the same numbers, and no further look is paid for.
    assert bare["verdict"] == told["verdict"]
    assert bare["drift"]["predictions"] is None  # validation rows are what others are compared with
    linear = tiny.train("--model", "logistic", "--horizon", 5)
    assert "booster" in evaluated(tiny, linear.id, "--importance", "shap")[1]["importance"]["skipped"]


def test_importance_reads_validation_rows_alone(made: Made) -> None:
    """Poison in all other rows changes no bit of it."""
    import numpy as np

    from foldsmith.config import ValidationSettings
    from foldsmith.stages.horizon import load_horizons
    from foldsmith.stages.importance import importance
    from foldsmith.stages.model_store import read_model, revive

    desk = made.desk.path
    path, model = desk / "data" / "datasets" / made.dataset, desk / "experiments" / "runs" / made.stacked
    table = load_horizons(Run(path, read(path)), (10,), ValidationSettings())[10]
    predictor = revive(read_model(Run(model, read(model)), "model"))
    before = importance(predictor, table, "mda", joined=False, seed=1)
    others = np.setdiff1d(np.arange(len(table.data)), table.segments.validation)
    table.data.X[others] = 1e6
    table.data.y[others] = 1
    assert importance(predictor, table, "mda", joined=False, seed=1) == before
    assert "several datasets" in importance(predictor, table, "mda", joined=True, seed=1)["skipped"]


@pytest.mark.proof
@covers("evaluate", "--learning-curve")
def test_a_learning_curve_ends_at_the_stored_model_and_opens_no_test_row(made: Made) -> None:
    desk, flags = made.desk, ["--importance", "none", "--learning-curve"]
    looks = len(Ledger(desk.workspace.ledger).looks(split="test"))
    folder, metrics = evaluated(desk, made.base, *flags)
    assert len(Ledger(desk.workspace.ledger).looks(split="test")) == looks
    found = metrics["learning_curve"]
    points = found["points"]
    assert [point["share"] for point in points] == [0.1, 0.2, 0.4, 0.7, 1.0]
    assert points[-1]["rows"] == found["of"] > points[0]["rows"]
    assert found["rounds"] >= 1
    # The fit on all rows is the stored model: the scores of the evaluation, to the bit.
    assert found["whole_is_stored"]
    for mine, key in (
        ("log_loss", "log_loss"),
        ("log_loss_base", "log_loss_base"),
        ("direction_auc", "direction_auc"),
    ):
        assert points[-1][mine] == metrics[key]
    assert points[-1]["low"] == metrics["interval"]["log_loss"]["low"]
    # Few rows are learnt by heart.
    assert points[0]["training_log_loss"] < points[0]["training_log_loss_base"]
    assert (
        points[0]["log_loss"] - points[0]["training_log_loss"]
        > points[-1]["log_loss"] - points[-1]["training_log_loss"]
    )
    page = (folder / "report.html").read_text()
    assert 'data-chart="learning"' in page
    assert "Would more rows help?" in page
    assert "to the bit" in page
    # Made again it is the same; nothing but the flag tells it from a plain one, and of an ensemble it says why not.
    assert "the same content" in desk.call("runs", "reproduce", folder.name).stdout
    assert read(folder).parameters["learning_curve"] is True
    _, ensemble = evaluated(desk, made.stacked, *flags)
    assert "base models alone" in ensemble["learning_curve"]["skipped"]


@covers("compare", "runs", "--split", "--json", "--workspace", "--also")
@covers("leaderboard", "--split", "--symbol", "--by", "--json", "--workspace", "--also")
def test_evaluations_side_by_side_open_nothing(tiny: Desk, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    shutil.copytree(tiny.path, desk.path)
    shutil.rmtree(desk.path / "experiments" / "runs", ignore_errors=True)  # of other tests
    first, second = (desk.train("--model", name, "--horizon", 5).id for name in ("logistic", "random_forest"))
    (one, metrics), (two, _) = (evaluated(desk, run, "--importance", "none") for run in (first, second))
    failed = Audited(
        first,
        read(desk.workspace.runs / first).content,
        False,
        {"held": 2, "broken": 1},
        ("late (broken)",),
        "1",
        "s",
    )
    record(Ledger(desk.workspace.ledger), [failed])
    again, _ = evaluated(desk, first, "--importance", "none")
    # What audits proved is on the page as it was made; a page is no content, so one made before has its hash again.
    assert "the model was: never audited." in (one / "report.html").read_text()
    assert "the model was: audit FAILED on 20" in (again / "report.html").read_text()
    assert "the same content" in desk.call("runs", "reproduce", one.name).stdout
    # Without dataset and raw bars nothing held out can be read; and no look is entered.
    (desk.path / "data").rename(tmp_path / "away")
    looks = desk.everything()
    found = json.loads(desk.call("compare", first, two.name, "--json").stdout)
    assert [run["id"] for run in found["runs"]][1] == two.name
    assert found["rows"] == pl.read_parquet(one / "predictions.parquet").height
    assert found["runs"][0]["scores"]["log_loss"] == pytest.approx(metrics["log_loss"])
    differences = found["against"][0]["differences"]
    scores = [run["scores"]["direction_auc"] for run in found["runs"]]
    assert differences["direction_auc"]["difference"] == pytest.approx(scores[1] - scores[0])
    assert differences["log_loss"]["low"] is None  # three days
    shown = (
        Desk(tmp_path).call("compare", first, second, "--workspace", "desk", "--split", "validation").stdout
    )
    assert "no interval: too few days" in shown
    board = json.loads(desk.call("leaderboard", "--json").stdout)
    assert [row["score"] for row in board["rows"]] == sorted(scores, reverse=True)
    assert {row["model"]: row["looks"] for row in board["rows"]} == {first: 2, second: 1}
    assert board["things_tried"] == max(row["trials"] for row in board["rows"]) > 1
    assert board["yardstick"] == 0.5
    stand = {row["model"]: row["audit"] for row in board["rows"]}
    assert (stand[first]["held"], stand[second]["held"]) == (False, None)
    lines = {
        run: next(line for line in desk.call("leaderboard").stdout.splitlines() if run in line)
        for run in stand
    }
    assert "; its model: audit FAILED" in lines[first]
    assert lines[first].endswith(
        "1 of 3 proofs on this content, with other code (1, source s), which has changed since: late (broken)"
    )
    assert lines[second].endswith("; its model: never audited")
    by_net = json.loads(desk.call("leaderboard", "--by", "net", "--symbol", "MES", "--json").stdout)["rows"]
    assert by_net[0]["score"] == by_net[0]["net"] >= by_net[1]["net"]
    assert "direction AUC (yardstick 0.5)" in Desk(tmp_path).call("leaderboard", "--workspace", "desk").stdout
    named = {"RUN_ID": first, "OTHER_ID": second}
    for words in commands("docs/report.md"):
        desk.call(*(named.get(word, word) for word in words))
    for empty in (["--split", "test"], ["--symbol", "CL"]):
        assert "no evaluation at" in desk.call("leaderboard", *empty).stdout
    assert "name 2 to" in desk.denied("compare", first)
    assert "named twice" in desk.denied("compare", one.name, one.name)
    assert "has no evaluation at test rows" in desk.denied("compare", first, second, "--split", "test")
    assert desk.everything() == looks
    # Evaluations in a folder of the user's own are found by --also.
    (tmp_path / "mine").mkdir()
    shutil.move(desk.path / "experiments" / "runs" / second, tmp_path / "mine" / second)
    assert second in desk.denied("compare", first, second)
    also = ["--also", tmp_path / "mine"]
    assert json.loads(desk.call("compare", first, second, "--json", *also).stdout) == found
    assert len(json.loads(desk.call("leaderboard", "--json").stdout)["rows"]) == 1
    assert json.loads(desk.call("leaderboard", "--json", *also).stdout)["rows"] == board["rows"]
    (tmp_path / "mine" / second / "evaluations" / two.name / "metrics.json").write_text("{}")
    assert "was changed" in desk.denied("compare", first, second, *also)


def test_the_walk_over_bars_is_the_default_rule(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row of every segment as a signal: the walk and the labels' own exits agree to the cent."""
    import numpy as np

    from foldsmith.config import ValidationSettings
    from foldsmith.stages.horizon import load_horizons

    path = made.desk.path / "data" / "datasets" / made.dataset
    dataset = Run(path, read(path))
    for horizon, table in load_horizons(dataset, (5, 10), ValidationSettings()).items():
        for rows in table.segments.named().values():
            P = np.random.default_rng(horizon).dirichlet([1, 1, 1], len(rows))
            usual = trade(dataset, table, rows, P)
            with monkeypatch.context() as patch:
                patch.setattr(trading, "DEFAULT_RULE", TradingRule(contracts=9))
                walked = trade(dataset, table, rows, P, DEFAULT_RULE)
            assert walked.trades.select(usual.trades.columns).equals(usual.trades)
            assert walked.daily.equals(usual.daily)
            assert {name: walked.summary[name] for name in usual.summary if name != "yardsticks"} == {
                name: value for name, value in usual.summary.items() if name != "yardsticks"
            }
