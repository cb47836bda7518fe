"""Databento's binary encoding: headers, mappings and records, and what is wrong with those that are refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tests.market.readers.writers import databento, dbn_bar, dbn_header, dbn_trade, rows, some_bars

from foldsmith.errors import DataError
from foldsmith.market.readers import read_bars

BARS = some_bars(3, "2024-01-08T23:59")
FIRST, *LATER = list(rows(BARS))


def put(folder: Path, content: bytes) -> Path:
    path = folder / "ES_1m.dbn"
    path.write_bytes(content)
    return path


def contracts(
    folder: Path, mappings: dict[str, list[tuple[int, int, str]]], *ids: int, **options: int
) -> list[str]:
    records = b"".join(dbn_bar(number, row) for number, row in zip(ids, rows(BARS), strict=True))
    raw = read_bars(put(folder, dbn_header(3, 6, mappings, **options) + records))  # type: ignore[arg-type]
    return raw.frame["contract"].to_list()


def test_names_hold_from_the_first_day_to_before_the_last(tmp_path: Path) -> None:
    # The first bar is of 8 January, the others of the 9th.
    days = {"ESH4": [(20240108, 20240109, "118")], "ESM4": [(20240109, 20240110, "118")]}
    assert contracts(tmp_path, days, 118, 118, 118) == ["ESH4", "ESM4", "ESM4"]
    assert contracts(tmp_path, {"ESH4": [(20240101, 20240109, "118")]}, 118, 118, 7) == ["ESH4", "118", "7"]


def test_a_continuous_symbol_says_which_contract_it_was(tmp_path: Path) -> None:
    days = {"ES.c.0": [(20240101, 20240109, "118"), (20240109, 20240201, "294")]}
    assert contracts(tmp_path, days, 118, 294, 294) == ["ES.c.0 118", "ES.c.0 294", "ES.c.0 294"]


def test_numbers_that_were_asked_for_are_named(tmp_path: Path) -> None:
    assert (
        contracts(tmp_path, {"118": [(20240101, 20250101, "ESH4")]}, 118, 118, 118, stype_in=0)
        == ["ESH4"] * 3
    )


def test_a_price_that_is_not_there_is_empty(tmp_path: Path) -> None:
    record = bytearray(dbn_bar(118, FIRST))
    record[24:32] = struct.pack("<q", 2**63 - 1)
    frame = read_bars(put(tmp_path, dbn_header(3, 6, {}) + bytes(record))).frame
    assert frame["high"].to_list() == [None]
    assert frame["contract"].to_list() == ["118"]


def test_only_trades_are_trades(tmp_path: Path) -> None:
    ns = 1_704_724_200 * 10**9
    records = (
        dbn_trade(118, ns, 5.0, 1) + dbn_trade(118, ns, 99.0, 7, b"C") + dbn_trade(118, ns + 10**9, 4.0, 2)
    )
    frame = read_bars(put(tmp_path, dbn_header(3, 4, {}) + records)).frame
    assert frame.row(0)[1:6] == (5.0, 5.0, 4.0, 4.0, 3.0)
    with pytest.raises(DataError, match="holds no trades"):
        read_bars(put(tmp_path, dbn_header(3, 4, {})))


def test_every_cut_is_told_but_those_between_records(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        whole = databento(version, ts_out=version == 2)(BARS).content
        record = 64 if version == 2 else 56
        header = len(whole) - 3 * record
        for size in sorted({*range(4, len(whole), 3), header + record, header + 2 * record}):
            path = put(tmp_path, whole[:size])
            if size > header and (size - header) % record == 0:
                assert read_bars(path).frame.height == (size - header) // record
                continue
            with pytest.raises(DataError, match=r"cut short|was it damaged|no bars"):
                read_bars(path)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda c: c[:3] + b"\x04" + c[4:], "is DBN of version 4; versions 1 to 3 are read"),
        (lambda c: c[:4] + b"\xff\xff\xff\xff" + c[8:], "ends inside its header"),
        (lambda c: c[:4] + struct.pack("<I", 40) + c[8:], "spoilt header"),
        (lambda c: c[:24] + struct.pack("<H", 9) + c[26:], r"neither bars nor trades \(definition\)"),
        (lambda c: c[:24] + struct.pack("<H", 0xFFFF) + c[26:], r"neither bars nor trades \(schema 65535\)"),
        (lambda c: c[:24] + struct.pack("<H", 5) + c[26:], "record 1 is of another kind than the header says"),
        (lambda c: c.replace(b"118\0", b"abc\0"), r"spoilt header \('abc' is no number of an instrument\)"),
        (lambda c: c.replace(struct.pack("<I", 20300101), struct.pack("<I", 20301301)), "month must be in 1..12"),
        (lambda c: c[:53] + struct.pack("<H", 0) + c[55:], "symbols of 0 bytes"),
        (lambda c: c[:-1], r"ends inside a record \(55 of 56 bytes\)"),
        (lambda c: c + b"\0" * 56, "record 4 is of another kind"),
    ],
)  # fmt: skip
def test_spoilt_ones_are_refused(tmp_path: Path, spoil: object, sentence: str) -> None:
    whole = databento(3)(BARS).content
    with pytest.raises(DataError, match=sentence):
        read_bars(put(tmp_path, spoil(whole)))  # type: ignore[operator]


def test_a_count_of_a_billion_symbols_costs_nothing(tmp_path: Path) -> None:
    whole = bytearray(databento(3)(BARS).content)
    at = 8 + 16 + 2 + 24 + 3 + 2 + 53 + 4
    assert whole[at : at + 4] == struct.pack("<I", 1)
    whole[at : at + 4] = struct.pack("<I", 10**9)
    with pytest.raises(DataError, match="a list is longer than the header"):
        read_bars(put(tmp_path, bytes(whole)))
