"""What a timeframe's text means, and which texts mean none."""

import pytest

from foldsmith.errors import SettingError
from foldsmith.market.timeframe import Timeframe, parse_timeframe


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30), ("45s", 45), ("5m", 300), ("7m", 420), ("5min", 300), ("1H", 3600), (" 4 h", 14_400),
        ("1d", 86_400),
    ],
)  # fmt: skip
def test_times(text: str, seconds: int) -> None:
    made = parse_timeframe(text)
    assert made == Timeframe("time", seconds * 1_000_000)
    assert (made.microseconds, made.slot_seconds) == (seconds * 1_000_000, 1)


@pytest.mark.parametrize(
    ("text", "kind", "size"),
    [
        ("tick:500", "tick", 500), ("volume:20000", "volume", 20_000), ("dollar:5e6", "dollar", 5e6),
        (" Dollar: 2.5E+6", "dollar", 2.5e6), ("volume:0.5", "volume", 0.5), ("tick:1e3", "tick", 1000),
    ],
)  # fmt: skip
def test_sums(text: str, kind: str, size: float) -> None:
    made = parse_timeframe(text)
    assert made == Timeframe(kind, size)
    assert (made.microseconds, made.slot_seconds) == (None, 1800)


@pytest.mark.parametrize(
    "text",
    [
        "", "5", "m", "5x", "-5m", "0m", "2d", "1w", "5 m m", "1.5h", "9999999m", "tick", "tick:", "tick:0", "tick:1.5",
        "volume:-1", "volume:1e16", "volume:1e999", "volume:nan", "volume:inf", "dollar:5m", "dollar:1_000", "time:5",
        "trades:5", "tick:5:5",
    ],
)  # fmt: skip
def test_nonsense(text: str) -> None:
    with pytest.raises(SettingError, match="timeframe"):
        parse_timeframe(text)


@pytest.mark.parametrize(
    ("kind", "size"), [("trades", 5), ("time", 0), ("volume", float("nan")), ("tick", -1)]
)
def test_a_timeframe_is_checked_however_it_is_made(kind: str, size: float) -> None:
    with pytest.raises(SettingError):
        Timeframe(kind, size)
