"""Files as vendors write them: the right bars, or the right refusal. The numbers were worked out by hand.

Of each file: the first and the last bar (UTC at the open; open, high, low, close, volume); how many there are, and the
sums of close and volume.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from foldsmith.errors import DataError
from foldsmith.market.clean import clean
from foldsmith.market.instruments import Instrument, instrument
from foldsmith.market.readers import RawBars, read_bars
from foldsmith.market.sessions import schedule

pytestmark = pytest.mark.real
DATA = Path(__file__).resolve().parents[4] / "shared" / "data"

SAMPLES = """
alpaca/SPY_1m.csv
  2025-12-15T14:30 685.72 685.76 685.11 685.15 963693
  2025-12-24T18:51 690.02 690.02 690.02 690.02 1104
  2999 bars, 2043074.1129 607079419
alpaca/sample_1m.csv
  2025-12-15T10:06 55.35 55.35 55.35 55.35 303
  2025-12-24T16:10 54.98 55.02 54.98 55 8484
  2999 bars, 164557.603 87710359
binance/FILUSDT-1m-2023-02.csv
  2023-02-01T00:00 5.233 5.238 5.229 5.233 35462.8
  2023-02-03T01:58 5.526 5.526 5.518 5.52 9160.9
  2999 bars, 16442.698 102041326.1
binance/ADABTC-1m-2021-11-27.csv
  2021-11-27T00:00 2.853e-05 2.854e-05 2.851e-05 2.854e-05 36304.2
  2021-11-27T00:09 2.863e-05 2.865e-05 2.863e-05 2.865e-05 8160.5
  10 bars, 0.00028589 384968
dukascopy/eurgbp-m1.csv
  2025-01-14T00:00 0.83907 0.8392 0.839 0.83918 156.9600067138672
  2025-02-11T02:09 0.83345 0.83347 0.83345 0.83346 18.690000534057617
  2999 bars, 2527.9022 243646.4999
firstrate/SPX_1min.txt_sample.txt
  2023-03-16T13:30 3878.93 3878.93 3870.17 3870.17 0
  2023-03-31T20:05 4109.29 4109.31 4109.29 4109.31 0
  4753 bars, 18928912.05 0
firstrate/SPX_5min.txt_sample.txt
  2023-03-16T13:30 3878.93 3878.93 3864.11 3871.29 0
  2023-03-31T20:05 4109.29 4109.31 4109.29 4109.31 0
  960 bars, 3823187.06 0
ibkr/market_data_MNQ_20250401.csv
  2025-03-31T22:00 19413 19413.25 19401.5 19404 816
  2025-04-01T12:57 19387.25 19387.25 19383 19385.75 268
  898 bars, 17405090.25 436514
projectx/MES_1m.csv
  2025-12-12T00:00 6904 6904 6900.5 6901.5 1223
  2025-12-16T03:58 6793 6793.25 6792.25 6792.75 55
  2999 bars, 20561190 2268831
projectx/MGC_1m_duplicated.csv
  2025-11-10T08:40 4093.3 4093.4 4092 4092.2 219
  2025-11-11T10:39 4144.1 4144.1 4143.1 4143.8 135
  2999 bars, 12357644.8 924125
tradingview/archive__futures__ES__20211205-20220128-5.csv
  2021-12-05T23:00 4542.25 4548.75 4535 4544.5 9143
  2021-12-13T08:50 4716.75 4718.25 4716 4717 1149
  1499 bars, 6982672.75 7119253
tradingview/archive__futures__ES__20220116-20220128-1.csv
  2022-01-16T23:00 4666 4671.75 4664 4667 1530
  2022-01-18T04:58 4634 4634 4633.5 4634 179
  1499 bars, 6975826.5 233643
tradingview/archive__futures__NQ__20211205-20220128-5.csv
  2021-12-05T23:00 15716.25 15730 15686.5 15716.75 3547
  2021-12-13T08:50 16370.5 16377 16368 16372.25 448
  1499 bars, 24229524 2717650
