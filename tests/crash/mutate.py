"""Files spoilt in every way that a disk, a copy, an editor or a stranger spoils them; each case follows from its draw.

`draw` is the `random.Random` of one case. Bytes become other bytes, JSON other JSON (or nearly), TOML and CSV other
text, and tables other tables.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

Draw = random.Random

DEEP = 20_000
"""Levels of nesting that no reader may follow to the end of its stack."""
RAW = "@raw@"
"""A text value that begins with this is written as the bare word after it."""
STRANGE: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 10**12, 2**31, -(2**63), 2**64, 1.5, -0.0, 1e308, "", "x", "é", "\x00", "5", "-1",
    f"{RAW}1e999", f"{RAW}-1e999", f"{RAW}NaN", f"{RAW}1{'0' * 400}", f"{RAW}1{'0' * 5000}", f'{RAW}"\\ud800"',
    [], [1], [[1.0]], ["x", "x"], {}, {"x": 1}, {"": None}, "../../outside", "/tmp/outside", "a" * 5000,
    f"{RAW}{'[' * DEEP}{']' * DEEP}", f"{RAW}{'[' * DEEP}", RAW + '{"a":' * DEEP + "1" + "}" * DEEP,
)  # fmt: skip


def mutate_bytes(draw: Draw, content: bytes, other: bytes) -> bytes:
    """Bits flipped, chunks cut, doubled, zeroed, drawn anew or taken from `other`, in one place or a few."""
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        content = draw.choice(_BYTES)(draw, content, other)
    return content


def _flip(draw: Draw, content: bytes, other: bytes) -> bytes:
    found = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 16)) if found else 0):
        found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
    return bytes(found)


def _chunk(draw: Draw, content: bytes) -> tuple[int, int]:
    start = draw.randrange(len(content) + 1)
    return start, min(len(content), start + draw.choice((1, 2, 8, 64, 512, 4096)))


def _cut(draw: Draw, content: bytes, other: bytes) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def _drop(draw: Draw, content: bytes, other: bytes) -> bytes:
    start, stop = _chunk(draw, content)
    return content[:start] + content[stop:]


def _double(draw: Draw, content: bytes, other: bytes) -> bytes:
    start, stop = _chunk(draw, content)
    return content[:stop] + content[start:stop] * draw.choice((1, 1, 3, 50)) + content[stop:]


def _zero(draw: Draw, content: bytes, other: bytes) -> bytes:
    start, stop = _chunk(draw, content)
    return content[:start] + draw.choice((b"\0", b"\xff")) * (stop - start) + content[stop:]


def _noise(draw: Draw, content: bytes, other: bytes) -> bytes:
    start, stop = _chunk(draw, content)
    return content[:start] + draw.randbytes(stop - start) + content[stop:]


def _splice(draw: Draw, content: bytes, other: bytes) -> bytes:
    start, stop = _chunk(draw, content)
    first, last = _chunk(draw, other)
    return content[:start] + other[first:last] + content[stop:]


def _join(draw: Draw, content: bytes, other: bytes) -> bytes:
    return content[: draw.randrange(len(content) + 1)] + other[draw.randrange(len(other) + 1) :]


def _empty(draw: Draw, content: bytes, other: bytes) -> bytes:
    return draw.choice((b"", b"\0", b"\xff" * 16, b"null", b"[]", b"{}", b"\n", b"PAR1", bytes(4096)))


_BYTES: Sequence[Callable[[Draw, bytes, bytes], bytes]] = (
    _flip, _flip, _cut, _drop, _double, _zero, _noise, _splice, _join, _empty,
)  # fmt: skip


def mutate_json(draw: Draw, content: bytes, other: bytes) -> bytes:
    """JSON whose values, names or structure are other ones; once in three times any bytes."""
    if draw.random() < 1 / 3:
        return mutate_bytes(draw, content, other)
    return spelled(mutate_value(draw, json.loads(content)))


def mutate_value(draw: Draw, value: Any) -> Any:
    """One to three entries of a JSON-able value replaced, renamed, removed, added or swapped."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            return draw.choice(STRANGE)
        holder, key = draw.choice(places)
        if isinstance(holder, dict):
            _change_entry(draw, holder, key)
        else:
            _change_item(draw, holder, key)
    return value


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _change_entry(draw: Draw, holder: dict[str, Any], key: str) -> None:
    kind = draw.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[draw.choice((key + "_", "x", "", key.upper(), "../x"))] = holder.pop(key)
    elif kind == 2:
        other = draw.choice(list(holder))
        holder[key], holder[other] = holder[other], holder[key]
    else:
        holder[key] = _near(draw, holder[key])


