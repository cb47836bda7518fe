"""Databento's binary encoding (DBN), versions 1 to 3: its header and its records of bars and trades.

Written here because the format is small and the vendor's own decoder ends the whole process when a spoilt header asks
for gigabytes. Layout: `DBN`, version (1 byte), length of the rest of the header (u32), then fixed fields, four lists of
symbols and their mappings; then records of one size. Numbers are little-endian, prices in 1e-9, times in ns.

Source: the documentation of the encoding, https://databento.com/docs/standards-and-conventions/databento-binary-encoding
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import DataError

MAGIC = b"DBN"
VERSIONS = (1, 2, 3)
OHLCV = {5: "ohlcv-1s", 6: "ohlcv-1m", 7: "ohlcv-1h", 8: "ohlcv-1d"}
TRADES = 4
_OTHERS = {0: "mbo", 1: "mbp-1", 2: "mbp-10", 3: "tbbo", 9: "definition", 10: "statistics", 11: "status"}
_NO_PRICE = 2**63 - 1
SCALE = 1e9
_INSTRUMENT_ID = 0
_NS_OF_DAY = 86_400 * 10**9
_HEAD: list[tuple[str, str]] = [
    ("length", "u1"),
    ("rtype", "u1"),
    ("publisher", "<u2"),
    ("id", "<u4"),
    ("ts", "<u8"),
]
_BAR = np.dtype([*_HEAD, *((name, "<i8") for name in ("open", "high", "low", "close")), ("volume", "<u8")])
_TRADE = np.dtype([
    *_HEAD, ("price", "<i8"), ("size", "<u4"), ("action", "S1"), ("side", "S1"), ("flags", "u1"), ("depth", "u1"),
    ("ts_recv", "<u8"), ("delta", "<i4"), ("sequence", "<u4"),
])  # fmt: skip


@dataclass(frozen=True)
class Interval:
    """Days (since 1970) in [first, last) on which an instrument's number stands for a name."""

    first: int
    last: int
    name: str


@dataclass(frozen=True)
class Header:
    """What stands before the records; `size` is its length in bytes."""

    version: int
    schema: int
    stamped_out: bool
    names: dict[int, list[Interval]]
    size: int


def read_header(content: bytes, source: str) -> Header:
    """The header; DataError where it is cut, spoilt, or of a version that is not known."""
    if len(content) < 8 or content[:3] != MAGIC:
        raise DataError(f"{source} does not begin as a DBN file; was it damaged?")
    version, length = content[3], int.from_bytes(content[4:8], "little")
    if version not in VERSIONS:
        raise DataError(
            f"{source} is DBN of version {version}; versions 1 to 3 are read. Convert it with Databento's `dbn` "
            "tool, or download it again as CSV."
        )
    if 8 + length > len(content):
        raise DataError(f"{source} ends inside its header; was the download cut short?")
    try:
        return _parse(content[8 : 8 + length], version)
    except (struct.error, ValueError) as error:
        raise DataError(f"{source} has a spoilt header ({error}); download it again.") from None


def bars(content: bytes, header: Header, source: str) -> pl.DataFrame:
    """time (naive UTC), open to volume, contract, of a file of bars."""
    found = _records(content, header, _BAR, source)
    columns: dict[str, Any] = {"time": _times(found["ts"])}
    columns |= {name: _prices(found[name]) for name in ("open", "high", "low", "close")}
    columns["volume"] = found["volume"].astype(np.float64)
    return pl.DataFrame(columns).with_columns(_contracts(found["id"], found["ts"], header))


def trades(content: bytes, header: Header, source: str) -> pl.DataFrame:
    """time of receipt (naive UTC), price, size, contract, of a file of trades."""
    found = _records(content, header, _TRADE, source)
    found = found[found["action"] == b"T"]
    columns = {
        "time": _times(found["ts_recv"]),
        "price": _prices(found["price"]),
        "size": found["size"].astype(np.float64),
    }
    return pl.DataFrame(columns).with_columns(_contracts(found["id"], found["ts_recv"], header))


def schema_name(schema: int) -> str:
    """The schema in words."""
    return OHLCV.get(schema) or _OTHERS.get(schema) or f"schema {schema}"


def contract_names(symbols: pl.Series, ids: pl.Series) -> pl.Series:
    """Symbols; where one stands for several instruments over time, as a continuous one does, with their numbers."""
    pairs = pl.DataFrame({"symbol": symbols, "id": ids})
    several = pl.col("id").n_unique().over("symbol") > 1
    both = pl.concat_str("symbol", pl.lit(" "), pl.col("id").cast(pl.String))
    return pairs.select(contract=pl.when(several).then(both).otherwise("symbol"))["contract"]


