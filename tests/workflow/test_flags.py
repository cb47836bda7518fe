"""Every flag does something, and one that does not apply is refused: none is parsed, echoed and ignored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import click
import polars as pl
import pytest
from tests.market.two_contracts import NEW, OLD, two_contracts
from tests.workflow.conftest import Desk, first_of, value

from foldsmith.cli.main import main
from foldsmith.labels.scheme import WEIGHTS, LabelScheme
from foldsmith.models.catalogue import FAMILIES, MODELS, resolve
from foldsmith.runs.manifest import read

Test = TypeVar("Test", bound=Callable[..., None])
RUN = ["pipeline", "run", "--symbols", "MES"]
COVERED: dict[str, set[str]] = {}


def covers(command: str, *flags: str) -> Callable[[Test], Test]:
    """Say which flags of a command a test shows to do something."""
    COVERED.setdefault(command, set()).update(flags)
    return lambda test: test


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield f"{prefix}{name}", command
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def test_every_flag_of_every_command_has_a_test() -> None:
    # These cover the flags of `audit`, `evaluate`, `runs`, `features`, `models` and some of `pipeline`, --features, and
    # what ensembles join.
    import tests.workflow.test_audit
    import tests.workflow.test_audit_null
    import tests.workflow.test_audit_residual
    import tests.workflow.test_audit_splitters
    import tests.workflow.test_evaluate
    import tests.workflow.test_export
    import tests.workflow.test_features
    import tests.workflow.test_formats
    import tests.workflow.test_inspect
    import tests.workflow.test_joined
    import tests.workflow.test_own_models
    import tests.workflow.test_paths
    import tests.workflow.test_registry
    import tests.workflow.test_remake
    import tests.workflow.test_rules
    import tests.workflow.test_serving
    import tests.workflow.test_tracking  # noqa: F401

    there = {name: {p.opts[0] for p in command.params} for name, command in commands(main)}
    assert {name: flags for name, flags in there.items() if flags} == COVERED


# --- pipeline run -----------------------------------------------------------------------------------------------


def recipe(desk: Desk, run_id: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        (desk.path / "data" / "datasets" / run_id / "recipe.json").read_text()
    )
    return found


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A workspace with the raw bars of two symbols, and one dataset of MES with default settings."""
    desk = Desk(tmp_path_factory.mktemp("bars"))
    desk.call("simulate", "--sessions", 20, "--edge", 0.05, "--seed", 7)
    desk.call("simulate", "--symbol", "CL", "--sessions", 20)
    desk.dataset()
    return desk


@covers("pipeline run", "--symbols", "--workspace")
def test_symbols_are_named_or_all(bars: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path)
    shutil.copytree(bars.path / "data" / "raw", tmp_path / "desk" / "data" / "raw")
    made = other.call("pipeline", "run", "--symbols", "all", "--horizons", 5, "--workspace", "desk").stdout
    folders = [line.split(": ")[1] for line in made.splitlines() if line.startswith("Dataset saved to: ")]
    assert [read(tmp_path / folder).extra["symbol"] for folder in folders] == ["CL", "MES"]
    assert "unknown" in other.denied("pipeline", "run", "--symbols", "NOPE", "--workspace", "desk")
    assert "named twice" in other.denied("pipeline", "run", "--symbols", "MES,MES", "--workspace", "desk")


@covers("pipeline run", "--timeframe", "--timezone", "--stamp", "--start", "--end")
def test_clock_flags_change_the_bars(bars: Desk, tmp_path: Path) -> None:
    plain = bars.dataset()
    longer = bars.dataset("--timeframe", "15m")
    assert longer.extra["bars"] * 3 == plain.extra["bars"]
    # The same minutes by a clock of Chicago that shows their close: the same bars.
    raw = pl.read_parquet(bars.path / "data" / "raw" / "MES_1m.parquet")
    local = pl.col("timestamp").dt.offset_by("1m").dt.replace_time_zone("UTC")
    local = local.dt.convert_time_zone("America/Chicago").dt.replace_time_zone(None)
    other = Desk(tmp_path)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    raw.with_columns(local).write_parquet(tmp_path / "data" / "raw" / "MES_1m.parquet")
    same = other.dataset("--timezone", "America/Chicago", "--stamp", "close")
    assert same.files["bars.parquet"] == plain.files["bars.parquet"]
    assert "say --timezone" in other.call(*RUN, "--stamp", "close", status=2).stderr
    assert "Say --stamp close" in other.call(*RUN, "--timezone", "America/Chicago", status=2).stderr
    started = bars.dataset("--start", "2022-01-05T23:00")
    assert started.extra["first"].startswith("2022-01-05 23:00")
    assert started.extra["last"] == plain.extra["last"]
    ended = bars.dataset("--end", "2022-01-20")
    assert ended.extra["last"].startswith("2022-01-20 00:00")
    assert "not before" in bars.denied(
        "pipeline", "run", "--symbols", "MES", "--start", "2022-01-20", "--end", "2022-01-10"
    )
    assert "no date" in bars.denied("pipeline", "run", "--symbols", "MES", "--start", "soon")


@covers("pipeline run", "--horizons", "--train-ratio", "--val-ratio", "--test-ratio")
def test_horizons_and_ratios(bars: Desk) -> None:
    plain = bars.dataset()
    every = bars.dataset("--horizons", "all")
    assert every.extra["horizons"] == [5, 10, 15, 20]
    # Segments are cut at the same instants for all horizons.
    assert recipe(bars, every.id)["cuts"] == recipe(bars, plain.id)["cuts"]
    cut = bars.dataset("--train-ratio", 0.6, "--val-ratio", 0.15, "--test-ratio", 0.25)
    other = bars.dataset("--train-ratio", 0.6, "--val-ratio", 0.25, "--test-ratio", 0.15)
    before, first, second = (recipe(bars, made.id)["cuts"] for made in (plain, cut, other))
    assert isinstance(before, list)
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert first[0] == second[0] < before[0]
    assert first[1] < second[1] == before[1]
    assert "add up to 1" in bars.denied("pipeline", "run", "--symbols", "MES", "--train-ratio", 0.9)


