"""Which format a file is in: told by its content, refused where that is not plain, and overruled by a flag."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.market.readers.writers import WRITERS, histdata_ascii, ninjatrader, some_bars, text, tradingview

from foldsmith.errors import DataError, FoldsmithError, SettingError
from foldsmith.market.readers import FORMATS, read_bars
from foldsmith.market.readers.catalogue import format_of
from foldsmith.market.readers.unpack import open_files


def put(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", WRITERS)
def test_the_content_tells_the_format_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    written = WRITERS[name](some_bars())
    suffix = "".join(Path(written.name.replace(".Last", "")).suffixes[-2:]).replace(", 1", "")
    path = put(tmp_path, f"X_1m{suffix}", written.content)
    if name == "histdata ascii":
        return  # like NinjaTrader's, see below
    (file, *_) = open_files(path)
    told = format_of(file)
    family = name.split(" ")[0]
    # Text of these has no mark of the vendor on it, and needs none to be read.
    plain = {"dukascopy": "csv", "csv-day-first": "csv", "csv-month-first": "csv"}
    assert told == ("dukascopy" if name == "dukascopy titled" else plain.get(family, family))


def test_every_format_has_a_reader_that_can_be_named(tmp_path: Path) -> None:
    path = put(tmp_path, "MES_1m.csv", b"\x00\x01\x02 nothing that anyone writes")
    for name in FORMATS:
        with pytest.raises(FoldsmithError, match=r"MES_1m\.csv"):
            read_bars(path, file_format=name)
    with pytest.raises(
        SettingError, match=r"--format 'ninja' is unknown; there are csv,.*Did you mean ninjatrader"
    ):
        read_bars(path, file_format="ninja")


def test_two_vendors_who_write_alike_are_told_by_volume_or_name_and_else_asked_for(tmp_path: Path) -> None:
    silent = some_bars().with_columns(volume=pl.lit(0.0))
    content = ninjatrader(silent).content
    doubtful = put(tmp_path, "MES_1m.txt", content)
    with pytest.raises(
        DataError, match=r"of ninjatrader or histdata.*say --format ninjatrader or --format histdata"
    ):
        read_bars(doubtful)
    opens = {
        name: read_bars(doubtful, file_format=name).frame["datetime"][0].strftime("%H:%M")
        for name in ("ninjatrader", "histdata")
    }
    assert opens == {"ninjatrader": "14:30", "histdata": "19:31"}
    assert read_bars(put(tmp_path, "MES 03-24.Last.txt", content)).frame.height == 40
    history = put(tmp_path, "DAT_ASCII_X_M1_202401.csv", histdata_ascii(silent).content)
    assert "HistData" in read_bars(history).assumptions[0]
    assert (
        "NinjaTrader" in read_bars(put(tmp_path, "A_1m.txt", ninjatrader(some_bars()).content)).assumptions[0]
    )


def test_a_named_format_is_said_without_the_flag_that_named_it(tmp_path: Path) -> None:
    path = put(tmp_path, "MES_1m.csv", tradingview("UTC")(some_bars()).content)
    assert read_bars(path).assumptions[0].endswith("; --format overrules this")
    raw = read_bars(path, file_format="tradingview")
    assert raw.assumptions == ("read as a TradingView export (stamped at the bar's open)",)
    assert read_bars(path, file_format="csv").frame.equals(raw.frame)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        # A clock without a zone, of vendors that write several.
        ("a.csv", "date,open,high,low,close,volume,average,barCount\n20240108 14:30:00,1,1,1,1,1,1,1\n",
         "carry no zone, and the format does not say which it is; say --timezone"),
        ("a.csv", "time,open,high,low,close,volume,trade_count,vwap\n2024-01-08 14:30:00,1,1,1,1,1,1,1\n",
         "2024-01-08 14:30:00 at line 2, carry no zone"),
        ("a.csv", "Price,Close,High,Low,Open,Volume\nTicker,X,X,X,X,X\nDatetime,,,,,\n2024-01-08 14:30:00,1,1,1,1,1\n",
         "at line 4, carry no zone"),
        # Several instruments where one is meant.
        ("a.csv", "symbol,time,open,high,low,close,volume,trade_count,vwap\n"
         "SPY,2024-01-08T14:30:00Z,1,1,1,1,1,1,1\nQQQ,2024-01-08T14:30:00Z,1,1,1,1,1,1,1\n", "bars of QQQ, SPY"),
        ("a.csv", "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\n"
         "Ticker,X,Y,X,Y,X,Y,X,Y,X,Y\nDate,,,,,,,,,,\n2024-01-08,1,1,1,1,1,1,1,1,1,1\n", "holds X, Y; give"),
        ("a.csv", "date,open,high,low,close,volume,average,barCount\n20240108 14:30:00 US/Central,1,1,1,1,1,1,1\n"
         "20240108 14:30:00 US/Eastern,1,1,1,1,1,1,1\n", "in the zones US/Central and US/Eastern"),
        # Not what it is called.
        ("a.dbn", "time,open\n", r"begins as no file that is known here \(b'time,open"),
        ("a.feather", "ARROW2 and more", "begins as no file that is known"),
        ("a.json", '{"error": "no data"}', "begins as no file that is known"),
        ("a.zip", "no zip", "does not begin as a .zip file does"),
        ("a.csv.zst", "no zstd", "does not begin as a .zst file does"),
        ("a.dbz", b"P*M\x18\x90\0\0\0DBZ\x01", "is in DBZ, an encoding that Databento gave up in 2023"),
        # Bars that nobody can place.
        ("20240108_btcusd_minute_trade.csv", "0,43000.5,43000.5,43000.5,43000.5,1\n", "no whole numbers"),
        ("20240132_spy_minute_trade.csv", "0,1,1,1,1,1\n", "named after 20240132, which is no date"),
        ("20240108_spy_minute_quote.csv", "0,1,1,1,1,1\n", "not named as LEAN's files of trade bars"),
        ("20240108_spy_minute_trade.csv", "86400000,1,1,1,1,1\n", "'86400000' at line 1 is no number of milliseconds"),
        ("a.json", '[[1704724200000, 1, 1, 1, 1, 1], [1704724260000, 1, "x", 1, 1, 1]]', r"row 2 is \[17047"),
        ("a.json", '{"bars": [{"t": "2024-01-08T14:30:00Z", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}, 5]}', "row 2 is"),
        ("a.json", '[[1704724200000, 1, 1, 1, 1, 1], [17', "no whole JSON.*cut short"),
        ("a.json", '[[1704724200000, 1, 1, 1, 1, 1' + "0" * 400 + "]]", "a number too large"),
        ("a.csv", "ts_event,rtype,publisher_id,instrument_id,bid_px_00\n1,1,1,1,1\n", "neither bars nor trades"),
        ("a.csv", "time,open,high,low,close\n2024-01-08T14:30:00Z,1,1,1,1\n2024-01-08T14:31:00Z,1,1,1,1,9\n",
         "lines of 5 values separated by ',': line 3 has 6"),
    ],
)  # fmt: skip
def test_what_is_not_plain_is_refused_in_a_sentence(
    tmp_path: Path, name: str, content: str | bytes, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        read_bars(put(tmp_path, name, content))


def test_a_zone_that_is_missing_can_be_given(tmp_path: Path) -> None:
    header = "date,open,high,low,close,volume,average,barCount"
    path = put(tmp_path, "a.csv", text("", ["20240108  08:30:00,1,1,1,1,1,1,1"], header).content)
    raw = read_bars(path, timezone="America/Chicago")
    assert raw.frame["datetime"][0].isoformat() == "2024-01-08T14:30:00+00:00"
    assert raw.assumptions == (
        "read as bars of Interactive Brokers (stamped at their open); --format overrules this",
    )


def test_flags_overrule_a_vendor_and_that_is_said(tmp_path: Path) -> None:
    path = put(tmp_path, "MES_1m.txt", ninjatrader(some_bars()).content)
    raw = read_bars(path, timezone="America/New_York", stamp="open")
    assert raw.frame["datetime"][0].isoformat() == "2024-01-08T19:31:00+00:00"
    assert raw.assumptions[1:] == (
        "--timezone America/New_York overrules the zone of that format, UTC",
        "--stamp open overrules the stamp of that format, close",
    )


def test_a_last_line_without_an_end_is_said(tmp_path: Path) -> None:
    content = tradingview("UTC")(some_bars()).content
    sentence = "the last line of MES_1m.csv does not end with a line break"
    assert not any(sentence in said for said in read_bars(put(tmp_path, "MES_1m.csv", content)).assumptions)
    assert any(sentence in said for said in read_bars(put(tmp_path, "MES_1m.csv", content[:-1])).assumptions)


def test_columns_that_are_there_twice_and_not_wanted_do_not_matter(tmp_path: Path) -> None:
    content = "timestamp,rsi,open,high,low,close,rsi,volume\n2024-01-08 14:30:00,x,1,2,3,4,y,5\n"
    assert read_bars(put(tmp_path, "MES_1m.csv", content)).frame.row(0)[1:] == (1, 2, 3, 4, 5)


def test_a_line_with_values_too_many_is_refused_even_where_they_are_not_wanted(tmp_path: Path) -> None:
    content = "timestamp,open,high,low,close,volume,rsi\n2024-01-08 14:30:00,1,2,3,4,5,6\n"
    path = put(tmp_path, "MES_1m.csv", content + "2024-01-08 14:31:00,1,2,3,4,5,6,7\n")
    with pytest.raises(DataError, match="lines of 7 values separated by ',': line 3 has 8"):
        read_bars(path)


def test_names_with_marks_of_a_pattern_are_names(tmp_path: Path) -> None:
    content = tradingview("UTC")(some_bars()).content
    assert read_bars(put(tmp_path, "NQ1!, [1] (*).csv", content)).frame.height == 40


@pytest.mark.parametrize("name", [
    "csv naive", "ninjatrader", "tradingview", "ibkr named zone", "firstrate", "histdata ascii",
    "binance header", "binance microseconds", "alpaca", "dukascopy", "dukascopy titled", "yfinance",
    "databento csv raw",
])  # fmt: skip
def test_windows_line_ends_and_byte_order_marks_change_nothing(tmp_path: Path, name: str) -> None:
    bars = some_bars()
    written = WRITERS[name](bars.with_columns(volume=pl.lit(0.0)) if name == "histdata ascii" else bars)
    plain = read_bars(put(tmp_path, written.name, written.content)).frame
    windows = written.content.replace(b"\n", b"\r\n")
    for content in (windows, b"\xef\xbb\xbf" + written.content, b"\xef\xbb\xbf" + windows):
        raw = read_bars(put(tmp_path, written.name, content))
        assert raw.frame.equals(plain)
        assert not any("line break" in said for said in raw.assumptions)


def test_a_column_that_names_several_symbols_is_refused(tmp_path: Path) -> None:
    header, row = "symbol,timestamp,open,high,low,close,volume", "2024-01-08 14:30:00,1,1,1,1,1"
    one = put(tmp_path, "a.csv", text("", [f"MES,{row}", f"MES,{row}"], header).content)
    assert read_bars(one).frame.columns[-1] == "volume"
    two = put(tmp_path, "b.csv", text("", [f"MES,{row}", f"NQ,{row}"], header).content)
    with pytest.raises(DataError, match=r"b\.csv holds bars of MES, NQ; give a file of one symbol"):
        read_bars(two)
    packed = tmp_path / "b.parquet"
    pl.read_csv(two).write_parquet(packed)
    with pytest.raises(DataError, match=r"b\.parquet holds bars of MES, NQ; give a file of one symbol"):
        read_bars(packed)


def test_files_that_count_trades_are_no_exports_of_charts(tmp_path: Path) -> None:
    for counts, vendor in (("trade_count,vwap", "Alpaca"), ("bar_count,wap", "Interactive Brokers")):
        header = f"time,open,high,low,close,volume,{counts}"
        path = put(tmp_path, "a.csv", text("", ["2024-01-08T14:30:00Z,1,1,1,1,1,1,1"], header).content)
        assert vendor in read_bars(path).assumptions[0]


def test_the_page_on_data_lists_every_format() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "data.md").read_text()
    table = page.split("## Formats")[1].split("\n\n")[1]
    names = [name.strip("` ") for line in table.splitlines()[2:] for name in line.split("|")[1].split(",")]
    assert names == list(FORMATS)