tradingview/archive__futures__NQ__20220116-20220128-1.csv
  2022-01-16T23:00 15616.75 15653.25 15616 15630 660
  2022-01-18T04:58 15448.25 15450.5 15446.75 15450.25 102
  1499 bars, 23335955.75 160229
tradingview/archive__futures__NQ__20220130-20220204-5.csv
  2022-01-30T23:00 14454 14475.75 14403.25 14414 3142
  2022-02-04T21:55 14642 14645 14638.25 14645 355
  1380 bars, 20429574 3331520
tradingview/archive__futures__YM__20211205-20220128-5.csv
  2021-12-05T23:00 34590 34691 34581 34663 1608
  2021-12-13T08:50 35975 35988 35968 35979 187
  1499 bars, 53298933 779116
tradingview/archive__futures__YM__20220116-20220128-1.csv
  2022-01-16T23:00 35856 35901 35853 35868 336
  2022-01-18T05:02 35722 35724 35718 35720 15
  1499 bars, 53671685 54783
tradingview/data__CME_MINI_NQ1!, 1.csv
  2022-02-04T03:15 14768 14770.5 14766.75 14770.25 117
  2022-02-04T20:49 14725 14725.5 14704 14721 1762
  1055 bars, 15476414.25 673684
tradingview/data__CME_MINI_NQ1!, 5.csv
  2022-02-03T20:00 14591 14607 14569 14580 5986
  2022-02-04T21:55 14642 14645 14638.25 14645 355
  300 bars, 4404554.75 910538
tradingview/perrylevy__CME_MINI_NQ1!, 1.csv
  2026-04-17T16:25 26850.5 26854.5 26845.5 26851.25 0
  2026-04-20T18:23 26729.5 26737 26729.25 26735.5 0
  1499 bars, 40037070.75 0
tradingview/perrylevy__CME_MINI_NQ1!, 15.csv
  2026-02-17T06:45 24847 24858.5 24837.25 24844.75 0
  2026-03-11T12:15 25175.5 25217.5 25167.25 25217.5 0
  1499 bars, 37652448.5 0
tradingview/perrylevy__CME_MINI_NQ1!, 1D.csv
  2009-06-03T00:00 4625.75 4631.25 4605.5 4624.25 0
  2015-05-08T00:00 7647.75 7706.5 7644.75 7690.75 0
  1499 bars, 8880635.75 0
tradingview/perrylevy__CME_MINI_NQ1!, 1M.csv
  1999-06-01T00:00 6093 6148 6068 6125 0
  2026-04-01T00:00 23889 27057.25 23666 27052.5 0
  323 bars, 2967071.25 0
tradingview/perrylevy__CME_MINI_NQ1!, 1W.csv
  1999-06-28T00:00 6093 6156.5 6068 6147 0
  2026-04-20T00:00 26599.75 27057.25 26535 27051.25 0
  1400 bars, 12820862.25 0
tradingview/perrylevy__CME_MINI_NQ1!, 240.csv
  2023-07-17T06:00 18253 18298.75 18246.5 18259.25 0
  2024-07-05T10:00 22085.5 22170.5 22026.5 22167.25 0
  1499 bars, 28696615.25 0
tradingview/perrylevy__CME_MINI_NQ1!, 5.csv
  2026-03-31T20:40 23929 23929 23906.75 23909.75 0
  2026-04-08T15:15 25022.5 25037 25003.75 25033.75 0
  1499 bars, 36399779.5 0
tradingview/perrylevy__CME_MINI_NQ1!, 60.csv
  2025-08-01T02:00 24028.75 24046.25 24020.75 24038.75 0
  2025-10-31T09:00 26664 26675.5 26642.25 26646.75 0
  1499 bars, 37412969.25 0
yfinance/MNQ_1min.csv
  2025-03-16T22:00 19669.5 19687.5 19648.25 19673.25 0
  2025-03-19T19:33 19986.5 20002.25 19784.75 20001 3926
  3997 bars, 78801089 106149839