@covers("pipeline run", "--k-up", "--k-down", "--max-bars")
def test_barrier_flags_enter_the_labels(bars: Desk) -> None:
    made = bars.dataset("--k-up", 1.5, "--k-down", 0.5, "--max-bars", 8)
    horizons = recipe(bars, made.id)["horizons"]
    assert horizons == {"5": {"barriers": {"down": 0.5, "up": 1.5}, "max_bars": 8}}
    labels = pl.read_parquet(bars.path / "data" / "datasets" / made.id / "labels_h5.parquet")
    assert labels["y"].value_counts().filter(pl.col("y") == -1)["count"][0] > labels.height / 2
    assert labels.select((pl.col("label_end") - pl.col("datetime")).median()).item().seconds <= 8 * 300
    assert "go together" in bars.denied(*RUN, "--k-up", 1)
    assert "go together" in bars.denied(*RUN, "--k-down", 1)
    assert "one horizon" in bars.denied(*RUN, "--horizons", "5,10", "--max-bars", 3)


LABELLINGS: dict[tuple[object, ...], dict[str, object]] = {
    ("--label", "fixed-horizon"): {"name": "fixed-horizon"},
    ("--label", "trend-scanning", "--trend-min-bars", 3, "--trend-threshold", 2.5): {
        "name": "trend-scanning",
        "trend_min_bars": 3,
    },
    ("--label", "trend-scanning"): {"name": "trend-scanning"},
    ("--barrier-volatility", "atr"): {"barrier_volatility": "atr"},
    ("--barrier-volatility", "parkinson", "--min-barrier-cost", 4): {
        "barrier_volatility": "parkinson",
        "min_barrier_cost": 4.0,
    },
}


@covers(
    "pipeline run",
    "--label",
    "--barrier-volatility",
    "--min-barrier-cost",
    "--trend-min-bars",
    "--trend-threshold",
)
@pytest.mark.parametrize("flags", first_of(LABELLINGS))
def test_ways_of_labelling_go_through_every_phase(bars: Desk, flags: tuple[object, ...]) -> None:
    plain, made = bars.dataset(), bars.dataset(*flags)
    assert made.files["labels_h5.parquet"] != plain.files["labels_h5.parquet"]
    assert made.files["features.parquet"] == plain.files["features.parquet"]
    labelling = recipe(bars, made.id)["labelling"]
    assert labelling == {**asdict(LabelScheme()), **LABELLINGS[flags]}
    folder = bars.path / "data" / "datasets"
    labels, usual = (pl.read_parquet(folder / run.id / "labels_h5.parquet") for run in (made, plain))
    if "--label" in flags:
        # All kinds label the same bars; these are left five bars later, at the close.
        assert labels["bar"].equals(usual["bar"])
        assert labels["exit_long"].equals(labels["exit_short"])
        closes = pl.read_parquet(folder / made.id / "bars.parquet")["close_time"]
        assert labels["label_end"].equals(closes.gather(labels["bar"] + 5).alias("label_end"))
    if "--trend-threshold" in flags:
        assert recipe(bars, made.id)["horizons"]["5"]["threshold"] == 2.5  # type: ignore[index]
    if "--min-barrier-cost" in flags:
        # Four times 1.24 of commission and 2 ticks of slippage, 2.992 ticks a round trip, outward to the tick.
        assert (
            (labels["upper"] - labels["entry"]).min() == 12 * 0.25 > (usual["upper"] - usual["entry"]).min()
        )
    cv = bars.cv("--models", "logistic", "--dataset", made.id)
    model = bars.train("--model", "stacking", "--horizon", 5, "--stacking-data", cv.id)
    shown = bars.call("evaluate", "--run-id", model.id, "--split", "test").stdout
    report = (bars.path / value(shown, "Evaluation saved to") / "report.html").read_text()
    assert all(str(word) in report for word in flags[1::2] if isinstance(word, str))
    assert "recover" in report
    for run in (made, model):
        told = bars.call("runs", "reproduce", run.id, "--workers", 1).stdout
        assert told.splitlines()[-1].endswith(": the same content")
    again = json.loads(bars.call("runs", "explain", made.id, "--json").stdout)["chain"][0]["again"]
    assert all(str(flag) in again for flag in flags[::2])
    raw = bars.path / "data" / "raw" / "MES_1m.parquet"
    bars.call("predict", "--run-id", model.id, "--bars", raw, "--output", f"{model.id}.parquet")
    scored = pl.read_parquet(bars.path / value(shown, "Evaluation saved to") / "predictions.parquet")
    predicted = pl.read_parquet(bars.path / f"{model.id}.parquet")
    names = ["prob_short", "prob_neutral", "prob_long"]
    found = scored.select("datetime").join(predicted, on="datetime", how="left", maintain_order="left")
    assert found.select(names).equals(scored.select(names))


@covers("pipeline run", "--barrier-objective", "--assumed-edge")
def test_widths_can_be_chosen_for_what_is_left_after_costs(bars: Desk) -> None:
    flags = ("--barrier-objective", "after-cost", "--assumed-edge")
    plain, made, other = bars.dataset(), bars.dataset(*flags, 0.4), bars.dataset(*flags, 0.3)
    assert made.files["labels_h5.parquet"] != plain.files["labels_h5.parquet"]
    assert (made.parameters["barrier_objective"], made.parameters["assumed_edge"]) == ("after-cost", 0.4)
    folder = bars.path / "data" / "datasets"
    assert "barrier_objective" not in json.loads((folder / plain.id / "findings.json").read_text())
    curves = []
    for run in (made, other):
        found = json.loads((folder / run.id / "findings.json").read_text())["barrier_objective"]["5"]
        best = max(found["curve"], key=lambda each: each["sharpe"])
        assert found["chosen"] == best["width"]
        assert recipe(bars, run.id)["horizons"] == {
            "5": {"barriers": {"down": best["width"], "up": best["width"]}, "max_bars": 5}
        }
        assert found["cost_per_trade"] == pytest.approx(3.74)
        curves.append(found["curve"])
    assert all(a["sharpe"] > b["sharpe"] for a, b in zip(*curves, strict=True) if b["sharpe"] > 0)
    told = bars.call("runs", "reproduce", made.id, "--workers", 1).stdout
    assert told.splitlines()[-1].endswith(": the same content")
    again = json.loads(bars.call("runs", "explain", made.id, "--json").stdout)["chain"][0]["again"]
    assert "--assumed-edge" in again
    assert "no barrier width pays its costs" in bars.denied(*RUN, "--horizons", 5, *flags, 0.001)
    for words, said in (
        ([*flags, 0.5], "--assumed-edge 0.5 cannot be used"),
        ([*flags, 0.1, "--k-up", 1, "--k-down", 1], "chooses what --k-up and --k-down give"),
        ([*flags, 0.1, "--label", "fixed-horizon"], "does not apply to --label fixed-horizon"),
        (flags[:2], "needs --assumed-edge"),
        (["--assumed-edge", 0.1], "--assumed-edge does not apply to --barrier-objective neutral-share"),
    ):
        assert said in bars.denied(*RUN, *words), words