def _change_item(draw: Draw, holder: list[Any], index: int) -> None:
    kind = draw.randrange(5)
    if kind == 0:
        del holder[index]
    elif kind == 1:
        holder.insert(index, holder[index])
    elif kind == 2:
        holder.reverse()
    else:
        holder[index] = _near(draw, holder[index])


def _near(draw: Draw, value: Any) -> Any:
    """Another value: a strange one, or one of the same kind that is wrong by a little."""
    if draw.random() < 0.6:
        return draw.choice(STRANGE)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return draw.choice((value + 1, value - 1, -value, value * 1000, value / 3, str(value)))
    if isinstance(value, str):
        return draw.choice((value[:-1], value + value, value.upper(), value + "\n", value[::-1]))
    return [value]


def spelled(value: Any) -> bytes:
    """JSON in the spelling that runs have, bare words as they are."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    for word in STRANGE:
        if isinstance(word, str) and word.startswith(RAW):
            text = text.replace(json.dumps(word, ensure_ascii=False), word[len(RAW) :])
    return text.encode()


WORDS = (
    "1e999", "-1e999", "inf", "nan", "9" * 400, "9" * 5000, "-1", "0", "1.5", "true", '"x"', "[]", "{}", "[" * DEEP,
    '"""', "'''", "\\", '"\\uD800"', "1979-05-27", "0x7fffffffffffffffff", "0x" + "f" * 5000,
    "é", "\x00", "\ufeff", "\r", "\t", ",", ";",
    '"', "=", "[", "]", "#", "..", "null", "x" * 3000, "18446744073709551616", "2022-02-30 25:61", "1e-400",
)  # fmt: skip


def mutate_text(draw: Draw, content: bytes, other: bytes) -> bytes:
    """Lines and words of a text replaced, doubled, swapped or removed; once in three times any bytes."""
    if draw.random() < 1 / 3:
        return mutate_bytes(draw, content, other)
    lines = content.decode().split("\n")
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(lines))
        kind = draw.randrange(7)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[draw.randrange(len(lines))])
        elif kind == 2:
            other_at = draw.randrange(len(lines))
            lines[at], lines[other_at] = lines[other_at], lines[at]
        elif kind == 3:
            lines[at] = draw.choice(WORDS)
        else:
            lines[at] = _change_words(draw, lines[at])
        lines = lines or [""]
    return "\n".join(lines).encode(errors="surrogatepass")


def _change_words(draw: Draw, line: str) -> str:
    separator = draw.choice([sign for sign in ",=; " if sign in line] or [" "])
    words = line.split(separator)
    at = draw.randrange(len(words))
    kind = draw.randrange(4)
    if kind == 0:
        del words[at]
    elif kind == 1:
        words.insert(at, draw.choice(WORDS))
    else:
        words[at] = draw.choice(WORDS)
    return separator.join(words)


def mutate_frame(draw: Draw, frame: pl.DataFrame) -> pl.DataFrame:
    """A table with other columns, types, rows or values."""
    for _ in range(draw.choice((1, 1, 2))):
        frame = draw.choice(_FRAMES)(draw, frame)
    return frame


def _name(draw: Draw, frame: pl.DataFrame) -> str | None:
    return draw.choice(frame.columns) if frame.columns else None


def _rename(draw: Draw, frame: pl.DataFrame) -> pl.DataFrame:
    name = _name(draw, frame)
    new = draw.choice(("x", "", f"{name} ", str(name).upper()))
    return frame if name is None or new in frame.columns else frame.rename({name: new})


