"""Summer time, both ways: clocks that follow it are read right, and those that claim UTC and jump are noticed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from tests.market.conftest import MINUTE, us
from tests.market.readers.writers import WRITERS, csv_offset, firstrate, histdata_zip, tradingview

from foldsmith.errors import DataError
from foldsmith.market.clean import clean
from foldsmith.market.instruments import instrument
from foldsmith.market.readers import read_bars
from foldsmith.market.sessions import schedule

CHANGES = {"America/New_York": ("2024-03-10", "2024-11-03"), "Europe/London": ("2024-03-31", "2024-10-27")}


def session_bars(first: str, last: str, calendar: str = "CME_EQUITY", minutes: int = 5) -> pl.DataFrame:
    """A bar for every scheduled five minutes of the sessions between two dates."""
    hours = schedule(calendar, us(first), us(last))
    inside = (hours.open >= us(first)) & (hours.close <= us(last))
    spans = zip(hours.open[inside], hours.close[inside], strict=True)
    opens = np.concatenate([np.arange(begin, end, minutes * MINUTE) for begin, end in spans])
    prices = dict.fromkeys(("open", "high", "low", "close"), np.full(len(opens), 4800.0))
    frame = pl.DataFrame({"datetime": pl.Series(opens).cast(pl.Datetime("us", "UTC")), **prices})
    return frame.with_columns(volume=pl.lit(1.0))


def claiming(bars: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Bars with the hours of a zone that has summer time, less its offset in winter, under the name of UTC."""
    winter = datetime(2024, 1, 8, tzinfo=ZoneInfo(zone)).utcoffset()
    local = pl.col("datetime").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return bars.with_columns((local - winter).dt.replace_time_zone("UTC").alias("datetime")).unique(
        "datetime", keep="first", maintain_order=True
    )


def checked(bars: pl.DataFrame, folder: Path, symbol: str = "MES") -> None:
    path = folder / f"{symbol}_1m.parquet"
    bars.write_parquet(path)
    raw = read_bars(path).frame
    mine = instrument(symbol)
    span = raw["datetime"].to_physical()
    clean(raw, mine, schedule(mine.calendar, span.min(), span.max()))  # type: ignore[arg-type]


@pytest.mark.parametrize("symbol", ["MES", "CL"])
@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("span", ["year", "spring", "autumn", "soon after", "just summer"])
def test_an_hour_off_in_one_half_of_the_year_is_noticed(
    tmp_path: Path, zone: str, span: str, symbol: str
) -> None:
    spring, autumn = (datetime.fromisoformat(day) for day in CHANGES[zone])
    first, last = {
        "year": (datetime(2024, 1, 8), datetime(2024, 12, 20)),
        "spring": (spring.replace(month=2, day=20), spring.replace(month=4, day=20)),
        "autumn": (autumn.replace(month=9, day=20), autumn.replace(month=11, day=30)),
        "soon after": (spring.replace(month=3, day=4), spring.replace(month=4, day=8)),
        "just summer": (spring.replace(month=6, day=3), spring.replace(month=6, day=20)),
    }[span]
    bars = session_bars(f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}", instrument(symbol).calendar)
    checked(bars, tmp_path, symbol)
    with pytest.raises(
        DataError, match=r"lie outside the sessions.*clock moved by -1 h only.*say --timezone"
    ):
        checked(claiming(bars, zone), tmp_path, symbol)


def test_the_true_clock_of_a_zone_is_not_suspected(tmp_path: Path) -> None:
    bars = session_bars("2024-02-20", "2024-04-20")
    for zone in ("America/New_York", "Europe/London", "Asia/Tokyo"):
        checked(bars.with_columns(pl.col("datetime").dt.convert_time_zone(zone)), tmp_path)


@pytest.mark.parametrize(
    "write",
    [firstrate, histdata_zip, csv_offset, tradingview("Europe/London"), *(
        WRITERS[name] for name in ("csv chicago close", "ibkr named zone", "alpaca", "lean equity")
    )],
)  # fmt: skip
@pytest.mark.parametrize("change", [day for days in CHANGES.values() for day in days])
def test_sessions_keep_their_hours_through_every_change(
    tmp_path: Path, write: Callable[..., object], change: str
) -> None:
    day = datetime.fromisoformat(change).replace(tzinfo=UTC).timestamp()
    first, last = (datetime.fromtimestamp(day + days * 86_400, UTC) for days in (-6, 6))
    bars = session_bars(f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}", minutes=60)
    if write is histdata_zip:
        bars = bars.with_columns(volume=pl.lit(0.0))
    written = write(bars)
    path = tmp_path / written.name  # type: ignore[attr-defined]
    path.write_bytes(written.content)  # type: ignore[attr-defined]
    flags = dict(written.flags)  # type: ignore[attr-defined]
    seconds = {"bar_seconds": 60} if flags.get("stamp") else {}
    assert read_bars(path, **flags, **seconds).frame.drop("contract", "trades", strict=False).equals(bars)


@pytest.mark.parametrize("time", ["2024-03-10 02:30:00", "2024-11-03 01:30:00"])
def test_a_vendors_clock_that_skips_or_repeats_an_hour_names_the_row(tmp_path: Path, time: str) -> None:
    path = tmp_path / "X_1m.txt"
    path.write_text(f"2024-01-08 09:30:00,1,1,1,1,1\n{time},1,1,1,1,1\n")
    sentence = (
        rf"{time} at line 2 does not exist once in America/New_York: clocks change there.*Say --timezone"
    )
    with pytest.raises(DataError, match=sentence):
        read_bars(path)
    assert read_bars(path, timezone="UTC").frame.height == 2


def test_daily_bars_are_placed_inside_their_session(tmp_path: Path) -> None:
    path = tmp_path / "NQ_1m.csv"
    path.write_text("time,open,high,low,close\n2024-01-08,1,1,1,1\n2024-07-08,1,1,1,1\n")
    raw = read_bars(path)
    assert raw.frame["datetime"].dt.strftime("%Y-%m-%d %H:%M").to_list() == [
        "2024-01-08 00:00",
        "2024-07-08 00:00",
    ]
    assert raw.assumptions[-1] == "times are dates alone: each bar is placed at 00:00 UTC of its date"
    hours = schedule("CME_EQUITY", us("2024-01-01"), us("2024-08-01"))
    inside = hours.locate(raw.frame["datetime"].to_physical().to_numpy())
    assert [str(hours.day[at]) for at in inside] == ["2024-01-08", "2024-07-08"]
