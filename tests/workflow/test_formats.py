"""Bars as a vendor writes them go through the commands as Parquet does: the same dataset, and the same predictions."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from tests.market.readers.writers import ninjatrader
from tests.workflow.conftest import Desk
from tests.workflow.test_flags import covers

RUN = ["pipeline", "run", "--symbols", "MES", "--horizons", 5, "--yes"]


def exported(raw: Path, folder: Path) -> Path:
    """The bars of a Parquet file as NinjaTrader exports them: a file for each contract."""
    folder.mkdir(parents=True)
    bars = pl.read_parquet(raw).rename({"timestamp": "datetime"})
    bars = bars.with_columns(pl.col("datetime").dt.replace_time_zone("UTC"))
    for contract, part in bars.partition_by("contract", as_dict=True).items():
        (folder / f"{contract[0]}.Last.txt").write_bytes(ninjatrader(part).content)
    return folder


@covers("pipeline run", "--format")
def test_a_folder_of_contracts_makes_the_dataset_that_one_file_makes(tmp_path: Path) -> None:
    plain, other = Desk(tmp_path / "plain"), Desk(tmp_path / "other")
    plain.path.mkdir()
    plain.call("simulate", "--sessions", 55, "--seed", 7)
    folder = exported(plain.path / "data" / "raw" / "MES_1m.parquet", other.path / "data" / "raw" / "MES_1m")
    assert len(list(folder.iterdir())) == 2
    made, same = plain.dataset(), other.dataset()
    named = other.dataset("--format", "ninjatrader")
    for file in ("bars.parquet", "bars_1m.parquet", "features.parquet", "labels_h5.parquet"):
        assert made.files[file] == same.files[file] == named.files[file]
    # The folder is a parent like a file: unchanged, then changed, then gone.
    assert [parent.id for parent in same.parents] == ["MES_1m"]
    assert "unchanged" in other.call("runs", "explain", same.id).stdout
    assert "--format ninjatrader" in other.call("runs", "explain", named.id).stdout
    assert "the same content" in other.call("runs", "reproduce", named.id, "--from-raw").stdout
    next(folder.iterdir()).unlink()
    assert "was changed since" in other.call("runs", "explain", same.id).stdout
    assert "MES" in other.call("pipeline", "status").stdout
    # Another format, and one that there is not.
    assert "lie outside the sessions" in other.call(*RUN, "--format", "histdata", status=2).stderr
    assert "there are csv, csv-day-first" in other.call(*RUN, "--format", "ninja", status=2).stderr
    # A file beside the folder leaves it open which to read.
    (other.path / "data" / "raw" / "MES_1m.csv").write_text("x")
    assert "holds MES_1m.csv and MES_1m; keep the one" in other.call(*RUN, status=2).stderr


@covers("pipeline validate", "--format")
@covers("predict", "--format")
def test_validate_and_predict_read_what_run_reads(tiny: Desk, tmp_path: Path) -> None:
    raw = tiny.path / "data" / "raw" / "MES_1m.parquet"
    folder = exported(raw, tmp_path / "data" / "raw" / "MES_1m")
    other = Desk(tmp_path)
    assert "read as a NinjaTrader export" in other.call("pipeline", "validate").stdout
    told = other.call("pipeline", "validate", "--format", "csv", status=2).stderr
    assert "error: MES: MES 03-22.Last.txt: no time column" in told
    model = tiny.train("--model", "logistic", "--horizon", 5).id
    words = ["predict", "--run-id", model, "--bars"]
    plain = tiny.call(*words, raw).stdout
    assert tiny.call(*words, folder).stdout == plain
    assert tiny.call(*words, folder, "--format", "ninjatrader").stdout == plain
    assert tiny.call(*words, next(folder.iterdir())).stdout == plain
    assert "no time column" in tiny.call(*words, folder, "--format", "csv", status=2).stderr
