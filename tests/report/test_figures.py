import re
import warnings
from datetime import date, timedelta
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest

from foldsmith.report.figures import (
    STAND_INS,
    equity_figure,
    interval_strip,
    profit_figure,
    reliability_figure,
)


def draw_all(parts):
    test = parts["backtest"]
    return [
        reliability_figure(parts["calibration"]),
        equity_figure(test.daily, "USD"),
        profit_figure(test.trades, "USD"),
    ]


def test_same_bytes_whatever_the_user_set(with_edge):
    before = draw_all(with_edge)
    with mpl.rc_context(
        {
            "axes.grid": False,
            "font.size": 23,
            "svg.hashsalt": None,
            "axes.linewidth": 9,
            "xtick.major.size": 20,
        }
    ):
        settings = dict(mpl.rcParams)
        assert draw_all(with_edge) == before
        assert dict(mpl.rcParams) == settings


def test_well_formed_and_coloured_by_the_page(with_edge):
    for figure in draw_all(with_edge):
        root = ElementTree.fromstring(figure)
        assert root.get("role") == "img"
        assert root.find("{http://www.w3.org/2000/svg}title").text
        assert not any(stand_in in figure for stand_in in STAND_INS)
        assert not re.findall(r"#[0-9a-f]{6}\b(?!-)", figure.replace("xlink:href", ""))
        assert "var(--muted)" in figure
        assert "<metadata" not in figure
        assert "DejaVu" not in figure


def test_ids_differ_between_figures(with_edge):
    ids = [re.findall(r'\bid="([^"]+)"', figure) for figure in draw_all(with_edge)]
    everything = [name for names in ids for name in names]
    assert len(everything) == len(set(everything))
    for figure, names in zip(draw_all(with_edge), ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', figure)) <= set(names)


def test_numbers_are_drawn(with_edge):
    reliability = draw_all(with_edge)[0]
    assert f"ECE {with_edge['calibration']['long']['ece']:.4f}" in reliability


def test_one_trade_and_one_day_can_be_drawn(with_edge):
    test = with_edge["backtest"]
    ElementTree.fromstring(profit_figure(test.trades.head(1), ""))
    ElementTree.fromstring(equity_figure(test.daily.head(1), ""))


@pytest.mark.parametrize(("low", "high", "yardstick"), [(0.4, 0.6, 0.5), (0.5, 0.5, None), (-2.0, -1.0, 3.0)])
def test_strip_keeps_its_order(low, high, yardstick):
    strip = interval_strip(low, (low + high) / 2, high, yardstick)
    ElementTree.fromstring(strip)
    x1, x2 = re.search(r'class="range" x1="([\d.]+)" x2="([\d.]+)"', strip).groups()
    dot = re.search(r'cx="([\d.]+)"', strip).group(1)
    assert 0 <= float(x1) <= float(dot) <= float(x2) <= 160
    assert ("yard" in strip) == (yardstick is not None)


@pytest.mark.parametrize("days", range(2, 12))
def test_dates_of_any_few_days_are_drawn_without_a_warning(days: int) -> None:
    when = [date(2024, 3, 1) + timedelta(day) for day in range(days)]
    daily = pl.DataFrame(
        {"session": when, "equity_gross": np.arange(len(when)), "equity_net": np.arange(len(when))}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "<svg" in equity_figure(daily, "USD")