ninjatrader/MES 12-25.Last.txt
  2025-09-11T04:08 6601.25 6601.25 6601.25 6601.25 1
  2025-09-17T16:04 6659.5 6660 6659.25 6659.5 325
  6000 bars, 39940997.25 1636153
lean/20131009_trade.zip
  2013-10-09T08:00 165.98 166 165.98 165.99 800
  2013-10-09T23:59 165.71 165.72 165.7 165.72 1800
  813 bars, 134683.51 158425072
lean/20131011_trade.zip
  2013-10-11T00:00 1286.9 1286.9 1286.9 1286.9 1
  2013-10-11T17:27 1334.8 1334.8 1334.8 1334.8 25
  1555 bars, 1990348.9 101274
lean/20200105_trade.zip
  2020-01-05T23:00 1559.1 1568.9 1559.1 1568.9 3
  2020-01-05T23:59 1577.4 1577.4 1577.3 1577.3 4
  78 bars, 123332.1 1031
freqtrade/UNITTEST_BTC-8m.json.gz
  2017-11-04T23:02 0.00162008 0.00162008 0.00162008 0.00162008 108.14853839
  2017-11-14T22:59 0.00270001 0.00270002 0.00270001 0.00270002 1.94577668
  13681 bars, 30.3583 8177281.909
ibkr/ES_202506_1m_trades.parquet
  2025-06-18T22:00 5984 5984.5 5980 5982.5 34
  2025-06-20T20:59 6009.25 6009.25 6009.25 6009.25 0
  2520 bars, 15048281.25 39241
ibkr/ES_202506_1m_bid_ask.parquet
  2025-06-18T22:00 5982.25 5982.25 5980 5982.25 -1
  2025-06-20T20:59 6008.5 6008.5 6008.5 6008.5 -1
  2520 bars, 15047504 -2520
freqtrade/UNITTEST_BTC-5m.feather
  2018-01-10T04:55 0.0984 0.0994766 0.09828605 0.0994766 1820.54447418
  2018-01-30T04:50 0.10440995 0.10441058 0.10400025 0.10441057000000001 31.94851561
  5760 bars, 538.66992235 1377404.94830409
freqtrade/XRP_ETH-1m.feather
  2019-10-11T00:00 0.00141342 0.00141557 0.00141266 0.00141418 1482
  2019-10-13T11:19 0.00152814 0.00152817 0.00152787 0.00152787 785
  2469 bars, 3.65409898 5545735
databento/historical_bars_catalog__databento__futures_ohlcv-1m_2024-07-01T23-40_2024-07-02T00-10.dbn.zst
  2024-07-01T23:40 5527.25 5527.5 5527 5527.5 180
  2024-07-02T00:09 5528.5 5528.75 5528.5 5528.5 60
  60 bars, 766407.25 2742
databento/options_catalog__databento__futures_ohlcv-1m_2024-05-09T09-55_2024-05-09T10-05.dbn.zst
  2024-05-09T09:55 18127 18127 18125.5 18125.75 37
  2024-05-09T10:04 18132.5 18135 18132.25 18134 93
  20 bars, 233294.5 1727
databento/options_exercise__databento__futures_ohlcv-1m_2026-01-09T20-55_2026-01-09T21-05.dbn.zst
  2026-01-09T20:55 7009.75 7010 7007.5 7008 6784
  2026-01-09T21:04 7004.75 7004.75 7003.75 7004 1655
  10 bars, 70059.25 111283
databento/test_data.ohlcv-1m.dbn.zst
  2020-12-28T00:00 3702.75 3704.75 3702.5 3704.75 306
  2020-12-28T00:03 3704.5 3704.5 3703 3703 158
  4 bars, 14816.25 870
databento/test_data.ohlcv-1m.dbn
  2020-12-28T13:00 372025 372150 372025 372100 353
  2020-12-28T13:01 372100 372150 372100 372150 152
  2 bars, 744250 505