def test_flags_of_other_ways_of_labelling_are_refused(bars: Desk) -> None:
    trend = ["--label", "trend-scanning"]
    for words, told in (
        ([*trend, "--k-up", 1, "--k-down", 1], "--k-up does not apply to --label trend-scanning"),
        ([*trend, "--barrier-volatility", "atr"], "--barrier-volatility does not apply"),
        ([*trend, "--min-barrier-cost", 1], "--min-barrier-cost does not apply"),
        (["--trend-threshold", 3], "--trend-threshold does not apply to --label triple-barrier"),
        (["--label", "fixed-horizon", "--trend-min-bars", 3], "--trend-min-bars does not apply"),
        ([*trend, "--trend-threshold", -1], "no size of a t-value"),
        ([*trend, "--trend-min-bars", 1], "out of range"),
        ([*trend, "--horizons", 4], "horizon 4 is shorter than the shortest trend, 5 bars"),
        (["--min-barrier-cost", -1], "out of range"),
    ):
        assert told in bars.denied(*RUN, *words), words


# --- contracts that overlap -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A workspace with raw bars of two contracts, the later of the larger volume from the 2nd of March 2022 on."""
    desk = Desk(tmp_path_factory.mktemp("contracts"))
    desk.call("simulate", "--sessions", 18, "--seed", 7, "--start", "2022-02-21")
    path = desk.path / "data" / "raw" / "MES_1m.parquet"
    bars = pl.read_parquet(path).with_columns(pl.col("timestamp").dt.replace_time_zone("UTC"))
    made = two_contracts(bars, date(2022, 3, 2))
    interest = pl.when(pl.col("contract") == NEW).then(pl.col("timestamp").dt.day()).otherwise(pl.lit(25))
    made.with_columns(oi=interest).write_parquet(path)
    return desk


ROLL_AT = {
    # By volume of the 2nd. Open interest is the day of the month, and 25 of the old one: larger at the end of Monday,
    # the 28th of February, used on Wednesday. MES 03-22 trades until Friday the 18th.
    (): "2022-03-02T23:00",
    ("--roll", "open-interest"): "2022-03-01T23:00",
    ("--roll", "calendar"): "2022-03-10T23:00",
    ("--roll", "calendar", "--roll-days", 7): "2022-03-08T23:00",
}


@covers("pipeline run", "--roll", "--roll-days")
@covers("pipeline validate", "--roll", "--roll-days")
@pytest.mark.parametrize("flags", ROLL_AT)
def test_roll_flags_say_which_contract_is_the_front(contracts: Desk, flags: tuple[object, ...]) -> None:
    made = contracts.dataset(*flags)
    folder = contracts.path / "data" / "datasets" / made.id
    rolls = json.loads((folder / "findings.json").read_text())["blocks"]["rolls"]
    assert [(roll["at"], roll["from"], roll["to"]) for roll in rolls["at"]] == [
        (f"{ROLL_AT[flags]}:00+00:00", OLD, NEW)
    ]
    assert "  rolls: 1, first at " in contracts.call("pipeline", "validate", *flags).stdout
    known = dict(zip(flags[::2], flags[1::2], strict=True))
    name, days = known.get("--roll", "volume"), known.get("--roll-days")
    assert recipe(contracts, made.id)["roll"] == {"name": name, "days": days}
    assert (made.parameters["roll"], made.parameters["roll_days"]) == (name, days)
    # A model predicts new bars by the rule that it was made by: rows in warm-up after the roll are the same.
    model = contracts.train("--model", "logistic", "--horizon", 5, "--dataset", made.id)
    raw = contracts.path / "data" / "raw" / "MES_1m.parquet"
    shown = contracts.call("predict", "--run-id", model.id, "--bars", raw).stdout
    times = pl.read_csv(shown.encode(), try_parse_dates=True)["datetime"].dt.replace_time_zone("UTC")
    features = pl.read_parquet(folder / "features.parquet")
    bars = pl.read_parquet(folder / "bars.parquet")
    whole = features.select(pl.all_horizontal(pl.exclude("datetime").is_finite())).to_series()
    assert times.dt.timestamp().to_list() == bars["close_time"].filter(whole).dt.timestamp().to_list()
    assert "again" in contracts.call("runs", "explain", made.id).stdout


def test_roll_flags_that_do_not_apply_are_refused(contracts: Desk, bars: Desk) -> None:
    for command in (RUN, ["pipeline", "validate"]):
        told = contracts.denied(*command, "--roll-days", 3)
        assert told == "--roll-days does not apply to --roll volume; it goes with calendar. Leave it out."
        assert "out of range" in contracts.denied(*command, "--roll", "calendar", "--roll-days", 99)
    told = bars.call(*RUN, "--roll", "open-interest", "--horizons", 5, status=2).stderr
    assert "no column open_interest" in told