def _parse(fields: bytes, version: int) -> Header:
    at = 16
    (schema,) = struct.unpack_from("<H", fields, at)
    at += 2 + (32 if version == 1 else 24)
    stype_in, _stype_out, stamped_out = struct.unpack_from("<3B", fields, at)
    at += 3
    if version == 1:
        width = 22
        at += 47
    else:
        (width,) = struct.unpack_from("<H", fields, at)
        at += 2 + 53
    if width < 2:
        raise ValueError(f"symbols of {width} bytes")
    reader = _Fields(fields, at, width)
    reader.skip(reader.number())  # the definition of a custom schema, unused so far
    for _ in ("symbols", "partial", "not found"):
        reader.skip(reader.number() * width)
    names: dict[int, list[Interval]] = {}
    for _ in range(reader.number()):
        name = reader.text()
        for _ in range(reader.number()):
            first, last, other = reader.day(), reader.day(), reader.text()
            if stype_in == _INSTRUMENT_ID:
                names.setdefault(_instrument(name), []).append(Interval(first, last, other))
            elif other:
                names.setdefault(_instrument(other), []).append(Interval(first, last, name))
    return Header(version, schema, bool(stamped_out), names, 8 + len(fields))


class _Fields:
    """Counted fields one after another; ValueError past the end."""

    def __init__(self, content: bytes, at: int, width: int) -> None:
        self._content, self._at, self._width = content, at, width

    def skip(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        if self._at > len(self._content):
            raise ValueError("a list is longer than the header")
        return self._content[start : self._at]

    def number(self) -> int:
        return int.from_bytes(self.skip(4), "little")

    def text(self) -> str:
        return self.skip(self._width).split(b"\0", 1)[0].decode("ascii")

    def day(self) -> int:
        """A date such as 20240131, in days since 1970."""
        found = self.number()
        return (
            date(found // 10_000, found // 100 % 100, found % 100).toordinal() - date(1970, 1, 1).toordinal()
        )


def _instrument(text: str) -> int:
    if not (text.isdigit() and len(text) <= 10):
        raise ValueError(f"{text!r} is no number of an instrument")
    return int(text)


def _records(content: bytes, header: Header, dtype: np.dtype[Any], source: str) -> npt.NDArray[Any]:
    """All records, each checked to be of the kind that the header promises."""
    if header.stamped_out:
        dtype = np.dtype([*((name, dtype[name]) for name in dtype.names or ()), ("ts_out", "<u8")])
    rest = len(content) - header.size
    if rest % dtype.itemsize:
        raise DataError(
            f"{source} ends inside a record ({rest % dtype.itemsize} of {dtype.itemsize} bytes); was the download cut "
            "short?"
        )
    found = np.frombuffer(content, dtype, offset=header.size)
    kinds = {5: 32, 6: 33, 7: 34, 8: 35, TRADES: 0}
    odd = (found["length"] != dtype.itemsize // 4) | (found["rtype"] != kinds[header.schema])
    if odd.any():
        row = int(odd.argmax())
        raise DataError(
            f"{source}: record {row + 1} is of another kind than the header says ({schema_name(header.schema)}); the "
            "file is damaged, or several kinds were stored in one. Download it again."
        )
    return found


def _times(nanoseconds: npt.NDArray[np.uint64]) -> pl.Series:
    return pl.Series((nanoseconds // 1000).astype(np.int64)).cast(pl.Datetime("us"))


def _prices(units: npt.NDArray[np.int64]) -> pl.Series:
    prices = pl.Series(units / SCALE)
    return prices.set(pl.Series(units == _NO_PRICE), None) if (units == _NO_PRICE).any() else prices


def _contracts(ids: npt.NDArray[np.uint32], ns: npt.NDArray[np.uint64], header: Header) -> pl.Series:
    """The name of each record's instrument on its day; its number where the header gives no name."""
    if not len(ids):
        return pl.Series("contract", [], dtype=pl.String)
    days = (ns // _NS_OF_DAY).astype(np.int64)
    numbers, counts = np.unique(ids, return_counts=True)
    order = np.argsort(ids, kind="stable")
    codes = np.empty(len(ids), dtype=np.int64)
    labels: list[tuple[str, int]] = []
    for number, rows in zip(numbers.tolist(), np.split(order, np.cumsum(counts)[:-1]), strict=True):
        intervals = sorted(header.names.get(number, []), key=lambda interval: interval.first)
        begins = [interval.first for interval in intervals]
        ends = [*(interval.last for interval in intervals), 0]
        found = np.searchsorted(begins, days[rows], side="right") - 1
        named = (found >= 0) & (days[rows] < np.array(ends)[found])
        codes[rows] = len(labels) + np.where(named, found, len(intervals))
        labels += [*((interval.name, number) for interval in intervals), (str(number), number)]
    symbols = pl.Series([label for label, _ in labels], dtype=pl.String)
    used = np.unique(codes)
    names = contract_names(symbols.gather(used), pl.Series([labels[code][1] for code in used]))
    return names.gather(np.searchsorted(used, codes)).alias("contract")
