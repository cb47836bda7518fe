"""Readers: what is converted, what is said, and what is refused with the place named."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oracles import market as oracle

from foldsmith.errors import DataError, MissingError, SettingError
from foldsmith.market.readers import read_bars
from foldsmith.market.readers.clock import bar_length

HEADER = "timestamp,open,high,low,close,volume\n"
ROW = "{},100,101,99,100.5,{}\n"


def write(folder: Path, text: str, name: str = "MES_1m.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def lines(*times: str, header: str = HEADER) -> str:
    return header + "".join(ROW.format(time, row + 1) for row, time in enumerate(times))


def opens(path: Path, **options: object) -> list[str]:
    frame = read_bars(path, **options).frame  # type: ignore[arg-type]
    return frame["datetime"].dt.strftime("%Y-%m-%d %H:%M:%S").to_list()


def test_naive_times_are_utc_at_the_open_and_both_are_said(tmp_path: Path) -> None:
    raw = read_bars(write(tmp_path, lines("2024-01-08 14:30:00", "2024-01-08 14:31:00")))
    assert raw.frame["datetime"].dt.strftime("%Y-%m-%d %H:%M").to_list()[0] == "2024-01-08 14:30"
    assert raw.frame.schema == {
        "datetime": pl.Datetime("us", "UTC"),
        **dict.fromkeys(["open", "high", "low", "close", "volume"], pl.Float64),
    }
    assert len(raw.assumptions) == 2
    assert "taken as UTC" in raw.assumptions[0]
    assert "stamped at their open" in raw.assumptions[1]


@pytest.mark.parametrize(
    "time",
    [
        "2024-01-08 14:30:00",
        "2024-01-08T14:30:00",
        "2024-01-08 14:30:00.000",
        "2024-01-08 14:30",
        "2024-01-08T14:30:00Z",
        "2024-01-08 14:30:00+00:00",
        "2024-01-08 09:30:00-05:00",
        "2024-01-08T08:30:00-0600",
        "2024-01-08 14:30:00 UTC",
        "2024/01/08 14:30:00",
        "20240108 143000",
        "1704724200",
        "1704724200000",
        "1704724200000000",
        "1704724200000000000",
    ],
)
def test_spellings_of_one_instant(tmp_path: Path, time: str) -> None:
    raw = read_bars(write(tmp_path, lines(time)), stamp="open")
    assert raw.frame["datetime"][0].isoformat() == "2024-01-08T14:30:00+00:00"
    zoned = any(mark in time for mark in ("Z", "+00", "-05", "-06", "UTC")) or time.startswith("17")
    assert (raw.assumptions == ()) == zoned


def test_offset_that_changes_with_daylight_saving(tmp_path: Path) -> None:
    path = write(tmp_path, lines("2024-03-08 09:30:00-05:00", "2024-03-11 09:30:00-04:00"))
    assert opens(path) == ["2024-03-08 14:30:00", "2024-03-11 13:30:00"]


def test_timezone_reads_local_times_with_daylight_saving(tmp_path: Path) -> None:
    path = write(tmp_path, lines("2024-01-08 09:30:00", "2024-07-08 09:30:00"))
    assert opens(path, timezone="America/New_York") == ["2024-01-08 14:30:00", "2024-07-08 13:30:00"]


def test_timezone_overrules_a_claimed_offset_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, lines("2024-07-08 09:30:00+00:00", "2024-07-08 09:31:00+00:00"))
    raw = read_bars(path, timezone="America/New_York")
    assert raw.frame["datetime"][0].isoformat() == "2024-07-08T13:30:00+00:00"
    assert "overrules" in raw.assumptions[0]


@pytest.mark.parametrize("time", ["2024-03-10 02:30:00", "2024-11-03 01:30:00"])
def test_local_times_that_clocks_skip_or_repeat_name_the_row(tmp_path: Path, time: str) -> None:
    path = write(tmp_path, lines("2024-01-08 09:30:00", time))
    with pytest.raises(DataError, match=rf"{time} at line 3 does not exist once in America/New_York"):
        read_bars(path, timezone="America/New_York")


def test_unknown_timezone(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"'Chicago' is unknown.*America/Chicago"):
        read_bars(write(tmp_path, lines("2024-01-08 09:30:00")), timezone="Chicago")


def test_stamp_close_shifts_by_the_most_common_spacing(tmp_path: Path) -> None:
    times = ["2024-01-08 14:35", "2024-01-08 14:40", "2024-01-08 14:45", "2024-01-08 15:00"]
    path = write(tmp_path, lines(*times))
    assert opens(path, stamp="close")[0] == "2024-01-08 14:30:00"
    assert opens(path, stamp="close", bar_seconds=60)[0] == "2024-01-08 14:34:00"
    assert "5 minutes long" in read_bars(path, stamp="close").assumptions[1]


@given(st.lists(st.integers(0, 60), min_size=2, max_size=40).filter(lambda values: len(set(values)) > 1))
def test_bar_length_equals_its_twin(instants: list[int]) -> None:
    assert bar_length(np.array(instants)) == oracle.bar_length(instants)


def test_bar_length_needs_two_bars() -> None:
    with pytest.raises(DataError, match="fewer than two"):
        bar_length(np.array([5, 5]))


@pytest.mark.parametrize(
    "header",
    [
        "Datetime,Open,High,Low,Close,Volume\n",
        "DATE,OPEN,HIGH,LOW,CLOSE,VOLUME\n",
        '"time","open","high","low","close","volume"\n',
        "\ufefftimestamp, open, high, low, close, volume\n",
    ],
)
def test_spellings_of_the_header(tmp_path: Path, header: str) -> None:
    frame = read_bars(write(tmp_path, lines("2024-01-08 14:30:00", header=header))).frame
    assert frame.row(0)[1:] == (100, 101, 99, 100.5, 1)


def test_columns_in_any_order_others_ignored_contract_kept(tmp_path: Path) -> None:
    text = "close;rsi;contract;timestamp;volume;low;high;open\n5;x;MES 03-24;2024-01-08 14:30:00;7;1;9;2\n"
    frame = read_bars(write(tmp_path, text)).frame
    assert frame.columns == ["datetime", "open", "high", "low", "close", "volume", "contract"]
    assert frame.row(0)[1:] == (2, 9, 1, 5, 7, "MES 03-24")


@pytest.mark.parametrize("name", ["open_interest", "OpenInterest", "OI"])
def test_open_interest_is_read_where_a_file_has_it(tmp_path: Path, name: str) -> None:
    header = f"timestamp,open,high,low,close,volume,{name}\n"
    text = header + "2024-01-08 14:30,1,2,1,2,5,77\n2024-01-08 14:31,1,2,1,2,5,\n"
    frame = read_bars(write(tmp_path, text)).frame
    assert frame["open_interest"].to_list() == [77.0, None]
    pl.read_csv(text.encode(), try_parse_dates=True).write_parquet(tmp_path / "MES_1m.parquet")
    assert read_bars(tmp_path / "MES_1m.parquet").frame.equals(frame)
    with pytest.raises(DataError, match="open_interest is there 2 times"):
        read_bars(
            write(tmp_path, header.replace("\n", ",open_interest\n") + "2024-01-08 14:30,1,2,1,2,5,7,7\n")
        )
    # In a folder in which only some files have it, it is left out.
    (tmp_path / "MES").mkdir()
    write(tmp_path / "MES", text, "MESH24.csv")
    write(tmp_path / "MES", lines("2024-01-08 14:31"), "MESM24.csv")
    both = read_bars(tmp_path / "MES")
    assert both.frame.columns[-1] == "contract"
    assert "column open_interest is left out: not every file has it" in both.assumptions


def test_gzip_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "MES_1m.csv.gz"
    text = lines("2024-01-08 14:30:00", "2024-01-08 14:31:00").replace("\n", "\r\n")
    path.write_bytes(gzip.compress(text.encode()))
    assert read_bars(path).frame["volume"].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"MES_1m\.csv is empty \(0 bytes\)"),
        ("\n", "begins with an empty line"),
        (HEADER, "holds a header and no bars"),
        (HEADER.replace("volume", "vlm"), "column 'volume' is missing; the file has timestamp, open"),
        (HEADER.replace("timestamp", "when"), "no time column.*the file has when, open"),
        (HEADER.replace("timestamp", "date,time"), "date and time could all be the time"),
        (HEADER.replace("volume", "volume,Volume"), "volume is there 2 times"),
        ("2024-01-08 14:30,1,1,1,1,1\n", "no time column.*header line"),
        (lines("2024-01-08 14:30:00") + "2024-01-08 14:31:00,1,x1,1,1,1\n", "'high' holds 'x1' at line 3"),
        (lines("2024-01-08 14:30:00") + "2024-01-08 14:31:00,1,1,1,1,1e\n", "'volume' holds '1e' at line 3"),
        (lines("2024-01-08 14:30:00", "8 Jan"), "time '8 Jan' at line 3 is not written like the first"),
        (lines("noon"), "time 'noon' at line 2 cannot be read"),
        (lines("2024-01-08 14:30:00", ""), "time is empty at line 3"),
        (lines("01/08/2024 14:30"), "'01/08/2024 14:30' at line 2 may have the day or the month first"),
        (lines("2024-13-08 14:30:00"), "cannot be read"),
        (lines("0324-01-08 14:30:00"), "dated in the year 324"),
        (
            lines("2024-01-08 14:30:00") + "2024-01-08 14:31:00,1,1,1,1,1,7,8\n",
            "as many values as the header",
        ),
    ],
)
def test_broken_text_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_bars(write(tmp_path, text))


def test_an_empty_price_is_left_to_cleaning(tmp_path: Path) -> None:
    text = lines("2024-01-08 14:30:00") + "2024-01-08 14:31:00,1,,1,1,1\n"
    assert read_bars(write(tmp_path, text)).frame["high"].to_list() == [101, None]


def test_missing_file_lists_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, HEADER, "CL_1m.csv")
    with pytest.raises(MissingError, match=r"no file .*MES_1m\.csv\. There are: CL_1m\.csv"):
        read_bars(tmp_path / "MES_1m.csv")


def test_settings_are_checked(tmp_path: Path) -> None:
    path = write(tmp_path, lines("2024-01-08 14:30:00"))
    with pytest.raises(SettingError, match="--stamp 'end' is unknown"):
        read_bars(path, stamp="end")
    with pytest.raises(SettingError, match="0 seconds"):
        read_bars(path, bar_seconds=0)
    with pytest.raises(SettingError, match="ending that is not read"):
        read_bars(write(tmp_path, "x", "MES_1m.xlsx"))


def test_binary_and_cut_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "MES_1m.csv"
    path.write_bytes(b"\xff\xfe\x00t")
    with pytest.raises(DataError, match="UTF-8"):
        read_bars(path)
    times = [f"2024-01-08 {hour:02d}:{minute:02d}:00" for hour in range(24) for minute in range(60)]
    packed = gzip.compress(lines(*times).encode())
    path = tmp_path / "CL_1m.csv.gz"
    for size in (5, 40, len(packed) * 7 // 10, len(packed) - 9):
        path.write_bytes(packed[:size])
        with pytest.raises(DataError, match=r"cut short|file whole"):
            read_bars(path)
    path.write_bytes(b"not gzip at all")
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_bars(path)


@pytest.fixture
def table() -> pl.DataFrame:
    text = pl.Series("timestamp", ["2024-07-08 13:30:00", "2024-07-08 13:31:00"])
    prices = {name: [1.0, 2.0] for name in ("open", "high", "low", "close")}
    return pl.DataFrame({"timestamp": text.str.to_datetime(time_unit="us"), **prices, "volume": [3, 4]})


def test_parquet_types_and_metadata(tmp_path: Path, table: pl.DataFrame) -> None:
    path = tmp_path / "MES_1m.parquet"
    variants = {
        "naive": pl.col("timestamp"),
        "nanoseconds": pl.col("timestamp").dt.cast_time_unit("ns"),
        "milliseconds": pl.col("timestamp").dt.cast_time_unit("ms"),
        "aware": pl.col("timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
        "text": pl.col("timestamp").dt.strftime("%Y-%m-%d %H:%M:%S"),
        "epoch": pl.col("timestamp").dt.epoch("ms"),
    }
    for name, expression in variants.items():
        table.with_columns(expression).write_parquet(path, metadata={"made_by": name})
        raw = read_bars(path, stamp="open")
        assert raw.frame["datetime"][1].isoformat() == "2024-07-08T13:31:00+00:00", name
        assert raw.frame["datetime"].dtype == pl.Datetime("us", "UTC")
        assert raw.frame["volume"].to_list() == [3.0, 4.0]
        assert raw.metadata == {"made_by": name}
        assert (raw.assumptions == ()) == (name in ("aware", "epoch")), name


def test_parquet_errors(tmp_path: Path, table: pl.DataFrame) -> None:
    path = tmp_path / "MES_1m.parquet"
    table.write_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(DataError, match=r"no whole Parquet file.*cut short"):
        read_bars(path)
    table.drop("low").write_parquet(path)
    with pytest.raises(DataError, match="'low' is missing; the file has timestamp, open, high"):
        read_bars(path)
    table.with_columns(high=pl.Series(["1", "one"])).write_parquet(path)
    with pytest.raises(DataError, match="'high' holds 'one' at row 2"):
        read_bars(path)
    table.with_columns(high=pl.Series([[1], [2]])).write_parquet(path)
    with pytest.raises(DataError, match="'high' has type List"):
        read_bars(path)
    table.with_columns(timestamp=pl.Series([True, False])).write_parquet(path)
    with pytest.raises(DataError, match="'timestamp' has type Boolean"):
        read_bars(path)
    table.with_columns(timestamp=pl.Series([None, None], dtype=pl.Datetime("us"))).write_parquet(path)
    with pytest.raises(DataError, match="time is empty at row 1"):
        read_bars(path)
    table.head(0).write_parquet(path)
    with pytest.raises(DataError, match="no bars"):
        read_bars(path)


def test_csv_and_parquet_of_one_table_read_alike(tmp_path: Path, table: pl.DataFrame) -> None:
    table.write_parquet(tmp_path / "a.parquet")
    table.write_csv(tmp_path / "a.csv")
    assert read_bars(tmp_path / "a.csv").frame.equals(read_bars(tmp_path / "a.parquet").frame)
