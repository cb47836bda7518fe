"""What is traded: tick, value, costs and trading hours of each instrument.

`INSTRUMENTS` is the literal table of those known here. A workspace may add its own, or overrule one, in a
file `instruments.toml`; `parse_instruments` reads its text.

Tick sizes and values are the exchange's contract specifications. Commissions (exchange and clearing fees
included) and slippage are round figures of a retail account: overrule them with your own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from typing import Any

from foldsmith.errors import SettingError
from foldsmith.market.sessions import CALENDARS
from foldsmith.toml import parse_toml

MOST = 1e12
"""No tick, value, fee or gap of any market is larger."""


@dataclass(frozen=True)
class Instrument:
    """One traded instrument.

    calendar : a key of `foldsmith.market.sessions.CALENDARS`; tick_size : least price step, in price units;
    tick_value : what one tick of one contract is worth, in `currency`; commission : per contract and side, in
    `currency`; slippage_ticks : per side, in ticks; max_gap_minutes : minutes of scheduled trading without a
    bar above which the data has a hole.

    >>> INSTRUMENTS["MES"].point_value
    5.0
    """

    symbol: str
    name: str
    calendar: str
    tick_size: float
    tick_value: float
    currency: str = "USD"
    commission: float = 0.0
    slippage_ticks: float = 1.0
    max_gap_minutes: int = 60

    def __post_init__(self) -> None:
        if self.calendar not in CALENDARS:
            raise SettingError(
                f"instrument {self.symbol}: calendar {self.calendar!r} is unknown; there are "
                f"{', '.join(CALENDARS)}."
            )
        for field, least, strict in (
            ("tick_size", 0.0, True),
            ("tick_value", 0.0, True),
            ("commission", 0.0, False),
            ("slippage_ticks", 0.0, False),
            ("max_gap_minutes", 1, False),
        ):
            value = getattr(self, field)
            # One comparison refuses NaN, infinity, and whole numbers that no float can hold.
            if not least <= value <= MOST or (strict and value == least):
                bound = f"above {least:g}" if strict else f"at least {least:g}"
                raise SettingError(
                    f"instrument {self.symbol}: {field} is {value:g}; it must be {bound} and at most {MOST:g}."
                )

    @property
    def point_value(self) -> float:
        """Currency per contract when the price moves by 1."""
        return self.tick_value / self.tick_size


INSTRUMENTS: dict[str, Instrument] = {
    item.symbol: item
    for item in (
        Instrument("MES", "Micro E-mini S&P 500", "CME_EQUITY", 0.25, 1.25, "USD", 0.62),
        Instrument("MNQ", "Micro E-mini Nasdaq-100", "CME_EQUITY", 0.25, 0.50, "USD", 0.62),
        Instrument("M2K", "Micro E-mini Russell 2000", "CME_EQUITY", 0.10, 0.50, "USD", 0.62),
        Instrument("MYM", "Micro E-mini Dow", "CME_EQUITY", 1.0, 0.50, "USD", 0.62),
        Instrument("ES", "E-mini S&P 500", "CME_EQUITY", 0.25, 12.50, "USD", 2.25),
        Instrument("NQ", "E-mini Nasdaq-100", "CME_EQUITY", 0.25, 5.0, "USD", 2.25),
        Instrument("RTY", "E-mini Russell 2000", "CME_EQUITY", 0.10, 5.0, "USD", 2.25),
        Instrument("YM", "E-mini Dow", "CME_EQUITY", 1.0, 5.0, "USD", 2.25),
        Instrument("MGC", "Micro gold", "CME_METALS", 0.10, 1.0, "USD", 0.87),
        Instrument("GC", "Gold", "CME_METALS", 0.10, 10.0, "USD", 2.50),
        Instrument("SIL", "Micro silver (1,000 oz)", "CME_METALS", 0.005, 5.0, "USD", 1.30),
        Instrument("SI", "Silver", "CME_METALS", 0.005, 25.0, "USD", 2.50),
        Instrument("MCL", "Micro WTI crude oil", "CME_ENERGY", 0.01, 1.0, "USD", 0.87),
        Instrument("CL", "WTI crude oil", "CME_ENERGY", 0.01, 10.0, "USD", 2.40),
        Instrument("M6E", "Micro euro FX", "CME_FX", 0.0001, 1.25, "USD", 0.50),
        Instrument("6E", "Euro FX", "CME_FX", 0.00005, 6.25, "USD", 2.50),
    )
}
"""Instruments known without a workspace file, by symbol."""

_EXAMPLE = '[{symbol}] name="..." calendar="24x7" tick_size=0.001 tick_value=0.001'


def instrument(symbol: str, extra: Mapping[str, Instrument] | None = None) -> Instrument:
    """The instrument of a symbol; entries of `extra` (a workspace's own) go before the built-in ones.

    Raises SettingError listing the known symbols and how to add one.

    >>> instrument("CL").tick_value
    10.0
    """
    known = {**INSTRUMENTS, **(extra or {})}
    if symbol in known:
        return known[symbol]
    near = get_close_matches(symbol.upper(), known, n=1)
    raise SettingError(
        f"symbol {symbol!r} is unknown{f' (did you mean {near[0]}?)' if near else ''}; known are "
        f"{', '.join(known)}. To add it, write into instruments.toml of the workspace, one setting a line: "
        f"{_EXAMPLE.format(symbol=symbol)} (calendars: {', '.join(CALENDARS)})."
    )


def parse_instruments(text: str, source: str = "instruments.toml") -> dict[str, Instrument]:
    """Read a workspace's own instruments from TOML: a table per symbol, with the fields of `Instrument`.

    `tick_size`, `tick_value` and `calendar` are needed. `source` names the file in messages.

    >>> text = '[FILUSDT]\\ncalendar="24x7"\\ntick_size=0.001\\ntick_value=0.001'
    >>> parse_instruments(text)["FILUSDT"].calendar
    '24x7'
    """
    tables = parse_toml(text, source)
    return {symbol: _from_table(symbol, table, source) for symbol, table in tables.items()}


def _from_table(symbol: str, table: Any, source: str) -> Instrument:
    if not isinstance(table, dict):
        raise SettingError(f"{source}: {symbol} stands alone; settings belong under a heading [SYMBOL].")
    known = {field.name: field for field in fields(Instrument) if field.name != "symbol"}
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise SettingError(
                f"{source}: [{symbol}] has an unknown setting {key!r}{hint}; there are {', '.join(known)}."
            )
    values: dict[str, Any] = {"name": symbol, **table}
    for key, field in known.items():
        if key not in values:
            if field.default is MISSING:
                raise SettingError(
                    f"{source}: [{symbol}] lacks {key}; calendar, tick_size and tick_value are needed."
                )
            continue
        values[key] = _typed(values[key], str(field.type), f"{source}: [{symbol}] {key}")
    return Instrument(symbol=symbol, **values)


def _typed(value: Any, wanted: str, where: str) -> Any:
    """A TOML value as the field's type; true and false are no numbers here."""
    if wanted == "str" and isinstance(value, str):
        return value
    if wanted == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if wanted == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    kind = {"str": "text in quotes", "float": "a number", "int": "a whole number"}[wanted]
    raise SettingError(f"{where} is {value!r}; {kind} is needed.")