databento/test_data.ohlcv-1m.v1.dbn.zst
  2020-12-28T13:00 372025 372150 372025 372100 353
  2020-12-28T13:01 372100 372150 372100 372150 152
  2 bars, 744250 505
databento/test_data.ohlcv-1m.v2.dbn.zst
  2020-12-28T13:00 372025 372150 372025 372100 353
  2020-12-28T13:01 372100 372150 372100 372150 152
  2 bars, 744250 505
databento/test_data.ohlcv-1m.v3.dbn.zst
  2020-12-28T13:00 372025 372150 372025 372100 353
  2020-12-28T13:01 372100 372150 372100 372150 152
  2 bars, 744250 505
databento/test_data.trades.dbn.zst
  2020-12-28T00:00 3702.75 3702.75 3702.5 3702.75 4
  2020-12-28T00:00 3702.75 3702.75 3702.5 3702.75 4
  1 bars, 3702.75 4
"""
BARS = [
    ("6E_1m", 29_996, "2024-01-01T23:00", "2024-01-31T23:58", 32792.69775, 4_310_578),
    ("CL_1m", 2_120_875, "2017-01-01T20:10", "2022-12-30T21:59", 132556703.41, 636_441_019),
    ("ES_5m_by_contract", 130_257, "2024-05-12T22:00", "2025-12-19T21:55", 780916181.25, 576_532_167),
    ("FILUSDT_1m", 776_160, "2023-02-01T00:00", "2025-09-30T23:59", 3296041.885, 22_663_145_801.1),
    ("MES_1m", 144_405, "2024-01-01T23:00", "2025-11-24T19:40", 846263122.75, 103_131_927),
    ("MNQ_1m", 147_731, "2024-01-01T23:00", "2025-11-26T00:27", 3155131331, 151_230_171),
    ("NQ_1m", 223_591, "2023-07-02T22:00", "2025-07-28T20:11", 4256953441.25, 95_956_915),
    ("SPY_1m", 102_236, "2024-03-26T13:30", "2025-04-02T19:23", 57509308.637027, 11_591_069_061),
]


def sample(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"vendors' files are not beside the checkout ({name})")
    return path


def read(name: str, **flags: str) -> RawBars:
    return read_bars(sample(f"vendor/{name}"), **flags)  # type: ignore[arg-type]


def minutes(frame: pl.DataFrame) -> list[str]:
    return frame["datetime"].dt.strftime("%Y-%m-%dT%H:%M").to_list()


def golden() -> list[tuple[str, list[str], list[str], list[str]]]:
    lines = SAMPLES.strip().splitlines()
    groups = [lines[at : at + 4] for at in range(0, len(lines), 4)]
    return [(name, first.split(), last.split(), sums.split()) for name, first, last, sums in groups]


def as_written(frame: pl.DataFrame, row: int) -> tuple[str, list[float]]:
    return minutes(frame)[row], list(frame.row(row)[1:6])


@pytest.mark.parametrize(
    ("name", "first", "last", "sums"), [pytest.param(*line, id=line[0]) for line in golden()]
)
def test_bars_of_a_vendor(name: str, first: list[str], last: list[str], sums: list[str]) -> None:
    frame = read(name).frame
    assert as_written(frame, 0) == (first[0], [float(value) for value in first[1:]])
    assert as_written(frame, -1) == (last[0], [float(value) for value in last[1:]])
    assert frame.height == int(sums[0])
    assert frame["close"].sum() == pytest.approx(float(sums[2]), rel=1e-5)
    assert frame["volume"].sum() == pytest.approx(float(sums[3]), rel=1e-5)


@pytest.mark.parametrize(("name", "count", "first", "last", "closes", "volume"), BARS)
def test_normalised_bars(name: str, count: int, first: str, last: str, closes: float, volume: float) -> None:
    raw = read_bars(sample(f"bars/{name}.parquet"))
    span = raw.frame["datetime"][[0, -1]].dt.strftime("%Y-%m-%dT%H:%M").to_list()
    assert (raw.frame.height, *span) == (count, first, last)
    assert raw.frame["close"].sum() == pytest.approx(closes, rel=1e-12)
    assert raw.frame["volume"].sum() == pytest.approx(volume, rel=1e-12)
    assert len(raw.assumptions) == 2


@pytest.mark.parametrize(
    ("name", "flags", "sentence"),
    [
        ("damaged/bad.csv", {}, r"the time is empty at line 202 \(50 in all\)"),
        (
            "damaged/bad.csv",
            {"file_format": "csv-month-first"},
            r"the time is empty at line 202 \(50 in all\)",
        ),
        (
            "damaged/mismatch.csv",
            {},
            "may have the day or the month first; say --format csv-day-first or csv-month-first",
        ),
        (
            "damaged/mismatch.csv",
            {"file_format": "csv-day-first"},
            "'1/13/2017' at line 10 is not written like the first",
        ),
        (
            "damaged/zeros.csv",
            {},
            "may have the day or the month first; say --format csv-day-first or csv-month-first",
        ),
        (
            "databento/test_data.ohlcv-1m.dbz",
            {},
            "is in DBZ, an encoding that Databento gave up in 2023; convert it",
        ),
        (
            "databento/test_data.definition.dbn.zst",
            {},
            r"neither bars nor trades \(definition\); download the schema ohlcv",
        ),
        (
            "histdata/DAT_MT_SPXUSD_M1_202602.csv",
            {},
            "is the status report of a HistData file: it lists gaps",
        ),
        ("firstrate/_readme_documentation.txt", {}, "no time column.*Does it begin with a header line"),
    ],
)
def test_files_that_are_refused(name: str, flags: dict[str, str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(name, **flags)


def cleaned(frame: pl.DataFrame, mine: Instrument) -> tuple[pl.DataFrame, dict[str, int]]:
    span = frame["datetime"].to_physical()
    bars, found = clean(frame, mine, schedule(mine.calendar, span.min(), span.max()))  # type: ignore[arg-type]
    return bars, {name: rule.count for name, rule in found.rules.items() if rule.count}


def test_damage_that_can_be_read_is_refused_by_cleaning() -> None:
    spy = Instrument("SPY", "SPY", "US_EQUITY", 0.01, 0.01)
    raw = read("damaged/zeros.csv", file_format="csv-month-first")
    assert raw.frame["datetime"][0].isoformat() == "2017-01-03T00:00:00+00:00"
    assert "dates are read with the month first, as --format says" in raw.assumptions
    with pytest.raises(DataError, match=r"100%\) hold impossible values.*non positive price"):
        cleaned(raw.frame, spy)
    assert read("damaged/mismatch.csv", file_format="csv-month-first").frame.height == 502


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("ninjatrader/MES 12-25.Last.txt", [
            "read as a NinjaTrader export (UTC, 1-minute bars stamped at their end); --format overrules this",
            "bars are stamped at their close and 1 minutes long, so each opens that much earlier",
        ]),
        ("ibkr/ES_202506_1m_trades.parquet", [
            "read as bars of Interactive Brokers (stamped at their open); --format overrules this",
            "705 bars have volume 0: minutes without a trade, filled in by the vendor",
        ]),
        ("ibkr/ES_202506_1m_bid_ask.parquet", [
            "read as bars of Interactive Brokers (stamped at their open); --format overrules this",
            "2,520 bars have volume -1: averages of bid and ask, no trades",
        ]),
        ("tradingview/perrylevy__CME_MINI_NQ1!, 1D.csv", [
            "read as a TradingView export (stamped at the bar's open); --format overrules this",
            "the file has no volume, so it is 0 in every bar",
            "times are dates alone: each bar is placed at 00:00 UTC of its date",
        ]),
        ("lean/20131009_trade.zip", [
            "read as LEAN's bars of a US equity (New York time, prices in 1/10,000, stamped at their open); "
            "--format overrules this",
        ]),
        ("firstrate/SPX_1min.txt_sample.txt", [
            "read as FirstRate's bars (US Eastern time, stamped at their open); --format overrules this",
            "the file has no volume, so it is 0 in every bar",
        ]),
    ],
)  # fmt: skip
def test_what_was_assumed_is_said(name: str, sentences: list[str]) -> None:
    assert list(read(name).assumptions) == sentences


def test_trades_of_three_instruments_become_bars_of_each() -> None:
    bars = read("databento/glbx-mdp3-20250504.trades.csv").frame
    counts = dict(
        bars.group_by("contract")
        .agg(pl.col("volume").sum(), pl.len())
        .select("contract", pl.struct("len", "volume"))
        .rows()
    )
    assert counts == {
        "NQM5": {"len": 32, "volume": 3796.0},
        "NQU5": {"len": 7, "volume": 17.0},
        "NQM5-NQU5": {"len": 3, "volume": 8.0},
    }
    front = bars.filter(pl.col("contract") == "NQM5")
    assert [row[1:6] for row in front.head(3).rows()] == [
        (20181.5, 20201.75, 20159.25, 20163.5, 469),
        (20163.75, 20169.75, 20135.25, 20153.5, 373),
        (20152.0, 20159.75, 20142.25, 20156.75, 120),
    ]
    assert minutes(front)[:2] == ["2025-05-04T22:00", "2025-05-04T22:01"]
    assert front["close"].sum() == 644_781
    # A spread is no bar of the product, nor is another product.
    assert set(read("databento/glbx-mdp3-20250504.trades.csv", symbol="NQ").frame["contract"]) == {
        "NQM5",
        "NQU5",
    }


def test_two_products_in_one_file() -> None:
    name = "databento/historical_bars_catalog__databento__futures_ohlcv-1m_2024-07-01T23-40_2024-07-02T00-10.dbn.zst"
    assert dict(read(name).frame["contract"].value_counts().rows()) == {"ESU4": 30, "NQU4": 30}
    raw = read(name, symbol="ES")
    assert set(raw.frame["contract"]) == {"ESU4"}
    assert raw.assumptions[-1] == "contracts of others than ES are left out: NQU4 (30 bars)"
    with pytest.raises(DataError, match="several products and none of CL: ESU4, NQU4"):
        read(name, symbol="CL")


def test_every_bar_twice_is_left_to_cleaning() -> None:
    frame = read("projectx/MGC_1m_duplicated.csv").frame
    bars, found = cleaned(frame, instrument("MGC"))
    # The first bar stands once.
    assert (frame.height, bars.height, found["duplicate"]) == (2999, 1500, 1499)
    assert found.get("conflicting_duplicate", 0) == 0


def test_quotes_are_no_trades() -> None:
    with pytest.raises(DataError, match=r"negative volume.*holds quotes and not trades"):
        cleaned(read("ibkr/ES_202506_1m_bid_ask.parquet").frame, instrument("ES"))


def test_vendors_clocks_fit_the_market() -> None:
    spy = Instrument("SPY", "SPY", "US_EQUITY", 0.01, 0.01)
    for name, mine in [
        ("ninjatrader/MES 12-25.Last.txt", instrument("MES")),
        ("tradingview/archive__futures__ES__20220116-20220128-1.csv", instrument("ES")),
        ("yfinance/MNQ_1min.csv", instrument("MNQ")),
        ("projectx/MES_1m.csv", instrument("MES")),
        ("ibkr/market_data_MNQ_20250401.csv", instrument("MNQ")),
        ("alpaca/SPY_1m.csv", spy),
        ("firstrate/SPX_1min.txt_sample.txt", spy),
    ]:
        frame = read(name).frame
        _, found = cleaned(frame, mine)
        assert found.get("outside_session", 0) < 0.02 * frame.height, name
