"""Last trading days against those that the exchange published."""

import numpy as np
import pytest

from foldsmith.errors import SettingError
from foldsmith.market.expiry import EXPIRIES, last_trading_day, roll_days
from foldsmith.market.instruments import INSTRUMENTS, Instrument

PUBLISHED = [
    ("ES", (2024, 3), "2024-03-15"),
    ("MES", (2025, 12), "2025-12-19"),
    # Good Friday; and Juneteenth, on which stocks do not trade and futures do for half a day.
    ("ES", (2008, 3), "2008-03-20"),
    ("NQ", (2026, 6), "2026-06-18"),
    # The 25th is Christmas Day, a Saturday, Memorial Day, a Saturday.
    ("CL", (2024, 1), "2023-12-19"),
    ("CL", (2020, 5), "2020-04-21"),
    ("CL", (2020, 6), "2020-05-19"),
    ("CL", (2025, 2), "2025-01-21"),
    ("CL", (2024, 12), "2024-11-20"),
    ("MCL", (2024, 1), "2023-12-18"),
    ("6E", (2024, 3), "2024-03-18"),
    ("M6E", (2024, 6), "2024-06-17"),
    ("GC", (2024, 2), "2024-02-27"),
    ("MGC", (2024, 4), "2024-04-26"),
    ("SI", (2024, 5), "2024-05-29"),
]


@pytest.mark.parametrize(("symbol", "month", "day"), PUBLISHED)
def test_last_trading_days_are_those_published(symbol: str, month: tuple[int, int], day: str) -> None:
    assert str(last_trading_day(INSTRUMENTS[symbol], month)) == day


def test_sessions_before_the_last_trading_day() -> None:
    es = INSTRUMENTS["ES"]
    # From the 27th of February back: 26, 23, 22, 21, 20, Presidents' Day, on which futures have a session, 16 and 15.
    found = roll_days(INSTRUMENTS["GC"], [(2024, 2), (2024, 4)], 8)
    assert [str(day) for day in found] == ["2024-02-15", "2024-04-16"]
    assert [str(day) for day in roll_days(es, [(2024, 3)], 0)] == ["2024-03-15"]
    assert [str(day) for day in roll_days(es, [(2024, 3), (2024, 9)], 5)] == ["2024-03-08", "2024-09-13"]
    assert roll_days(es, [], 5) == []
    assert np.datetime64("2023-12-20") <= roll_days(es, [(2024, 3)], 60)[0] < np.datetime64("2023-12-24")


def test_every_instrument_has_a_rule_and_others_are_refused() -> None:
    assert set(EXPIRIES) == set(INSTRUMENTS)
    with pytest.raises(SettingError, match=r"contracts of SPY end is not known.*--roll volume"):
        last_trading_day(Instrument("SPY", "x", "US_EQUITY", 0.01, 0.01), (2024, 3))
