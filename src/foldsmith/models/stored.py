"""Fitted models and ensembles as files of bytes that cannot run code.

One JSON file holds the facts and the SHA-256 of every other file. Other files are arrays of numbers or a
library's own model format. The hashes find damage before a library's parser meets it; they do not prove who
wrote the files (the run's manifest and the ledger do that).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.errors import DataError, IntegrityError

FORMAT = 1
OWN = "sha256_of_the_rest"
"""The facts' own hash: a flipped digit must not make another model."""
MAX_BYTES = 512 * 1024 * 1024
"""A larger file is refused: no model made here comes near it."""


def pack(facts_file: str, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The facts as canonical JSON (sorted keys, exact floats) beside the files they vouch for."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    content = {"format": FORMAT, "sha256": hashes, **facts}
    return {facts_file: _text({**content, OWN: _own_hash(content)}), **files}


def unpack(facts_file: str, files: Mapping[str, bytes]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The facts and the files they vouch for, every hash checked.

    Raises DataError for what is no model of this format, IntegrityError for a file that differs from its
    hash.
    """
    if facts_file not in files:
        raise DataError(
            f"{facts_file} is missing from the saved model; it has {', '.join(files) or 'no file'}."
        )
    facts = _json(facts_file, files[facts_file])
    if facts.get("format") != FORMAT:
        raise DataError(
            f"{facts_file} has format {facts.get('format')!r:.20} and this version reads {FORMAT}; "
            "train the model again."
        )
    own = facts.pop(OWN, None)
    if own != _own_hash(facts) or _text({**facts, OWN: own}) != files[facts_file]:
        raise IntegrityError(f"{facts_file} differs from its own hash; it is damaged: train the model again.")
    hashes = facts.get("sha256")
    if not isinstance(hashes, dict):
        raise DataError(f"{facts_file} lists no files; it is damaged: train the model again.")
    for name, expected in hashes.items():
        if name not in files:
            raise DataError(f"{name} is missing from the saved model; train it again.")
        if len(files[name]) > MAX_BYTES:
            raise DataError(
                f"{name} has {len(files[name])} bytes; more than {MAX_BYTES} cannot be a saved model."
            )
        if hashlib.sha256(files[name]).hexdigest() != expected:
            raise IntegrityError(
                f"{name} differs from its hash in {facts_file}; it is damaged: train the model again."
            )
    return facts, {name: bytes(files[name]) for name in hashes}


def unreadable(name: str, library: str, error: Exception) -> DataError:
    """The error for a file that its library refuses, with the first line of what it said."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return DataError(f"{name} is no {library} model ({said:.120}); train it again.")


def _own_hash(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(facts)).hexdigest()


def _text(facts: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(facts, sort_keys=True, indent=1, allow_nan=False).encode() + b"\n"
    except ValueError as error:
        raise DataError(f"a model cannot hold a number that is not finite ({error}).") from error


def _json(name: str, content: bytes) -> dict[str, Any]:
    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no number")

    if len(content) > MAX_BYTES:
        raise DataError(f"{name} has {len(content)} bytes; more than {MAX_BYTES} cannot be a saved model.")
    try:
        facts = json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not the JSON that was saved ({error}); train the model again.") from error
    if not isinstance(facts, dict):
        raise DataError(f"{name} does not hold a JSON object; train the model again.")
    return facts


def fact(facts: Mapping[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    """One entry of the facts, of this type; DataError otherwise."""
    value = facts.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(
            f"the saved model's entry {key!r} is {value!r:.60}, which cannot be read; train it again."
        )
    return value


def numbers(facts: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """One entry of the facts as float64 of this shape, finite; DataError otherwise."""
    try:
        array = np.asarray(fact(facts, key, list), dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"the saved model's entry {key!r} holds no numbers ({error}); train it again."
        ) from error
    if array.shape != shape or not np.isfinite(array).all():
        raise DataError(
            f"the saved model's entry {key!r} has shape {array.shape}; "
            f"finite numbers of shape {shape} are needed: train it again."
        )
    return array


def as_bytes(*arrays: npt.NDArray[Any]) -> bytes:
    """Numbers one after another as little-endian float64; `arrays_of` undoes it."""
    return b"".join(np.ascontiguousarray(array, dtype="<f8").tobytes() for array in arrays)


def arrays_of(
    files: Mapping[str, bytes], name: str, shapes: Sequence[tuple[int, ...]]
) -> list[npt.NDArray[np.float64]]:
    """The arrays of these shapes that `as_bytes` put into a file, finite; DataError for anything else."""
    if name not in files:
        raise DataError(f"{name} is missing from the saved model; train it again.")
    sizes = [math.prod(shape) for shape in shapes]
    if len(files[name]) != 8 * sum(sizes):
        raise DataError(
            f"{name} has {len(files[name])} bytes and {8 * sum(sizes)} are needed; it is damaged: train again."
        )
    values = np.frombuffer(files[name], dtype="<f8")
    if not np.isfinite(values).all():
        raise DataError(f"{name} holds numbers that are not finite; it is damaged: train the model again.")
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return [part.reshape(shape).astype(np.float64) for part, shape in zip(parts, shapes, strict=True)]