def _swap(draw: Draw, frame: pl.DataFrame) -> pl.DataFrame:
    one, two = _name(draw, frame), _name(draw, frame)
    return frame if one is None or two is None or one == two else frame.rename({one: two, two: one})


def _drop_column(draw: Draw, frame: pl.DataFrame) -> pl.DataFrame:
    name = _name(draw, frame)
    return frame if name is None else frame.drop(name)


def _add_column(draw: Draw, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.lit(draw.choice((1, "x", None, [1]))).alias(draw.choice(("x", "é", "date"))))


_TYPES: Sequence[Any] = (
    pl.String, pl.Int8, pl.Int64, pl.UInt64, pl.Float32, pl.Float64, pl.Boolean, pl.Date, pl.Datetime("us"),
    pl.Datetime("ns", "UTC"), pl.Datetime("ms", "Asia/Tokyo"), pl.Duration("us"), pl.Time, pl.Binary, pl.Null,
    pl.List(pl.Int64), pl.Categorical, pl.Decimal(20, 2),
)  # fmt: skip


def _cast(draw: Draw, frame: pl.DataFrame) -> pl.DataFrame:
    name, kind = _name(draw, frame), draw.choice(_TYPES)
    if name is None:
        return frame
    try:
        return frame.with_columns(pl.col(name).cast(kind, strict=False))
    except pl.exceptions.PolarsError:
        return frame.with_columns(pl.lit(None).cast(kind).alias(name))


def _values(draw: Draw, frame: pl.DataFrame) -> pl.DataFrame:
    """One row's, some rows' or all rows' value of a column replaced by a strange one of its type."""
    name = _name(draw, frame)
    if name is None or not frame.height:
        return frame
    kind = frame[name].dtype
    if kind.is_float():
        value: Any = draw.choice((None, float("nan"), float("inf"), float("-inf"), 0.0, -1.0, 1e300, 1e-300))
    elif kind.is_integer():
        value = draw.choice((None, 0, 1, -1, 127, 2**40, -(2**63), 2**63 - 1))
    elif kind.is_temporal():
        value = draw.choice((None, 0, 1, -(2**62), 2**62, 10**15))
    else:
        value = draw.choice((None, "", "x", "é" * 1000, True))
    rows = pl.Series([True] * frame.height)
    if draw.random() < 0.8:
        some = draw.choice((1, 2, frame.height // 2 + 1))
        chosen = {draw.randrange(frame.height) for _ in range(some)}
        rows = pl.Series([row in chosen for row in range(frame.height)])
    try:
        new = pl.lit(value).cast(pl.Int64).cast(kind) if kind.is_temporal() else pl.lit(value).cast(kind)
        return frame.with_columns(pl.when(rows).then(new).otherwise(pl.col(name)).alias(name))
    except pl.exceptions.PolarsError:
        return frame.with_columns(pl.when(rows).then(None).otherwise(pl.col(name)).alias(name))


def _rows(draw: Draw, frame: pl.DataFrame) -> pl.DataFrame:
    kind, n = draw.randrange(7), frame.height
    if kind == 0:
        return frame.head(draw.choice((0, 1, 2, n // 2)))
    if kind == 1:
        return frame.reverse()
    if kind == 2:
        return pl.concat([frame, frame.tail(draw.choice((1, 5, n)))])
    if kind == 3:
        return frame.sample(fraction=1.0, shuffle=True, seed=draw.randrange(2**31))
    if kind == 4:
        start = draw.randrange(n + 1)
        return pl.concat([frame.head(start), frame.slice(start + draw.choice((1, 10, 500)))])
    if kind == 5:
        return frame.tail(draw.choice((1, 2, n // 2, n // 50)))
    return frame.gather_every(draw.choice((2, 3, 50)))


_FRAMES: Sequence[Callable[[Draw, pl.DataFrame], pl.DataFrame]] = (
    _rename, _swap, _drop_column, _add_column, _cast, _cast, _values, _values, _values, _rows, _rows,
)  # fmt: skip
