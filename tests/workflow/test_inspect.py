"""`pipeline inspect`: one screen and one page on any file, before anything is run; and nothing else is written."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from tests.market.readers.writers import ninjatrader
from tests.workflow.conftest import Desk
from tests.workflow.test_flags import covers


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("inspected"))
    made.call("simulate", "--sessions", 30, "--seed", 7)
    return made


def raw(desk: Desk) -> Path:
    return desk.path / "data" / "raw" / "MES_1m.parquet"


@covers("pipeline inspect", "file", "--output", "--workspace")
def test_a_screen_and_a_page(desk: Desk, tmp_path: Path) -> None:
    before = set(desk.everything())
    shown = desk.call("pipeline", "inspect", raw(desk), "--output", tmp_path / "page.html").stdout
    assert set(desk.everything()) == before
    assert len(shown.splitlines()) <= 24
    bars = pl.read_parquet(raw(desk))
    assert f"MES_1m.parquet: {bars.height:,} bars of 1 minutes, kept of {bars.height:,} rows" in shown
    assert "instrument  MES, hours of CME_EQUITY, tick 0.25" in shown
    assert f"{bars['low'].min():,.10g} to {bars['high'].max():,.10g} in steps of 0.25" in shown
    assert re.search(r"coverage +100\.00% of the minutes of 30 sessions, 0 of them", shown)
    page = (tmp_path / "page.html").read_text()
    assert page.count("<rect class=") == 30 + 6  # sessions, and the legend
    assert "http:" not in re.sub(r"http://www\.w3\.org/\S+", "", page)
    # A page is replaced by a newer one; any other file is not.
    again = desk.call(
        "pipeline", "inspect", raw(desk), "--output", tmp_path / "page.html", "--workspace", "."
    )
    assert again.exit_code == 0
    assert (tmp_path / "page.html").read_text() == page
    (tmp_path / "mine.html").write_text("mine")
    told = desk.call("pipeline", "inspect", raw(desk), "--output", tmp_path / "mine.html", status=2).stderr
    assert "is no page of an inspection" in told
    assert (tmp_path / "mine.html").read_text() == "mine"
    assert (
        "ends with .html" in desk.call("pipeline", "inspect", raw(desk), "--output", "x.txt", status=2).stderr
    )


@covers("pipeline inspect", "--symbol", "--rules")
def test_the_instrument_is_told_or_named(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path)
    plain = pl.read_parquet(raw(desk)).drop("contract")
    plain.write_parquet(tmp_path / "export.parquet")
    shown = other.call("pipeline", "inspect", "export.parquet").stdout
    assert "the name of export.parquet says no known instrument" in shown
    assert "hours of 24x7, tick 0.25" in shown
    assert (tmp_path / "inspection_export.html").is_file()
    named = other.call("pipeline", "inspect", "export.parquet", "--symbol", "MES").stdout
    assert "hours of CME_EQUITY" in named
    for name in ("CME_MINI_MES1!, 1.parquet", "my MES bars.parquet"):
        (tmp_path / name).write_bytes((tmp_path / "export.parquet").read_bytes())
        assert "hours of CME_EQUITY" in other.call("pipeline", "inspect", name).stdout
    assert (
        "did you mean MES"
        in other.call("pipeline", "inspect", "export.parquet", "--symbol", "mes", status=2).stderr
    )
    at = pl.int_range(pl.len()) == 900
    plain.with_columns(volume=pl.when(at).then(0.0).otherwise("volume")).write_parquet(
        tmp_path / "MES_1m.parquet"
    )
    shown = other.call("pipeline", "inspect", "MES_1m.parquet").stdout
    assert "zero_volume: 1 counted, first at" in shown
    assert "zero volume" in (tmp_path / "inspection_MES_1m.html").read_text()
    shown = other.call("pipeline", "inspect", "MES_1m.parquet", "--rules", "zero_volume=drop").stdout
    assert "zero_volume: 1 dropped" in shown
    both = pl.concat([pl.read_parquet(raw(desk)).with_columns(contract=pl.lit(c)) for c in ("MESH2", "CLH2")])
    both.write_parquet(tmp_path / "both.parquet")
    assert "CL, MES; name the one" in other.call("pipeline", "inspect", "both.parquet", status=2).stderr


@covers("pipeline inspect", "--format", "--timezone", "--stamp", "--roll", "--roll-days")
def test_it_reads_as_phase_1_reads(desk: Desk, tmp_path: Path) -> None:
    bars = pl.read_parquet(raw(desk)).rename({"timestamp": "datetime"})
    bars = bars.with_columns(pl.col("datetime").dt.replace_time_zone("UTC"))
    (tmp_path / "MES 03-22.Last.txt").write_bytes(ninjatrader(bars).content)
    other = Desk(tmp_path)
    shown = other.call("pipeline", "inspect", "MES 03-22.Last.txt").stdout
    assert "read as a NinjaTrader export" in shown
    assert "contracts   MES 03-22" in shown
    told = other.call("pipeline", "inspect", "MES 03-22.Last.txt", "--format", "csv", status=2).stderr
    assert "no time column" in told
    for flag in (["--timezone", "America/Chicago"], ["--stamp", "close"]):
        told = desk.call(
            "pipeline", "inspect", raw(desk), *flag, "--output", tmp_path / "x.html", status=2
        ).stderr
        assert told.startswith("error: ")
    assert not (tmp_path / "x.html").exists()
    early = ["--roll", "calendar", "--roll-days", 20, "--output", tmp_path / "roll.html"]
    rolled = [desk.call("pipeline", "inspect", raw(desk), *flags).stdout for flags in ((), early)]
    assert rolled[0] != rolled[1].replace("roll.html", "inspection_MES_1m.html")
    assert "no file" in other.call("pipeline", "inspect", "absent.csv", status=2).stderr
