"""Files cut anywhere and spoilt anyhow: a sentence, or bars; never another exception, and no bars that were not there.

What a spoilt digit says cannot be known; that a cut file has no bars but those of the whole one can.
"""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest
from tests.market.readers.writers import WRITERS, some_bars

from foldsmith.errors import FoldsmithError
from foldsmith.market.readers import FORMATS, RawBars, read_bars
from foldsmith.market.readers.columns import NUMBERS

BARS = some_bars(45)
SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "data" / "vendor"
SPOILT = 15
PLANTS = (
    b"", b"\0", b"\n", b"\r", b",", b";", b'"', b"-", b".", b"e", b"nan", b"\xff", b"9" * 25, b"PK\x03\x04", b"[", b"{",
    b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"\xff\xff\xff\xff", b"\0\0\0\0", b"1e999", b" ",
)  # fmt: skip


def attempt(path: Path, content: bytes, **flags: str) -> RawBars | None:
    """What is read, or nothing where that is refused in one line."""
    path.write_bytes(content)
    try:
        raw = read_bars(path, **flags)  # type: ignore[arg-type]
    except FoldsmithError as error:
        told = str(error)
        assert told.strip()
        assert "\n" not in told
        assert len(told) < 2000
        return None
    assert raw.frame.height
    assert raw.frame.columns[:6] == ["datetime", *NUMBERS]
    assert raw.frame.dtypes[:6] == [pl.Datetime("us", "UTC"), *[pl.Float64] * 5]
    assert raw.frame["datetime"].null_count() == 0
    return raw


def spoil(draw: random.Random, content: bytes) -> bytes:
    """Some bytes changed, taken out, doubled, or others planted."""
    spoilt = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        # The beginning is where readers decide.
        at = draw.randrange(min(len(spoilt), 200) if draw.random() < 0.5 else len(spoilt))
        kind = draw.randrange(5)
        if kind == 0:
            spoilt[at] = draw.randrange(256)
        elif kind == 1:
            spoilt[at] ^= 1 << draw.randrange(8)
        elif kind == 2:
            del spoilt[at : at + draw.randint(1, 40)]
        elif kind == 3:
            plant = draw.choice(PLANTS)
            spoilt[at : at + draw.choice((0, len(plant)))] = plant
        else:
            spoilt[at:at] = spoilt[at : at + draw.randint(1, 80)]
        if not spoilt:
            return b"\0"
    return bytes(spoilt)


@pytest.mark.parametrize("name", WRITERS)
def test_spoilt_bytes(tmp_path: Path, name: str) -> None:
    written = WRITERS[name](BARS)
    draw = random.Random(name)
    for _ in range(SPOILT):
        attempt(tmp_path / written.name, spoil(draw, written.content), **written.flags)


@pytest.mark.parametrize("name", WRITERS)
def test_cut_files_have_no_bars_but_those_that_were_there(tmp_path: Path, name: str) -> None:
    written = WRITERS[name](BARS)
    path = tmp_path / written.name
    whole = attempt(path, written.content, **written.flags)
    assert whole is not None
    draw = random.Random(name)
    content = written.content
    for size in {
        1,
        2,
        3,
        9,
        len(content) - 1,
        len(content) - 2,
        *(draw.randrange(1, len(content)) for _ in range(12)),
    }:
        raw = attempt(path, content[:size], **written.flags)
        if raw is None:
            continue
        # A last line that was cut may be wrong; that it may be is said.
        doubtful = any("does not end with a line break" in said for said in raw.assumptions)
        count = raw.frame.height - doubtful
        assert raw.frame.select(whole.frame.columns)[:count].equals(whole.frame[:count])
        assert doubtful or raw.frame.height <= whole.frame.height


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_that_a_file_is_not_in(tmp_path: Path, name: str) -> None:
    for other in WRITERS.values():
        written = other(BARS)
        attempt(tmp_path / written.name, written.content, file_format=name)


@pytest.mark.real
@pytest.mark.parametrize(
    "vendor", sorted(item.name for item in SAMPLES.iterdir()) if SAMPLES.is_dir() else []
)
def test_spoilt_samples_of_vendors(tmp_path: Path, vendor: str) -> None:
    draw = random.Random(vendor)
    for sample in sorted((SAMPLES / vendor).iterdir()):
        content = sample.read_bytes()
        if b"\n" in content[:2000] and not sample.name.endswith(
            (".gz", ".zst", ".zip", ".parquet", ".feather")
        ):
            content = content[:6000]
        for _ in range(6):
            attempt(tmp_path / sample.name, spoil(draw, content))
            attempt(tmp_path / sample.name, content[: draw.randrange(1, len(content))])


@pytest.mark.crash
@pytest.mark.parametrize("name", WRITERS)
def test_spoilt_bytes_many_times(tmp_path: Path, name: str) -> None:
    written = WRITERS[name](BARS)
    draw = random.Random(f"many {name}")
    for _ in range(400):
        attempt(tmp_path / written.name, spoil(draw, written.content), **written.flags)
