from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from foldsmith.contracts import oof_contract
from foldsmith.errors import DataError, MissingError
from foldsmith.stages.tables import read_metadata, read_table, write_table


def test_a_table_and_its_metadata_come_back_and_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1.0, 2.0]})
    for name in ("a", "b"):
        write_table(frame, tmp_path / f"{name}.parquet", None, {"rows": 2, "models": ["m"]})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert read_table(tmp_path / "a.parquet").equals(frame)
    assert read_metadata(tmp_path / "a.parquet") == {"rows": 2, "models": ["m"]}


def test_a_missing_a_cut_and_a_foreign_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is not there"):
        read_table(tmp_path / "no.parquet")
    write_table(pl.DataFrame({"x": range(1000)}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not parquet at all"):
        (tmp_path / "cut.parquet").write_bytes(content)
        with pytest.raises(DataError, match=r"cut\.parquet"):
            read_table(tmp_path / "cut.parquet")
        with pytest.raises(DataError, match=r"cut\.parquet"):
            read_metadata(tmp_path / "cut.parquet")


def test_a_broken_contract_is_refused_on_write_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'datetime' is missing"):
        write_table(pl.DataFrame({"x": [1]}), tmp_path / "a.parquet", oof_contract(["m"]))
    assert not (tmp_path / "a.parquet").exists()
