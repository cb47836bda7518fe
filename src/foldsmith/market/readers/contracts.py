"""Contracts by name: told from a file's name, and which product each is of."""

from __future__ import annotations

import re
from datetime import date

import polars as pl

from foldsmith.errors import DataError

_MONTH = "FGHJKMNQUVXZ"
_END = r"(?![A-Za-z0-9])"
_IN_NAMES = (
    # MES 03-24.Last.txt
    (re.compile(rf"^([A-Z0-9]{{1,5}}) (\d\d-\d\d){_END}"), "{} {}"),
    # MESH24_1m.csv, ESZ5.csv
    (re.compile(rf"^([A-Z0-9]{{1,4}})([{_MONTH}](?:\d{{1,2}}|20\d\d)){_END}"), "{}{}"),
    # ES_202506_1m.parquet
    (re.compile(rf"^([A-Z0-9]{{1,5}})[_ ](20\d\d(?:0[1-9]|1[0-2])){_END}"), "{} {}"),
)
_PRODUCT = re.compile(
    r"^(?:([A-Z0-9]{1,5}) (?:\d\d-\d\d|20\d{4}(?:\d\d)?)"
    rf"|([A-Z0-9]{{1,4}}?)[{_MONTH}]\d{{1,4}}(?: \d+)?|([A-Z0-9]+)\.[a-zA-Z].*)$"
)

_MONTH_IN = re.compile(
    rf"^(?:[A-Z0-9]{{1,5}} (?:(?P<month>\d\d)-(?P<short>\d\d)|(?P<year>20\d\d)(?P<number>\d\d)(?:\d\d)?)"
    rf"|[A-Z0-9]{{1,4}}?(?P<letter>[{_MONTH}])(?P<digits>\d{{1,2}}|20\d\d)(?: \d+)?)$"
)


def contract_in(name: str) -> str | None:
    """The contract that a file's name begins with, None if it begins otherwise.

    >>> contract_in("MES 03-24.Last.txt"), contract_in("ESZ5.csv"), contract_in("ES_202506_1m.parquet")
    ('MES 03-24', 'ESZ5', 'ES 202506')
    >>> contract_in("MES_1m.csv")
    """
    for pattern, form in _IN_NAMES:
        found = pattern.match(name)
        if found:
            return form.format(*found.groups())
    return None


def product_of(contract: str) -> str:
    """The product of a contract, as far as its name is one of the usual; a spread and all else stand for themselves.

    >>> product_of("MES 03-24"), product_of("ESU4"), product_of("ES.c.0 4358"), product_of("ESU4-ESZ4")
    ('MES', 'ES', 'ES', 'ESU4-ESZ4')
    """
    found = _PRODUCT.match(contract)
    return next(group for group in found.groups() if group) if found else contract


def month_of(contract: str, seen: date) -> tuple[int, int] | None:
    """Year and month of a contract, None where its name does not say; `seen` is the day of its first bar.

    A year of one digit is the first such year in which the month is not over on that day.

    >>> month_of("MES 12-25", date(2025, 9, 11)), month_of("ES 202506", date(2025, 3, 10))
    ((2025, 12), (2025, 6))
    >>> month_of("ESZ5", date(2025, 9, 8)), month_of("ESH0", date(2019, 12, 9)), month_of("6EH24", date(2024, 1, 2))
    ((2025, 12), (2020, 3), (2024, 3))
    >>> month_of("ES.c.0", date(2024, 1, 2))
    """
    found = _MONTH_IN.match(contract)
    if not found:
        return None
    month = int(found["month"] or found["number"] or _MONTH.index(found["letter"]) + 1)
    if not 1 <= month <= 12:
        return None
    digits = found["short"] or found["year"] or found["digits"]
    year = int(digits)
    if len(digits) == 1:
        year += seen.year // 10 * 10
        year += 10 * ((year, month) < (seen.year, seen.month))
    elif len(digits) == 2:
        year += 2000 if year < 80 else 1900
    return year, month


def of_product(bars: pl.DataFrame, symbol: str, source: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The bars of one product where there are several, and the sentence that says so.

    Raises DataError where none of the products is `symbol`.
    """
    if "contract" not in bars.columns:
        return bars, ()
    contracts = bars["contract"].drop_nulls().unique().sort().to_list()
    products = {contract: product_of(contract) for contract in contracts}
    if len(set(products.values())) < 2:
        other = next(
            (product for contract, product in products.items() if product not in (contract, symbol)), None
        )
        return bars, () if other is None else (f"the contracts are of {other}, not of {symbol}",)
    others = [contract for contract in contracts if products[contract] != symbol]
    if len(others) == len(contracts):
        raise DataError(
            f"{source} holds contracts of several products and none of {symbol}: {', '.join(contracts[:8])}. Give "
            "bars of one product."
        )
    kept = bars.filter(~pl.col("contract").is_in(others))
    listed = ", ".join(others[:8]) + (" ..." if len(others) > 8 else "")
    return kept, (
        f"contracts of others than {symbol} are left out: {listed} ({bars.height - kept.height:,} bars)",
    )