@covers(
    "pipeline continuous", "source", "--symbol", "--format", "--timezone", "--stamp", "--roll", "--roll-days",
    "--adjust", "--anchor", "--output", "--overwrite", "--workspace",
)  # fmt: skip
def test_continuous_writes_one_series_and_says_its_rolls(contracts: Desk, tmp_path: Path) -> None:
    words, raw = ["pipeline", "continuous", "MES"], contracts.path / "data" / "raw" / "MES_1m.parquet"
    shown = contracts.call(*words, "--output", "plain.parquet").stdout
    rolled = "2022-03-02T23:00:00+00:00  MES 03-22 -> MES 06-22  offset 20  ratio 1.00"
    assert next(line for line in shown.splitlines() if line.startswith("20")).startswith(rolled)
    assert "measured at 2022-03-02T21:59:00+00:00" in shown
    plain = pl.read_parquet(contracts.path / "plain.parquet")
    assert plain.columns == ["datetime", "open", "high", "low", "close", "volume", "contract"]
    assert (
        plain.join(pl.read_parquet(raw).rename({"timestamp": "datetime"}), on=plain.columns).height
        == plain.height
    )
    # As raw bars it makes the dataset that the contracts make.
    other = Desk(tmp_path)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    shutil.copyfile(contracts.path / "plain.parquet", tmp_path / "data" / "raw" / "MES_1m.parquet")
    one, both = other.dataset(), contracts.dataset()
    assert all(
        one.files[name] == both.files[name]
        for name in ("bars.parquet", "features.parquet", "labels_h5.parquet")
    )

    def closes(*flags: object, source: object = "MES", name: str = "found.csv") -> list[float]:
        contracts.call("pipeline", "continuous", source, *flags, "--output", name, "--overwrite")
        return pl.read_csv(contracts.path / name)["close"].to_list()

    first, last = plain["close"][0], plain["close"][-1]
    assert (closes()[0], closes()[-1]) == (first, last)
    moved = closes("--adjust", "difference")
    assert (moved[0], moved[-1]) == (first, last - 20)
    back = closes("--adjust", "difference", "--anchor", "back")
    assert (back[0], back[-1]) == (first + 20, last)
    assert closes("--adjust", "ratio")[-1] == pytest.approx(last - 20, rel=0.001)
    later = closes("--roll", "calendar", "--roll-days", 7)
    assert sum(a != b for a, b in zip(closes(), later, strict=True)) == 4 * 1380
    # A file, read as its flags say.
    assert closes(source=raw) == closes(source=raw, name="mine.csv")
    copy = contracts.path / "x.parquet"
    local = (
        pl.col("timestamp")
        .dt.offset_by("1m")
        .dt.convert_time_zone("America/Chicago")
        .dt.replace_time_zone(None)
    )
    pl.read_parquet(raw).with_columns(local).write_parquet(copy)
    clock = ["--timezone", "America/Chicago", "--stamp", "close"]
    assert closes("--symbol", "MES", "--format", "parquet", *clock, source="x.parquet") == closes()
    copy.unlink()


def test_continuous_refuses_what_it_cannot_do(contracts: Desk, tmp_path: Path) -> None:
    words, raw = ["pipeline", "continuous", "MES"], contracts.path / "data" / "raw" / "MES_1m.parquet"
    (contracts.path / "taken.csv").write_text("mine")
    assert "taken.csv exists and was left untouched" in contracts.denied(*words, "--output", "taken.csv")
    assert "unknown ending" in contracts.denied(*words, "--output", "found.xls")
    assert "is among the bars that are read" in contracts.denied(
        *words[:2], raw, "--output", raw, "--overwrite"
    )
    folder = contracts.path / "data" / "raw"
    assert "among the bars" in contracts.denied(
        *words[:2], folder, "--symbol", "MES", "--output", folder / "x.csv"
    )
    told = contracts.denied(*words, "--output", "none.csv", "--anchor", "back")
    assert "--anchor does not apply: prices are not moved without --adjust" in told
    assert "--symbol does not apply" in contracts.denied(*words, "--symbol", "MES", "--output", "none.csv")
    assert "--roll-days does not apply" in contracts.denied(*words, "--roll-days", 3, "--output", "none.csv")
    assert "does not begin with a symbol" in contracts.denied(
        *words[:2], "./mine.csv", "--output", "none.csv"
    )
    # A roll that was never measured: contracts that do not overlap.
    other = Desk(tmp_path)
    other.call("simulate", "--sessions", 55, "--seed", 7)
    told = other.denied(*words, "--adjust", "ratio", "--output", "none.csv")
    assert "how far MES 06-22 lies from MES 03-22 is not known" in told
    assert "no bar of both before" in other.call(*words, "--output", "none.csv").stdout


