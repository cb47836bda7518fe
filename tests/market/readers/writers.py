"""Small writers: bars as each vendor writes them. Each takes bars in UTC at their open and gives a name and bytes."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl
import zstandard

Row = tuple[datetime, float, float, float, float, float]
NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True)
class Written:
    """A file as a vendor writes it.

    flags : what must be said to read it; contract : what its bars are of; trades : how many each bar is said to hold.
    """

    name: str
    content: bytes
    flags: dict[str, str]
    contract: str | None = None
    trades: float | None = None

    def as_read(self, bars: pl.DataFrame) -> pl.DataFrame:
        """What is read back of the bars that were written."""
        if self.contract is not None:
            bars = bars.with_columns(contract=pl.lit(self.contract))
        return bars if self.trades is None else bars.with_columns(trades=pl.lit(self.trades))


Writer = Callable[[pl.DataFrame], Written]


def rows(bars: pl.DataFrame) -> Iterator[Row]:
    yield from bars.select("datetime", "open", "high", "low", "close", "volume").iter_rows()


def number(value: float) -> str:
    """As short as it can be written and read back, never with an exponent."""
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    return text if float(text) == value else repr(value)


def values(row: Row, separator: str = ",") -> str:
    return separator.join(number(value) for value in row[1:])


def text(name: str, lines: Iterator[str] | list[str], header: str = "", **flags: str) -> Written:
    body = "".join(f"{line}\n" for line in lines)
    return Written(name, (f"{header}\n" if header else "").encode() + body.encode(), flags)


HEADER = "timestamp,open,high,low,close,volume"


def csv_naive(bars: pl.DataFrame) -> Written:
    return text("MES_1m.csv", (f"{r[0]:%Y-%m-%d %H:%M:%S},{values(r)}" for r in rows(bars)), HEADER)


def csv_offset(bars: pl.DataFrame) -> Written:
    lines = (f"{r[0].astimezone(NEW_YORK).isoformat(sep=' ')},{values(r)}" for r in rows(bars))
    return text("MES_1m.csv", lines, HEADER)


def csv_epoch(unit: int) -> Writer:
    def write(bars: pl.DataFrame) -> Written:
        lines = (f"{round(r[0].timestamp()) * unit},{values(r)}" for r in rows(bars))
        return text("MES_1m.csv", lines, HEADER)

    return write


def csv_semicolons_gzip(bars: pl.DataFrame) -> Written:
    plain = csv_naive(bars).content.replace(b",", b";").replace(b"\n", b"\r\n")
    return Written("MES_1m.csv.gz", gzip.compress(plain, mtime=0), {})


def csv_chicago_close(bars: pl.DataFrame) -> Written:
    zone = ZoneInfo("America/Chicago")
    lines = (
        f"{(r[0] + timedelta(minutes=1)).astimezone(zone):%Y-%m-%dT%H:%M:%S},{values(r)}" for r in rows(bars)
    )
    return text("MES_1m.csv", lines, HEADER, timezone="America/Chicago", stamp="close")


def csv_dated(layout: str, name: str) -> Writer:
    def write(bars: pl.DataFrame) -> Written:
        lines = (f"{r[0].strftime(layout)},{values(r)}" for r in rows(bars))
        return text("MES_1m.csv", lines, HEADER, file_format=name)

    return write


def parquet(zone: str | None, unit: str) -> Writer:
    def write(bars: pl.DataFrame) -> Written:
        time = pl.col("datetime").dt.cast_time_unit(unit)  # type: ignore[arg-type]
        time = time.dt.replace_time_zone(None) if zone is None else time.dt.convert_time_zone(zone)
        content = io.BytesIO()
        bars.with_columns(time).rename({"datetime": "timestamp"}).write_parquet(content)
        return Written("MES_1m.parquet", content.getvalue(), {})

    return write


def ninjatrader(bars: pl.DataFrame) -> Written:
    lines = (f"{r[0] + timedelta(minutes=1):%Y%m%d %H%M%S};{values(r, ';')}" for r in rows(bars))
    return Written("MES 03-24.Last.txt", text("", lines).content, {}, "MES 03-24")


def tradingview(zone: str) -> Writer:
    def write(bars: pl.DataFrame) -> Written:
        header = "time,open,high,low,close,Plot,Volume,Plot"
        lines = (
            f"{r[0].astimezone(ZoneInfo(zone)).isoformat()},{values(r).rpartition(',')[0]},NaN,{number(r[5])},"
            for r in rows(bars)
        )
        return text("CME_MINI_NQ1!, 1.csv", lines, header)

    return write


def ibkr_parquet(bars: pl.DataFrame) -> Written:
    content = io.BytesIO()
    counts = bars.with_columns(bar_count=pl.lit(1), wap=pl.col("open")).rename({"datetime": "date"})
    counts.write_parquet(content)
    return Written("ES_202506_1m.parquet", content.getvalue(), {}, "ES 202506", 1.0)


def ibkr_named_zone(bars: pl.DataFrame) -> Written:
    zone = ZoneInfo("US/Central")
    lines = (f"{r[0].astimezone(zone):%Y%m%d %H:%M:%S} US/Central,{values(r)},1.5,9" for r in rows(bars))
    header = "date,open,high,low,close,volume,average,barCount"
    return replace(text("MES_1m.csv", lines, header), trades=9.0)


def projectx(bars: pl.DataFrame) -> Written:
    found = [dict(zip("tohlcv", (r[0].isoformat(), *r[1:]), strict=True)) for r in rows(bars)]
    answer = {"success": True, "errorCode": 0, "errorMessage": None, "bars": found}
    return Written("MES_1m.json", json.dumps(answer).encode(), {})


def firstrate(bars: pl.DataFrame) -> Written:
    lines = (f"{r[0].astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S},{values(r)}" for r in rows(bars))
    return text("MES_1m.txt", lines)


EST = timedelta(hours=-5)


def histdata_ascii(bars: pl.DataFrame) -> Written:
    lines = (f"{r[0] + EST:%Y%m%d %H%M%S};{values(r, ';').rpartition(';')[0]};0" for r in rows(bars))
    return text("DAT_ASCII_SPXUSD_M1_202401.csv", lines)


def histdata_zip(bars: pl.DataFrame) -> Written:
    lines = (f"{r[0] + EST:%Y.%m.%d,%H:%M},{values(r).rpartition(',')[0]},0" for r in rows(bars))
    report = b"HistData.com (c) 2012\r\nFile: DAT_MT_SPXUSD_M1_202401.csv Status Report\r\n\r\nGap of 63s found.\r\n"
    return zipped("MES_1m.zip", {
        "DAT_MT_SPXUSD_M1_202401.csv": text("", lines).content, "DAT_MT_SPXUSD_M1_202401.txt": report,
    })  # fmt: skip


def zipped(name: str, members: dict[str, bytes], contract: str | None = None) -> Written:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as pack:
        for member, data in members.items():
            pack.writestr(zipfile.ZipInfo(member), data, zipfile.ZIP_DEFLATED)
    return Written(name, content.getvalue(), {}, contract)


BINANCE = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,"
    "ignore"
)


def binance(header: str, unit: int) -> Writer:
    def write(bars: pl.DataFrame) -> Written:
        opens = ((round(r[0].timestamp()) * unit, r) for r in rows(bars))
        lines = (f"{at},{values(r)},{at + 60 * unit - 1},1.5,9,1.0,1.0,0" for at, r in opens)
        return replace(text("MES_1m.csv", lines, header), trades=9.0)

    return write


def alpaca(bars: pl.DataFrame) -> Written:
    lines = (f"SPY,{r[0].astimezone(NEW_YORK).isoformat(sep=' ')},{values(r)},9.0,1.5" for r in rows(bars))
    header = "symbol,time,open,high,low,close,volume,trade_count,vwap"
    return replace(text("SPY_1m.csv", lines, header), trades=9.0)


def freqtrade_feather(bars: pl.DataFrame) -> Written:
    content = io.BytesIO()
    bars.rename({"datetime": "date"}).write_ipc(content, compression="lz4")
    return Written("BTC_USDT-1m.feather", content.getvalue(), {})


def freqtrade_json(bars: pl.DataFrame) -> Written:
    candles = [[round(r[0].timestamp() * 1000), *r[1:]] for r in rows(bars)]
    return Written("BTC_USDT-1m.json.gz", gzip.compress(json.dumps(candles).encode(), mtime=0), {})


def dukascopy(bars: pl.DataFrame) -> Written:
    lines = (f"{round(r[0].timestamp() * 1000)},{values(r)}" for r in rows(bars))
    return text("eurgbp-m1.csv", lines, HEADER)


def dukascopy_titled(bars: pl.DataFrame) -> Written:
    lines = (f"{r[0]:%d.%m.%Y %H:%M:%S}.000,{values(r)}" for r in rows(bars))
    return text("EURGBP_1m.csv", lines, "Gmt time,Open,High,Low,Close,Volume")


def yfinance(bars: pl.DataFrame) -> Written:
    header = "Price,Close,High,Low,Open,Volume\nTicker,MNQ=F,MNQ=F,MNQ=F,MNQ=F,MNQ=F\nDatetime,,,,,"
    lines = (
        f"{at.isoformat(sep=' ')},{number(c)},{number(h)},{number(low)},{number(o)},{number(v)}"
        for at, o, h, low, c, v in rows(bars)
    )
    return text("MNQ_1m.csv", lines, header)


def lean_future(bars: pl.DataFrame) -> Written:
    members: dict[str, list[str]] = {}
    for row in rows(bars):
        name = f"{row[0]:%Y%m%d}_gc_minute_trade_202404.csv"
        since = row[0] - row[0].replace(hour=0, minute=0, second=0)
        members.setdefault(name, []).append(f"{round(since.total_seconds() * 1000)},{values(row)}")
    return zipped(
        "GC_1m.zip", {name: "\n".join(lines).encode() for name, lines in members.items()}, "GC 202404"
    )


def lean_equity(bars: pl.DataFrame) -> Written:
    members: dict[str, list[str]] = {}
    for row in rows(bars):
        local = row[0].astimezone(NEW_YORK).replace(tzinfo=None)
        since = local - local.replace(hour=0, minute=0, second=0)
        units = ",".join(str(round(price * 10_000)) for price in row[1:5])
        line = f"{round(since.total_seconds() * 1000)},{units},{number(row[5])}"
        members.setdefault(f"{local:%Y%m%d}_spy_minute_trade.csv", []).append(line)
    return zipped("SPY_1m.zip", {name: "\n".join(lines).encode() for name, lines in members.items()})


def dbn_header(
    version: int,
    schema: int,
    mappings: dict[str, list[tuple[int, int, str]]],
    *,
    stype_in: int = 1,
    ts_out: bool = False,
) -> bytes:
    """The header of a DBN file, by the published layout."""
    width = 22 if version == 1 else 71
    fixed = b"GLBX.MDP3".ljust(16, b"\0") + struct.pack("<HQQQ", schema, 0, 2**64 - 1, 0)
    if version == 1:
        fixed += struct.pack("<Q", 2**64 - 1)
    fixed += struct.pack("<BBB", stype_in, 0, ts_out)
    fixed += b"\0" * 47 if version == 1 else struct.pack("<H", width) + b"\0" * 53
    lists = struct.pack("<I", 0)
    lists += struct.pack("<I", len(mappings)) + b"".join(
        name.encode().ljust(width, b"\0") for name in mappings
    )
    lists += struct.pack("<II", 0, 0) + struct.pack("<I", len(mappings))
    for name, intervals in mappings.items():
        lists += name.encode().ljust(width, b"\0") + struct.pack("<I", len(intervals))
        for first, last, symbol in intervals:
            lists += struct.pack("<II", first, last) + symbol.encode().ljust(width, b"\0")
    rest = fixed + lists
    rest += b"\0" * (-len(rest) % 8 if version == 3 else 0)
    return b"DBN" + bytes([version]) + struct.pack("<I", len(rest)) + rest


def dbn_bar(instrument: int, row: Row, *, ts_out: bool = False) -> bytes:
    units = [round(price * 1e9) for price in row[1:5]]
    ns = round(row[0].timestamp()) * 10**9
    record = struct.pack("<BBHIQqqqqQ", 16 if ts_out else 14, 33, 1, instrument, ns, *units, round(row[5]))
    return record + (struct.pack("<Q", ns) if ts_out else b"")


def dbn_trade(instrument: int, ns: int, price: float, size: int, action: bytes = b"T") -> bytes:
    return struct.pack(
        "<BBHIQqIccBBQiI",
        12,
        0,
        1,
        instrument,
        ns - 1000,
        round(price * 1e9),
        size,
        action,
        b"A",
        0,
        0,
        ns,
        7,
        1,
    )


ESH4 = {"ESH4": [(20200101, 20300101, "118")]}


def databento(version: int, *, ts_out: bool = False) -> Writer:
    def write(bars: pl.DataFrame) -> Written:
        records = b"".join(dbn_bar(118, row, ts_out=ts_out) for row in rows(bars))
        return Written("MES_1m.dbn", dbn_header(version, 6, ESH4, ts_out=ts_out) + records, {}, "ESH4")

    return write


def databento_frames(bars: pl.DataFrame) -> Written:
    """Many frames of zstd, one of them for decoders to skip."""
    content = databento(3)(bars).content
    pack = zstandard.ZstdCompressor().compress
    cuts = [0, 5, 100, len(content) // 2, len(content)]
    frames = [pack(content[a:b]) for a, b in pairwise(cuts)]
    frames.insert(2, b"\x50\x2a\x4d\x18" + struct.pack("<I", 3) + b"abc")
    return Written("MES_1m.dbn.zst", b"".join(frames), {}, "ESH4")


DATABENTO = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol"


def databento_csv(bars: pl.DataFrame) -> Written:
    lines = (
        f"{r[0]:%Y-%m-%dT%H:%M:%S}.000000000Z,33,1,118,{','.join(f'{p:.9f}' for p in r[1:5])},{round(r[5])},ESH4"
        for r in rows(bars)
    )
    return Written("MES_1m.csv.zst", zstandard.compress(text("", lines, DATABENTO).content), {}, "ESH4")


def databento_csv_raw(bars: pl.DataFrame) -> Written:
    lines = (
        f"{round(r[0].timestamp()) * 10**9},33,1,118,{','.join(str(round(p * 1e9)) for p in r[1:5])},{round(r[5])},ESH4"
        for r in rows(bars)
    )
    return Written("MES_1m.csv", text("", lines, DATABENTO).content, {}, "ESH4")


WRITERS: dict[str, Writer] = {
    "csv naive": csv_naive,
    "csv offset": csv_offset,
    "csv seconds": csv_epoch(1),
    "csv microseconds": csv_epoch(1_000_000),
    "csv nanoseconds": csv_epoch(1_000_000_000),
    "csv semicolons gzip": csv_semicolons_gzip,
    "csv chicago close": csv_chicago_close,
    "csv-day-first": csv_dated("%d.%m.%Y %H:%M", "csv-day-first"),
    "csv-day-first short": csv_dated("%d-%m-%y %H:%M:%S", "csv-day-first"),
    "csv-month-first": csv_dated("%m/%d/%Y %I:%M %p", "csv-month-first"),
    "parquet naive": parquet(None, "us"),
    "parquet tokyo": parquet("Asia/Tokyo", "ns"),
    "ninjatrader": ninjatrader,
    "databento v1": databento(1),
    "databento v2": databento(2, ts_out=True),
    "databento v3": databento(3),
    "databento frames": databento_frames,
    "databento csv": databento_csv,
    "databento csv raw": databento_csv_raw,
    "tradingview": tradingview("America/Chicago"),
    "tradingview london": tradingview("Europe/London"),
    "ibkr parquet": ibkr_parquet,
    "ibkr named zone": ibkr_named_zone,
    "projectx": projectx,
    "firstrate": firstrate,
    "histdata ascii": histdata_ascii,
    "histdata zip": histdata_zip,
    "binance header": binance(BINANCE, 1000),
    "binance microseconds": binance("", 1_000_000),
    "alpaca": alpaca,
    "freqtrade feather": freqtrade_feather,
    "freqtrade json": freqtrade_json,
    "dukascopy": dukascopy,
    "dukascopy titled": dukascopy_titled,
    "yfinance": yfinance,
    "lean future": lean_future,
    "lean equity": lean_equity,
}

NO_VOLUME = {"histdata ascii", "histdata zip"}
"""Writers that write a volume of 0 always."""
LOCAL = {
    "csv chicago close", "firstrate", "lean equity", "ibkr named zone",
}  # fmt: skip
"""Writers whose clock shows the hour twice when summer ends; nobody can tell those times apart."""


def some_bars(count: int = 40, first: str = "2024-01-08T14:30") -> pl.DataFrame:
    """Bars of consecutive minutes."""
    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    prices = [4800 + (7 * place % 13) * 0.25 for place in range(count)]
    return pl.DataFrame({
        "datetime": pl.Series([start + timedelta(minutes=place) for place in range(count)]).cast(
            pl.Datetime("us", "UTC")
        ),
        "open": prices,
        "high": [price + 0.75 for price in prices],
        "low": [price - 0.5 for price in prices],
        "close": [price + 0.25 for price in prices],
        "volume": [float(3 + place % 5) for place in range(count)],
    })  # fmt: skip
