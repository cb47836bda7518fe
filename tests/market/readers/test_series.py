"""A folder, a pattern or a zip of files is one series, or no series, and then the sentence says why."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
import zstandard
from tests.market.readers.writers import (
    Written,
    binance,
    csv_naive,
    databento,
    dbn_header,
    dbn_trade,
    histdata_zip,
    lean_equity,
    lean_future,
    ninjatrader,
    parquet,
    some_bars,
    zipped,
)

from foldsmith.errors import DataError, MissingError, SettingError
from foldsmith.market.readers import read_bars
from foldsmith.market.readers.contracts import contract_in, of_product, product_of

MARCH, JUNE = some_bars(60, "2024-03-07T14:30"), some_bars(60, "2024-03-07T15:00")


def put(folder: Path, files: dict[str, Written | bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in files.items():
        (folder / name).write_bytes(file if isinstance(file, bytes) else file.content)
    return folder


def with_contract(bars: pl.DataFrame, name: str) -> pl.DataFrame:
    return bars.with_columns(contract=pl.lit(name))


def test_a_folder_of_contracts_is_one_series_with_the_contracts_of_the_names(tmp_path: Path) -> None:
    files = {
        "MES 03-24.Last.txt": ninjatrader(MARCH), "MES 06-24.Last.txt": ninjatrader(JUNE), ".DS_Store": b"junk",
    }  # fmt: skip
    folder = put(tmp_path / "MES_1m", files)
    raw = read_bars(folder)
    assert raw.frame.equals(pl.concat([with_contract(MARCH, "MES 03-24"), with_contract(JUNE, "MES 06-24")]))
    assert raw.assumptions == (
        "read as a NinjaTrader export (UTC, 1-minute bars stamped at their end); --format overrules this",
        "2 files are read as one series of MES 03-24, MES 06-24",
        "bars are stamped at their close and 1 minutes long, so each opens that much earlier",
    )
    assert read_bars(folder / "MES 06*.txt").frame.equals(with_contract(JUNE, "MES 06-24"))
    assert read_bars(folder / "MES *.txt").frame.equals(raw.frame)


def test_a_contract_of_a_single_bar_has_the_length_of_the_others(tmp_path: Path) -> None:
    folder = put(
        tmp_path / "MES_1m", {"MES 03-24.txt": ninjatrader(MARCH), "MES 06-24.txt": ninjatrader(JUNE.head(1))}
    )
    assert read_bars(folder).frame["datetime"][-1] == JUNE["datetime"][0]
    alone = read_bars(folder / "MES 06-24.txt")
    assert alone.frame["datetime"].to_list() == [JUNE["datetime"][0]]


def test_a_column_goes_before_the_name(tmp_path: Path) -> None:
    folder = put(tmp_path / "ES_1m", {"ESM4.dbn": databento(3)(MARCH)})
    assert set(read_bars(folder).frame["contract"]) == {"ESH4"}


def test_months_of_one_instrument_follow_each_other(tmp_path: Path) -> None:
    later = MARCH.with_columns(pl.col("datetime").dt.offset_by("1mo"))
    months = {"X-1m-2024-03.csv": binance("", 1000)(MARCH), "X-1m-2024-04.csv": binance("", 1_000_000)(later)}
    raw = read_bars(put(tmp_path / "X_1m", months))
    assert raw.frame.equals(pl.concat([MARCH, later]).with_columns(trades=pl.lit(9.0)))
    assert raw.assumptions[-1] == "2 files are read as one series"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"a.csv": csv_naive(MARCH), "b.csv": csv_naive(JUNE)},
         r"a\.csv and b\.csv in MES_1m hold bars of the same time and no contract; name each"),
        ({"MESH4.csv": csv_naive(MARCH), "b.csv": csv_naive(JUNE)},
         r"files with and without a contract \(MESH4\.csv, b\.csv\)"),
        ({"MESH4.csv": csv_naive(MARCH), "MESM4.txt": ninjatrader(JUNE)},
         r"several formats \(MESH4\.csv: csv, MESM4\.txt: ninjatrader\)"),
        ({"MESH4.csv": csv_naive(MARCH), "MESM4.csv": csv_naive(some_bars(200).gather_every(5))},
         r"several lengths \(MESH4\.csv: 1 minutes, MESM4\.csv: 5\)"),
        ({"a.csv": csv_naive(MARCH), "readme.txt": b"Please read\n"}, r"readme\.txt: no time column"),
        ({"a.csv": csv_naive(MARCH), "b.csv": b""}, r"b\.csv is empty"),
        ({"MESH4.txt": ninjatrader(some_bars(200).gather_every(5))}, "no two bars are less than 5 minutes apart"),
    ],
)  # fmt: skip
def test_files_that_are_no_series(tmp_path: Path, files: dict[str, Written | bytes], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_bars(put(tmp_path / "MES_1m", files))


def test_a_folder_without_files(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no file is in .*MES_1m"):
        read_bars(put(tmp_path / "MES_1m", {".hidden": b"x"}))
    with pytest.raises(MissingError, match="no file is in"):
        read_bars(tmp_path / "MES_1m" / "*.csv")


def test_days_of_lean_in_one_folder(tmp_path: Path) -> None:
    days = some_bars(3000, "2024-03-07T00:00")
    files = {f"{at}_trade.zip": lean_future(days[at : at + 1440]) for at in range(0, days.height, 1440)}
    folder = put(tmp_path / "GC_1m", files)
    assert read_bars(folder).frame.equals(with_contract(days, "GC 202404"))


def test_a_zip_is_a_folder_and_its_report_is_left_out(tmp_path: Path) -> None:
    raw = read_bars(put(tmp_path, {"SPX_1m.zip": histdata_zip(MARCH)}) / "SPX_1m.zip")
    assert raw.frame.height == 60
    assert raw.assumptions[-1] == "left out: DAT_MT_SPXUSD_M1_202401.txt, which vendors put beside bars"
    several = zipped("MES_1m.zip", {
        "x/MES 03-24.Last.txt": ninjatrader(MARCH).content, "__MACOSX/x/._a": b"junk", "x/": b"",
        "x/MES 06-24.Last.txt": ninjatrader(JUNE).content,
    })  # fmt: skip
    frame = read_bars(put(tmp_path, {"MES_1m.zip": several}) / "MES_1m.zip").frame
    assert frame["contract"].unique().sort().to_list() == ["MES 03-24", "MES 06-24"]


def test_an_equity_of_lean_in_winter_and_summer(tmp_path: Path) -> None:
    winter, summer = some_bars(5, "2024-03-08T14:30"), some_bars(5, "2024-03-11T13:30")
    folder = put(tmp_path / "SPY_1m", {"w.zip": lean_equity(winter), "s.zip": lean_equity(summer)})
    assert read_bars(folder).frame.sort("datetime").equals(pl.concat([winter, summer]))


def trades(start: int, *prices: float) -> bytes:
    """A second apart, from `start` seconds after 2024-01-08 14:30 on."""
    first = 1_704_724_200
    return b"".join(
        dbn_trade(118, (first + start + place) * 10**9, price, place + 1)
        for place, price in enumerate(prices)
    )


def test_a_minute_of_trades_that_two_files_share_is_one_bar(tmp_path: Path) -> None:
    header = dbn_header(3, 4, {"ESH4": [(20200101, 20300101, "118")]})
    folder = put(
        tmp_path / "ES_1m",
        {
            "a.dbn": header + trades(57, 5.0, 7.0, 6.0, 1.0, 2.0),
            "b.dbn": header + trades(62, 9.0, 3.0) + trades(130, 4.0),
        },
    )
    raw = read_bars(folder)
    assert [row[1:] for row in raw.frame.rows()] == [
        (5.0, 7.0, 5.0, 6.0, 6.0, "ESH4", 3.0),
        (1.0, 9.0, 1.0, 3.0, 12.0, "ESH4", 4.0),
        (4.0, 4.0, 4.0, 4.0, 1.0, "ESH4", 1.0),
    ]
    assert raw.frame["datetime"].dt.strftime("%H:%M").to_list() == ["14:30", "14:31", "14:32"]
    assert "5 trades are made into bars of one minute; a minute without trades has none" in raw.assumptions
    with pytest.raises(SettingError, match=r"--stamp close does not go with a\.dbn: it holds trades"):
        read_bars(folder, stamp="close")
    (folder / "0.dbn").write_bytes(header + trades(62, 9.0, 3.0) + trades(130, 4.0) + trades(190, 4.0))
    with pytest.raises(DataError, match=r"files with trades of the same minutes \(3 minutes twice\)"):
        read_bars(folder)
    (folder / "0.dbn").unlink()
    (folder / "b.dbn").rename(folder / "0.dbn")  # whatever they are called: in order of time
    assert read_bars(folder).frame.equals(raw.frame)
    (folder / "c.dbn").write_bytes(databento(3)(MARCH).content)
    with pytest.raises(DataError, match=r"holds bars and trades \(0\.dbn, c\.dbn\)"):
        read_bars(folder)


def test_ticks_of_ninjatrader(tmp_path: Path) -> None:
    plain = "20240108 143000;5;1\n20240108 143059;4.5;2\n20240108 143100;6;3\n"
    precise = (
        "20240108 143000 1230000;5;4.75;5.25;1\n20240108 143059 9999999;4.5;4;5;2\n"
        "20240108 143100 0000000;6;5;7;3\n"
    )
    for content in (plain, precise):
        path = tmp_path / "MES 03-24.Last.txt"
        path.write_text(content)
        raw = read_bars(path)
        assert [row[1:] for row in raw.frame.rows()] == [
            (5, 5, 4.5, 4.5, 3, "MES 03-24", 2), (6, 6, 6, 6, 3, "MES 03-24", 1),
        ]  # fmt: skip
        assert raw.frame["datetime"].dt.strftime("%H:%M").to_list() == ["14:30", "14:31"]
    path.write_text(plain + "20240108 14:31;6;3\n")
    with pytest.raises(DataError, match="the time of the trade at line 4 is empty or cannot be read"):
        read_bars(path, file_format="ninjatrader")


TRADES = MARCH.with_columns(trade_count=pl.int_range(pl.len()) + 1)


@pytest.mark.parametrize("name", ["trades", "Trade_Count", "bar_count", "barCount"])
def test_trades_are_read_under_each_of_their_names(tmp_path: Path, name: str) -> None:
    made = TRADES.rename({"trade_count": name})
    made.write_parquet(tmp_path / "MES_1m.parquet")
    csv = made.with_columns(pl.col("datetime").dt.strftime("%Y-%m-%d %H:%M:%S"))
    csv.write_csv(tmp_path / "MES_1m.csv")
    for file in ("MES_1m.parquet", "MES_1m.csv"):
        found = read_bars(tmp_path / file).frame
        assert found["trades"].to_list() == TRADES["trade_count"].to_list()
        assert found.drop("trades").equals(MARCH)
    # Trades that are no numbers are no reason to refuse bars that may not need them.
    csv.with_columns(pl.lit("many").alias(name)).write_csv(tmp_path / "MES_1m.csv")
    assert read_bars(tmp_path / "MES_1m.csv").frame["trades"].null_count() == MARCH.height
    made.with_columns(pl.lit(None).cast(pl.List(pl.Int8)).alias(name)).write_parquet(
        tmp_path / "MES_1m.parquet"
    )
    assert read_bars(tmp_path / "MES_1m.parquet").frame["trades"].null_count() == MARCH.height


def test_trades_that_not_every_file_has_are_left_out(tmp_path: Path) -> None:
    later = TRADES.with_columns(pl.col("datetime").dt.offset_by("1mo"))
    (tmp_path / "MES_1m").mkdir()
    TRADES.write_parquet(tmp_path / "MES_1m" / "a.parquet")
    later.write_parquet(tmp_path / "MES_1m" / "b.parquet")
    assert read_bars(tmp_path / "MES_1m").frame["trades"].sum() == 2 * TRADES["trade_count"].sum()
    later.drop("trade_count").write_parquet(tmp_path / "MES_1m" / "b.parquet")
    raw = read_bars(tmp_path / "MES_1m")
    assert "trades" not in raw.frame.columns
    assert "column trades is left out: not every file has it" in raw.assumptions


@pytest.mark.parametrize(
    ("name", "contract"),
    [
        ("MES 12-25.Last.txt", "MES 12-25"), ("M2K 03-24.csv", "M2K 03-24"), ("6E 03-24.txt", "6E 03-24"),
        ("ESZ5.csv", "ESZ5"), ("MESH24_1m.csv", "MESH24"), ("M2KM2024.parquet", "M2KM2024"),
        ("ES_202506_1m_trades.parquet", "ES 202506"), ("ES 202506.csv", "ES 202506"),
        ("MES_1m.csv", None), ("MGC_1m.csv", None), ("BTCUSDT-1m-2024-03.csv", None), ("XRP_ETH-1m.feather", None),
        ("20131009_spy_minute_trade.csv", None), ("SPX_1min.txt", None), ("DAT_ASCII_SPXUSD_M1_202401.csv", None),
        ("CME_MINI_NQ1!, 1.csv", None), ("ESZ5a.csv", None), ("ES_202513.csv", None),
    ],
)  # fmt: skip
def test_contracts_in_names(name: str, contract: str | None) -> None:
    assert contract_in(name) == contract


@pytest.mark.parametrize(
    ("contract", "product"),
    [
        ("MES 03-24", "MES"), ("ES 202506", "ES"), ("GC 20131227", "GC"), ("ESU4", "ES"), ("M2KH24", "M2K"),
        ("6EZ2024", "6E"), ("ES.c.0", "ES"), ("ES.FUT", "ES"), ("ES.c.0 4358", "ES"), ("ESU4 118", "ES"),
        ("ESU4-ESZ4", "ESU4-ESZ4"), ("118", "118"), ("front", "front"),
    ],
)  # fmt: skip
def test_products_of_contracts(contract: str, product: str) -> None:
    assert product_of(contract) == product


def test_one_product_of_another_name_is_kept_and_said() -> None:
    bars = with_contract(MARCH, "ESH4")
    assert of_product(bars, "ES", "x") == (bars, ())
    kept, said = of_product(bars, "MES", "x")
    assert kept.equals(bars)
    assert said == ("the contracts are of ES, not of MES",)
    assert of_product(with_contract(MARCH, "front"), "MES", "x")[1] == ()
    # A bar later, of another product.
    both = pl.concat(
        [bars, with_contract(MARCH.with_columns(pl.col("datetime") + timedelta(hours=2)), "NQH4")]
    )
    kept, said = of_product(both, "ES", "x")
    assert kept.equals(bars)
    assert said == ("contracts of others than ES are left out: NQH4 (60 bars)",)


def test_parquet_files_by_contract(tmp_path: Path) -> None:
    files = {"ESH4.parquet": parquet("UTC", "us")(MARCH), "ESM4.parquet": parquet("UTC", "us")(JUNE)}
    assert read_bars(put(tmp_path / "ES_1m", files)).frame["contract"].unique().sort().to_list() == [
        "ESH4",
        "ESM4",
    ]


def test_notes_beside_a_batch_of_databento_are_left_out(tmp_path: Path) -> None:
    folder = put(tmp_path / "ES_1m", {
        "glbx-20240307.ohlcv-1m.dbn": databento(3)(MARCH), "metadata.json": b'{"version": 1}', "symbology.json": b"{}",
    })  # fmt: skip
    raw = read_bars(folder)
    assert raw.frame.height == 60
    assert raw.assumptions[-1] == "left out: metadata.json, symbology.json, which vendors put beside bars"
    packed = zipped("ES_1m.zip", {"a.dbn.zst": zstandard.compress(databento(3)(MARCH).content)})
    with pytest.raises(
        DataError, match=r"a\.dbn\.zst in it is packed too; unpack the zip and give the folder"
    ):
        read_bars(put(tmp_path, {"ES_1m.zip": packed}) / "ES_1m.zip")
