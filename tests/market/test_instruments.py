"""Instruments: exchange figures, look-up, and a workspace's own file."""

import pytest

from foldsmith.errors import SettingError
from foldsmith.market.instruments import INSTRUMENTS, Instrument, instrument, parse_instruments

GOOD = '[FILUSDT]\ncalendar = "24x7"\ntick_size = 0.001\ntick_value = 0.001\ncurrency = "USDT"\n'


@pytest.mark.parametrize(
    ("symbol", "point_value"),
    [
        *(("MES", 5), ("ES", 50), ("MNQ", 2), ("NQ", 20), ("RTY", 50), ("YM", 5)),
        *(("MGC", 10), ("GC", 100), ("SI", 5000), ("SIL", 1000)),
        *(("CL", 1000), ("MCL", 100), ("6E", 125_000), ("M6E", 12_500)),
    ],
)
def test_point_values_are_the_exchanges(symbol: str, point_value: float) -> None:
    assert instrument(symbol).point_value == pytest.approx(point_value)


def test_table_is_keyed_by_symbol() -> None:
    assert all(key == item.symbol for key, item in INSTRUMENTS.items())


def test_unknown_symbol_lists_the_known_and_says_how_to_add_one() -> None:
    with pytest.raises(SettingError, match=r"'XYZ' is unknown.*MES.*instruments\.toml.*\[XYZ\]"):
        instrument("XYZ")


def test_near_miss_is_named() -> None:
    with pytest.raises(SettingError, match="did you mean MES"):
        instrument("mes")


def test_workspace_file_adds_and_overrules() -> None:
    extra = parse_instruments(GOOD + '[MES]\ncalendar = "CME_EQUITY"\ntick_size = 1\ntick_value = 5\n')
    assert instrument("FILUSDT", extra).currency == "USDT"
    assert instrument("MES", extra).tick_size == 1.0
    assert isinstance(instrument("MES", extra).tick_size, float)
    assert instrument("ES", extra) is INSTRUMENTS["ES"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[A\n", r"mine\.toml cannot be read as TOML"),
        ("A = 1\n", "A stands alone"),
        (GOOD + "tick = 1\n", r"unknown setting 'tick'.*did you mean tick_size"),
        ('[A]\ncalendar = "24x7"\ntick_size = 1\n', "lacks tick_value"),
        (GOOD.replace("tick_size = 0.001", 'tick_size = "0.001"'), "tick_size is '0.001'; a number"),
        (GOOD.replace("tick_size = 0.001", "tick_size = 0"), "tick_size is 0; it must be above 0"),
        (GOOD.replace("tick_size = 0.001", "tick_size = nan"), "tick_size is nan"),
        (GOOD.replace("tick_size = 0.001", "tick_size = true"), "tick_size is True"),
        (GOOD.replace("24x7", "LSE"), "calendar 'LSE' is unknown; there are CME_EQUITY"),
        (GOOD + "max_gap_minutes = 2.5\n", "max_gap_minutes is 2.5; a whole number"),
        (GOOD + "max_gap_minutes = 0\n", "max_gap_minutes is 0; it must be at least 1"),
        (GOOD + "commission = -1\n", "commission is -1; it must be at least 0"),
    ],
)
def test_workspace_file_errors_name_the_place(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        parse_instruments(text, "mine.toml")


def test_instrument_is_plain_values() -> None:
    from dataclasses import asdict

    assert Instrument(**asdict(instrument("CL"))) == instrument("CL")