@covers("pipeline run", "--yes")
def test_yes_is_not_asked(bars: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("foldsmith.cli.pipeline.sys", terminal)
    before = bars.everything()
    # Nobody answers: nothing is made.
    asked = bars.call("pipeline", "run", "--symbols", "MES", "--horizons", 5, status=1)
    assert "Make 1 dataset(s)" in asked.output
    assert bars.everything() == before
    assert "Make 1" not in bars.call("pipeline", "run", "--symbols", "MES", "--horizons", 5, "--yes").output


# --- cv ---------------------------------------------------------------------------------------------------------


@covers("cv", "--models", "--horizons")
def test_models_and_horizons_are_named_or_all(tiny: Desk) -> None:
    made = tiny.cv("--models", "lightgbm,logistic", horizons="all")
    assert made.extra["models"] == ["lightgbm", "logistic"]
    assert made.extra["horizons"] == [5, 10]
    every = resolve(["all"])
    assert not set(every) & set(FAMILIES["baselines"])
    shown = tiny.call("cv", "--models", "all", "--horizons", 5, "--n-splits", 2, "--dry-run").stdout
    assert f"fits: {3 * len(every)} ({len(every)} models" in shown


@covers("cv", "--models", "--list-models")
def test_families_stand_for_their_models(tiny: Desk) -> None:
    made = tiny.cv("--models", "baselines,linear,ridge")
    assert made.extra["models"] == ["class_prior", "momentum", "logistic", "ridge"]
    # A baseline that is made for one feature sees that one.
    described = json.loads(
        (tiny.path / "data/stacking" / made.id / "models/momentum_h5/model.json").read_text()
    )
    assert described["features"] == ["return_12"]
    assert "named twice" in tiny.denied("cv", "--models", "linear,linear")
    assert "Did you mean trees" in tiny.denied("cv", "--models", "treees")
    listed = tiny.call("cv", "--list-models").stdout
    assert listed == tiny.call("train", "--list-models").stdout
    assert all(f" {family} " in listed for family in FAMILIES)
    assert "does not apply" in tiny.denied("cv", "--list-models", "--n-splits", 3)


@covers("train", "--model")
@pytest.mark.parametrize("model", first_of(["momentum", "mlp"]))
def test_models_of_other_kinds_are_trained_evaluated_and_predict(tiny: Desk, model: str) -> None:
    made = tiny.train("--model", model, "--horizon", 5)
    assert made.extra["model"] == model
    tiny.call("evaluate", "--run-id", made.id, "--split", "validation")


VALIDATION = {
    "--n-splits": 3,
    "--purge-bars": 7,
    "--embargo-bars": 40,
    "--sample-weight": "uniqueness",
    "--time-decay": -0.3,
    "--seed": 5,
}


@covers("cv", *VALIDATION)
@pytest.mark.parametrize(("flag", "given"), VALIDATION.items())
def test_validation_flags_enter_manifest_and_content(tiny: Desk, flag: str, given: object) -> None:
    plain = tiny.cv("--models", "lightgbm")
    made = tiny.cv("--models", "lightgbm", flag, given)
    assert made.parameters["validation"][flag[2:].replace("-", "_")] == given
    table = "stacking/stacking_dataset_h5.parquet"
    assert made.files[table] != plain.files[table]
    folder = tiny.path / "data" / "stacking" / made.id / "stacking"
    data = pl.read_parquet(folder / "stacking_dataset_h5.parquet")
    before = pl.read_parquet(folder.parents[1] / plain.id / table)
    if flag == "--sample-weight":
        assert data["sample_weight"].min() < 1 == before["sample_weight"].min()
    assert data["lightgbm_prob_long"].to_list() != before["lightgbm_prob_long"].to_list()
    if flag == "--time-decay":
        # It enters fits alone: what a score weighs does not fade with age.
        assert data["sample_weight"].to_list() == before["sample_weight"].to_list()
        assert "cannot be used" in tiny.denied("cv", flag, -1)
        assert "time_decay" not in plain.parameters["validation"]


@pytest.mark.parametrize("scheme", first_of(WEIGHTS))
def test_each_scheme_of_weights_goes_through_cv_an_ensemble_and_its_evaluation(
    tiny: Desk, scheme: str
) -> None:
    made = tiny.cv("--models", "logistic", "--sample-weight", scheme, "--time-decay", 0.4)
    table = tiny.path / "data" / "stacking" / made.id / "stacking" / "stacking_dataset_h5.parquet"
    weight, fold = pl.read_parquet(table)["sample_weight"].to_numpy(), pl.read_parquet(table)["fold"]
    assert (weight.max() > 1) == (scheme != "none")
    assert [weight[fold == k].mean() for k in (0, 1)] == pytest.approx([1, 1])
    model = tiny.train("--model", "stacking", "--horizon", 5, "--stacking-data", made.id)
    assert model.parameters["sample_weight"] == scheme
    assert (
        "Evaluation saved to" in tiny.call("evaluate", "--run-id", model.id, "--split", "validation").stdout
    )
    told = tiny.call("runs", "reproduce", made.id, "--workers", 1).stdout
    assert f"cv {made.id}: the same content" in told


@covers("cv", "--tune", "--n-trials")
def test_trials_are_made_where_tuning_is_asked_for(tiny: Desk) -> None:
    made = tiny.cv("--models", "logistic", "--tune", "--n-trials", 2)
    tuned = json.loads(
        (tiny.path / "data" / "stacking" / made.id / "tuned_params" / "logistic_h5.json").read_text()
    )
    assert [len(fold["trials"]) for fold in tuned["folds"]] == [2, 2]
    for command in (("cv",), ("train", "--model", "logistic", "--horizon", 5)):
        assert "without --tune" in tiny.denied(*command, "--n-trials", 3)


@covers("cv", "--tune-splits", "--prune")
@covers("train", "--tune-splits", "--prune")
def test_flags_of_folds_inside_a_search(tiny: Desk) -> None:
    cv = ["--models", "logistic"]
    assert "add --tune or leave" in tiny.denied("cv", *cv, "--tune-splits", 3)
    assert "add --tune or leave" in tiny.denied("cv", *cv, "--prune")
    assert "add --tune-splits 3" in tiny.denied("cv", *cv, "--tune", "--prune")
    assert "the least is 1" in tiny.denied("cv", *cv, "--tune", "--tune-splits", 0)
    search = ["--tune", "--n-trials", 9, "--tune-splits", 3, "--prune"]
    told = tiny.call("cv", *cv, *search, "--dry-run").stdout
    assert "9 trials x 3 folds at most" in told
    made = tiny.cv(*cv, *search)
    folder = tiny.path / "data" / "stacking" / made.id
    tuned = json.loads((folder / "tuned_params" / "logistic_h5.json").read_text())
    trials = tuned["whole_segment"]["trials"]
    assert tuned["space"] == {"l2": {"low": 1e-6, "high": 1.0, "log": True, "default": 0.001}}
    assert tuned["selected"]["scored_on"].endswith("scored on 3 purged folds of them")
    assert tuned["selected"]["pruner"] is not None
    assert [len(trial["steps"]) for trial in trials[:5]] == [3] * 5
    assert all((trial["state"] == "pruned") == (len(trial["steps"]) < 3) for trial in trials)
    assert "--tune-splits 3 --prune" in tiny.call("runs", "explain", made.id).stdout
    base = tiny.train("--model", "logistic", "--horizon", 5, *search)
    metrics = (tiny.path / "experiments" / "runs" / base.id / "metrics.json").read_text()
    assert json.loads(metrics)["trials"] == 9
    assert "add --tune-splits 3" in tiny.denied(
        "train", "--model", "logistic", "--horizon", 5, "--tune", "--prune"
    )


@covers("cv", "--class-weight", "--calibrate")
@covers("train", "--class-weight", "--calibrate")
def test_flags_of_what_corrects_probabilities(tiny: Desk) -> None:
    plain = tiny.train("--model", "logistic", "--horizon", 5)
    for flag, word in (("--class-weight", "balanced"), ("--calibrate", "temperature")):
        made = tiny.train("--model", "logistic", "--horizon", 5, flag, word)
        assert made.content != plain.content
        assert "model/correction.json" in made.files
        assert f"{flag} {word}" in tiny.call("runs", "explain", made.id).stdout
    cv = tiny.cv("--models", "logistic,lightgbm", "--class-weight", "balanced", "--calibrate", "logistic")
    assert "models/lightgbm_h5/correction.json" in cv.files
    stacked = tiny.train("--model", "voting", "--horizon", 5, "--stacking-data", cv.id)
    assert "model/base/lightgbm/correction.json" in stacked.files
    assert tiny.call("runs", "reproduce", cv.id, "--workers", 1).exit_code == 0


@covers("cv", "--select")
@covers("train", "--select")
def test_flags_of_selection(tiny: Desk) -> None:
    cv = tiny.cv("--models", "logistic", "--select", "correlation")
    results = json.loads((tiny.path / "data" / "stacking" / cv.id / "cv_results.json").read_text())
    found = results["horizons"]["5"]["models"]["logistic"]["selection"]
    assert found["of"] == 76
    assert len(found["kept"]) == 2
    assert max(found["kept"]) < 76
    assert set(found["folds_of"].values()) <= {1, 2}
    assert "--select correlation" in tiny.call("runs", "explain", cv.id).stdout
    stacked = tiny.train("--model", "voting", "--horizon", 5, "--stacking-data", cv.id)
    assert tiny.call("evaluate", "--run-id", stacked.id, "--split", "validation").exit_code == 0
    base = tiny.train("--model", "logistic", "--horizon", 5, "--select", "mda")
    assert "model/fold_features.json" in base.files


@covers("cv", "--predict-with")
@covers("train", "--predict-with")
def test_a_bag_predicts_with_the_mean_of_the_folds_models(tiny: Desk) -> None:
    base = ["train", "--model", "logistic", "--horizon", 5]
    assert "has no folds to take the mean of" in tiny.denied(*base, "--predict-with", "bag")
    plain = tiny.cv("--models", "logistic,lightgbm")
    bag = tiny.cv("--models", "logistic,lightgbm", "--predict-with", "bag", "--tune", "--n-trials", 1)
    assert "models/lightgbm_h5/member/1/booster.txt" in bag.files
    assert "models/lightgbm_h5/booster.txt" not in bag.files
    bag = tiny.cv("--models", "logistic,lightgbm", "--predict-with", "bag")
    stored, folder = (tiny.path / "data" / "stacking" / run.id / "stacking" for run in (plain, bag))
    name = "stacking_dataset_h5.parquet"
    assert pl.read_parquet(stored / name).equals(pl.read_parquet(folder / name))
    name = "validation_h5.parquet"
    assert not pl.read_parquet(stored / name).equals(pl.read_parquet(folder / name))
    made = tiny.train("--model", "stacking", "--horizon", 5, "--stacking-data", bag.id)
    fresh = tiny.train("--model", "stacking", "--horizon", 5, "--base-models", "logistic,lightgbm",
                       "--n-splits", 2, "--predict-with", "bag")  # fmt: skip
    assert fresh.files == made.files
    told = tiny.call("evaluate", "--run-id", made.id, "--split", "validation").stdout
    folder = tiny.path / value(told, "Evaluation saved to")
    scored = pl.read_parquet(folder / "predictions.parquet")
    again = pl.read_parquet(
        tiny.path / "experiments" / "runs" / made.id / "predictions" / "validation.parquet"
    )
    assert scored.equals(again)


@covers("cv", "--executor", "--cluster")
@covers("train", "--executor", "--cluster")
def test_flags_of_where_fits_run(tiny: Desk) -> None:
    """That a cluster makes the same bytes, test_clusters shows."""
    wrong = ["--cluster", "tcp://127.0.0.1:1"]
    assert "add --executor dask or ray" in tiny.denied("cv", *wrong)
    fresh = ["train", "--model", "voting", "--horizon", 5]
    assert "add --executor dask or ray" in tiny.denied(*fresh, *wrong)
    assert "one fit runs here" in tiny.denied(
        "train", "--model", "logistic", "--horizon", 5, "--executor", "dask"
    )
    made = tiny.train(*fresh[1:], "--base-models", "logistic", "--n-splits", 2)
    words = ["--base-models", "logistic", "--n-splits", 2, "--executor", "dask", "--workers", 1]
    assert tiny.train(*fresh[1:], *words).content == made.content


@covers("cv", "--output-dir", "--output-name", "--workers", "--workspace")
def test_where_and_by_how_many_changes_no_content(tiny: Desk, tmp_path: Path) -> None:
    plain = tiny.cv("--models", "logistic")
    made = Desk(tmp_path).call(
        "cv", "--models", "logistic", "--horizons", 5, "--n-splits", 2, "--workers", 2, "--output-name", "mine",
        "--output-dir", tmp_path / "there", "--workspace", tiny.path,
    )  # fmt: skip
    assert value(made.stdout, "CV Run ID") == "mine"
    assert f"--phase3-output {tmp_path}/there --workspace {tiny.path}" in made.stdout
    assert read(tmp_path / "there" / "mine").content == plain.content
    assert "least is 1" in tiny.denied("cv", "--workers", 0)


@covers("cv", "--dry-run")
def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(tiny: Desk) -> None:
    before = tiny.everything()
    words = ["cv", "--models", "logistic", "--horizons", "5", "--n-splits", 2, "--dry-run", "--workers"]
    one, two = (tiny.call(*words, workers).stdout for workers in (1, 2))
    assert "fits: 3 " in one
    assert "with 1 workers" in one
    assert "with 2 workers" in two
    assert tiny.everything() == before
    assert "--output-name does not apply" in tiny.denied(*words, 1, "--output-name", "x")


@covers("cv", "--resume")
def test_resuming_takes_the_settings_it_was_begun_with(tiny: Desk) -> None:
    for flag in (
        ["--models", "logistic"], ["--horizons", "5"], ["--n-splits", 2], ["--purge-bars", 1], ["--tune"],
        ["--embargo-bars", 1], ["--n-trials", 2], ["--sample-weight", "none"], ["--time-decay", 1],
        ["--seed", 1], ["--symbol", "MES"], ["--dataset", "x"], ["--features", "core"], ["--output-name", "x"],
        ["--dry-run"],
    ):  # fmt: skip
        told = tiny.denied("cv", "--resume", "base", *flag)
        assert told.startswith(f"{flag[0]} does not apply: a resumed run has the settings"), told
    assert "finished; there is nothing to resume" in tiny.denied("cv", "--resume", "base")
    assert "no run there can be resumed" in tiny.denied("cv", "--resume", "nothing")
    assert "is empty" in tiny.denied("cv", "--resume", "")


@covers("cv", "--symbol", "--dataset")
@covers("train", "--symbol", "--dataset")
def test_which_dataset_is_named_or_said(bars: Desk) -> None:
    mine = bars.dataset("--horizons", "5")
    newest = bars.dataset("--horizons", "5")
    train = ["train", "--model", "logistic", "--horizon", 5]
    cv = ["cv", "--models", "logistic", "--horizons", 5, "--n-splits", 2, "--workers", 1]
    for command in (cv, train):
        said = bars.call(*command).stdout
        assert f"dataset {newest.id}, the newest of MES" in said
    oil = bars.call("pipeline", "run", "--symbols", "CL", "--horizons", 5).stdout
    for command, where in ((cv, "Results saved to"), (train, "Model saved to")):
        assert "datasets of CL, MES; say which with --symbol" in bars.denied(*command)
        assert "no dataset of NQ" in bars.denied(*command, "--symbol", "NQ")
        said = bars.call(*command, "--symbol", "CL").stdout
        assert f"dataset {value(oil, 'Dataset ID')}, the newest of CL" in said
        made = bars.path / value(bars.call(*command, "--dataset", mine.id).stdout, where)
        assert read(made.parent if made.is_file() else made).parents[0].id == mine.id
        assert "is of MES, not of CL" in bars.denied(*command, "--dataset", mine.id, "--symbol", "CL")


# --- train ------------------------------------------------------------------------------------------------------


@covers("train", "--model", "--horizon", "--output-dir", "--workspace", "--seed", "--purge-bars")
@covers("train", "--sample-weight", "--time-decay", "--tune", "--n-trials")
def test_flags_of_a_base_model(tiny: Desk, tmp_path: Path) -> None:
    made = Desk(tmp_path).call(
        "train", "--model", "lightgbm", "--horizon", 10, "--workspace", tiny.path, "--output-dir", "mine"
    )
    assert f"--runs-dir mine --workspace {tiny.path}" in made.stdout
    plain = read(tmp_path / value(made.stdout, "Model saved to"))
    assert (plain.extra["model"], plain.extra["horizon"]) == ("lightgbm", 10)
    for flag, given in (
        ("--seed", 3),
        ("--purge-bars", 30),
        ("--sample-weight", "uniqueness"),
        ("--sample-weight", "return"),
        ("--time-decay", 0.1),
    ):
        other = tiny.train("--model", "lightgbm", "--horizon", 10, flag, given)
        assert other.parameters[flag[2:].replace("-", "_")] == given
        # The margins of a base model part the segments: some rows near the cut are gone.
        changed = [name for name in other.files if other.files[name] != plain.files[name]]
        assert any(name.startswith(("model/", "predictions/")) for name in changed), flag
    # Of a single fit, --workers are threads, and change no byte.
    by_threads = [tiny.train("--model", "lightgbm", "--horizon", 10, "--workers", n).content for n in (1, 2)]
    assert by_threads == [plain.content] * 2
    tuned = tiny.train("--model", "logistic", "--horizon", 10, "--tune", "--n-trials", 2)
    assert (tuned.parameters["tune"], tuned.parameters["n_trials"]) == (True, 2)
    metrics = tiny.path / "experiments" / "runs" / tuned.id / "metrics.json"
    assert json.loads(metrics.read_text())["trials"] == 2
    base = ["train", "--model", "logistic", "--horizon", 5]
    for flag in (
        ["--base-models", "logistic"], ["--meta-learner", "logistic"], ["--stacking-data", "base"],
        ["--with-horizons", "10"], ["--calibrate-ensemble", "logistic"],
        ["--phase3-output", "x"], ["--n-splits", 2], ["--embargo-bars", 3],
    ):  # fmt: skip
        assert tiny.denied(*base, *flag).startswith(f"{flag[0]} does not apply: logistic is a base model")


@covers("train", "--base-models", "--meta-learner", "--n-splits", "--embargo-bars", "--workers")
def test_flags_of_an_ensemble_with_fresh_predictions(tiny: Desk) -> None:
    words = ["--model", "stacking", "--horizon", 5, "--base-models", "logistic,lightgbm", "--n-splits", 2]
    made = tiny.train(*words, "--workers", 1)
    assert made.parameters["base_models"] == ["logistic", "lightgbm"]
    assert made.parameters["meta_learner"] == "logistic"
    assert tiny.train(*words, "--workers", 2).content == made.content
    other = tiny.train(*words[:-1], 3, "--workers", 1)
    assert other.parameters["n_splits"] == 3
    greedy = tiny.train(*words, "--workers", 1, "--meta-learner", "greedy")
    assert greedy.parameters["meta_learner"] == "greedy"
    longer = tiny.train(*words, "--workers", 1, "--embargo-bars", 60)
    assert longer.parameters["embargo_bars"] == 60
    assert len({made.content, other.content, greedy.content, longer.content}) == 4
    fresh = ["train", "--model", "stacking", "--horizon", 5]
    assert "--stacking-data" in tiny.denied(*fresh, "--phase3-output", "x")
    assert "nope" in tiny.denied(*fresh, "--meta-learner", "nope")
    assert "least is 1" in tiny.denied(*fresh, "--workers", 0)
    assert "voting has no meta-learner" in tiny.denied(
        "train", "--model", "voting", "--horizon", 5, "--meta-learner", "logistic"
    )
    assert "meta_labelling cannot have the meta-learner greedy" in tiny.denied(
        "train", "--model", "meta_labelling", "--horizon", 5, "--meta-learner", "greedy"
    )


@covers("train", "--stacking-data", "--phase3-output")
def test_flags_of_an_ensemble_from_stored_predictions(tiny: Desk) -> None:
    words = ["--model", "stacking", "--horizon", 5, "--stacking-data"]
    made = tiny.train(*words, "base")
    assert made.parents[0].id == "base"
    shutil.copytree(tiny.path / "data" / "stacking" / "base", tiny.path / "kept" / "base")
    try:
        assert tiny.train(*words, "base", "--phase3-output", "kept").content == made.content
        (tiny.path / "data" / "stacking" / "base").rename(tiny.path / "away")
        assert tiny.train(*words, "base", "--phase3-output", "kept").content == made.content
        assert "data/stacking" in tiny.denied("train", *words, "base")
    finally:
        (tiny.path / "away").rename(tiny.path / "data" / "stacking" / "base")
        shutil.rmtree(tiny.path / "kept")
    for model in ("voting", "blending", "meta_labelling"):
        assert tiny.train("--model", model, *words[2:], "base").extra["model"] == model
    for flag in (
        ["--symbol", "MES"], ["--dataset", "x"], ["--n-splits", 2], ["--purge-bars", 1], ["--embargo-bars", 1],
        ["--tune"], ["--n-trials", 2], ["--sample-weight", "none"], ["--time-decay", 1], ["--seed", 42],
        ["--workers", 1], ["--base-models", "logistic"], ["--features", "core"],
    ):  # fmt: skip
        told = tiny.denied("train", *words, "base", *flag)
        assert told.startswith(f"{flag[0]} does not apply: with --stacking-data"), told


@covers("train", "--config")
def test_a_config_file_stands_for_flags_and_hyperparameters(tiny: Desk, tmp_path: Path) -> None:
    config = tmp_path / "model.toml"

    def write(text: str) -> list[object]:
        config.write_text(text)
        return ["--config", config]

    made = tiny.train(*write('model = "lightgbm"\nhorizon = 5\nseed = 3\n[params]\nnum_leaves = 7\n'))
    assert made.parameters["params"] == {"num_leaves": 7}
    assert made.seed == 3
    # A flag on the command line goes before the file.
    assert tiny.train(*write('model = "logistic"\nhorizon = 5'), "--horizon", 10).extra["horizon"] == 10
    listed = tiny.train(
        *write('model="voting"\nhorizon=5\nbase_models=["logistic","lightgbm"]\nn_splits=2\nworkers=1')
    )
    assert listed.parameters["base_models"] == ["logistic", "lightgbm"]
    refused = {
        'model="logistic"\nhorizon=5\ntune=true\n[params]\nl2=0.1': "--tune does not apply",
        'model="stacking"\nhorizon=5\n[params]\nl2=0.1': "stacking is an ensemble",
        'model="logistic"\nhorizon=5\nn_splits=3': "--n-splits does not apply",
        'model="logistic"\nhorizon=5\n[params]\nnope=1': "no parameter 'nope'",
        'modle="logistic"': "unknown key 'modle'",
        "model=": "cannot be read as TOML",
        "params=3": "params is no table",
        "model={a=1}": "give text, a number",
    }
    for text, sentence in refused.items():
        assert sentence in tiny.denied("train", *write(text)), text
    assert "cannot be read" in tiny.denied("train", "--config", tmp_path / "nowhere.toml")
    # 20.5 bars are not cut down to 20.
    tiny.call("train", *write('model="logistic"\nhorizon=5.5'), status=2)


@covers("train", "--list-models")
def test_list_models_lists_what_pipeline_models_lists(tiny: Desk) -> None:
    listed = tiny.call("train", "--list-models").stdout
    assert all(
        name in listed
        for name in (*MODELS, "stacking", "blending", "voting", "meta_labelling", "greedy", "max_depth")
    )
    assert tiny.call("pipeline", "models").stdout == listed


# --- evaluate, predict, and what there is ------------------------------------------------------------------------


@covers("evaluate", "--run-id", "--split", "--runs-dir", "--workspace")
@covers("predict", "--run-id", "--runs-dir", "--bars", "--output", "--workspace")
def test_flags_of_evaluate_and_predict(tiny: Desk, tmp_path: Path) -> None:
    made = tiny.train("--model", "logistic", "--horizon", 5, "--output-dir", "mine")
    here = ["--run-id", made.id, "--runs-dir", tiny.path / "mine", "--workspace", tiny.path]
    other = Desk(tmp_path)
    for split in ("validation", "test"):
        shown = other.call("evaluate", *here, "--split", split).stdout
        assert Path(value(shown, "Evaluation saved to")).name.startswith(f"{split}_")
    assert "experiments/runs" in tiny.denied("evaluate", "--run-id", made.id, "--split", "test")
    other.call("evaluate", *here, "--split", "train", status=2)
    raw = tiny.path / "data" / "raw" / "MES_1m.parquet"
    other.call("predict", *here, "--bars", raw, "--output", "found.csv")
    printed = other.call("predict", *here, "--bars", raw).stdout
    assert (tmp_path / "found.csv").read_text() == printed
    assert "was left untouched" in other.denied("predict", *here, "--bars", raw, "--output", "found.csv")
    assert "unknown ending" in other.denied("predict", *here, "--bars", raw, "--output", "found.xls")


@covers("simulate", "--symbol", "--sessions", "--edge", "--seed", "--start", "--workspace")
def test_flags_of_simulate(tmp_path: Path) -> None:
    desk, number = Desk(tmp_path), iter(range(9))

    def bars_of(*words: object) -> pl.DataFrame:
        folder = tmp_path / str(next(number))
        folder.mkdir()
        desk.call("simulate", "--sessions", 2, "--workspace", folder.name, *words)
        return pl.read_parquet(next((folder / "data" / "raw").iterdir()))

    plain = bars_of()
    assert bars_of().equals(plain)
    assert not bars_of("--seed", 1).equals(plain)
    assert not bars_of("--edge", 0.5).equals(plain)
    assert not bars_of("--symbol", "CL").equals(plain)
    assert bars_of("--sessions", 3).height > plain.height
    assert bars_of("--start", "2023-05-01")["timestamp"][0].year == 2023
    assert "was left untouched" in desk.denied("simulate", "--workspace", "0")
