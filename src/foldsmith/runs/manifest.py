"""manifest.json: what a run is, what it was made from and with, and the hash of every file in it.

The content hash is the identity of what a run holds. It covers

    sha256(canonical JSON of {"files": [[path, sha256], ... by path], "parents": [content, ... sorted]})

over every file but manifest.json and those that are added or may differ without changing what the run is:
`*.log`, `report.html`, and all under `evaluations/`. No id, path, time or command enters, so the same work
done twice has the same content. Hidden files (a name or folder starting with `.`) are no part of a run: they
are neither listed nor hashed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

import foldsmith
from foldsmith.errors import DataError, IntegrityError
from foldsmith.runs.files import canonical_json, hash_file, parse_json, read_small, write_whole
from foldsmith.runs.source import machine_kind, package_versions, source_hash

FORMAT = 2
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 1024 * 1024
"""A larger manifest is refused: at some 120 bytes a file this is a hundred thousand files."""

Kind = Literal["dataset", "cv", "model", "evaluation"]


def check_relative(path: str) -> str:
    """A file of a run as it is written in a manifest: a path inside the folder, in one spelling; ValueError
    otherwise."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or ":" in parts[0]:
        raise ValueError(f"{path!r:.200} does not lie inside the run")
    if not path.isprintable() or path == MANIFEST or any(part.startswith(".") for part in parts):
        raise ValueError(f"{path!r:.200} cannot be a file of a run")
    return path


Hash = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
Relative = Annotated[str, AfterValidator(check_relative)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Parent(_Strict):
    """What a run was made from: a run, or a raw file (kind `raw`), with the hash of its content."""

    kind: Literal["raw", "dataset", "cv", "model", "evaluation"]
    id: str
    content: Hash


class Code(_Strict):
    """The program: its version, and the hash of its syntax without comments and docstrings."""

    version: str
    source: Hash


class LedgerState(_Strict):
    """The ledger as it was when the run was published: its name, how many entries, the hash of the last."""

    ledger: str
    entries: Annotated[int, Field(ge=0)]
    head: Hash


class Manifest(_Strict):
    """A run's description of itself; see the module for what `content` covers."""

    format: int
    kind: Kind
    id: str
    created: AwareDatetime
    command: list[str]
    parameters: dict[str, Any]
    parents: list[Parent]
    files: dict[Relative, Hash]
    content: Hash
    fingerprint: str | None
    code: Code
    packages: dict[str, str]
    python: str
    platform: str
    seed: int | None
    wall_seconds: Annotated[float, Field(ge=0)]
    ledger: LedgerState | None
    extra: dict[str, Any]


def content_hash(files: dict[str, str], parents: Iterable[str]) -> str:
    """The content hash of a run with these files (path to sha256) and these parents' content hashes."""
    covered = [[path, files[path]] for path in sorted(files) if counts_as_content(path)]
    text = json.dumps({"files": covered, "parents": sorted(parents)}, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def counts_as_content(path: str) -> bool:
    """Whether a file of a run takes part in its content hash."""
    name = path.rsplit("/", 1)[-1]
    return not (path.startswith("evaluations/") or name.endswith(".log") or name in ("report.html", MANIFEST))


def build(
    folder: Path,
    *,
    kind: Kind,
    id: str,  # noqa: A002 - the manifest's own word
    created: datetime,
    command: Sequence[str],
    parameters: dict[str, Any],
    parents: Sequence[Parent] = (),
    fingerprint: str | None = None,
    seed: int | None = None,
    wall_seconds: float = 0.0,
    ledger: LedgerState | None = None,
    extra: dict[str, Any] | None = None,
) -> Manifest:
    """Hash every file below `folder` and describe the run; nothing is written.

    Raises DataError for a link, a pipe or a name that cannot be in a manifest, and for parameters JSON cannot
    say.
    """
    import platform

    files = {path: hash_file(folder / path) for path in sorted(_run_files(folder))}
    for what, values in (("parameters", parameters), ("extra", extra or {})):
        if json.loads(canonical_json(values)) != values:
            raise DataError(
                f"{what} of run {id} do not survive JSON; use texts, numbers, lists and text keys only."
            )
    return Manifest(
        format=FORMAT,
        kind=kind,
        id=id,
        created=created,
        command=list(command),
        parameters=parameters,
        parents=list(parents),
        files=files,
        content=content_hash(files, (parent.content for parent in parents)),
        fingerprint=fingerprint,
        code=Code(version=foldsmith.__version__, source=source_hash()),
        packages=package_versions(),
        python=platform.python_version(),
        platform=machine_kind(),
        seed=seed,
        wall_seconds=round(wall_seconds, 3),
        ledger=ledger,
        extra=extra or {},
    )


def write(folder: Path, manifest: Manifest) -> str:
    """Write manifest.json and return the SHA-256 of its bytes, the hash that the ledger keeps."""
    content = canonical_json(manifest.model_dump(mode="json"))
    write_whole(folder / MANIFEST, content)
    return hashlib.sha256(content).hexdigest()


def read(folder: Path) -> Manifest:
    """Read and check manifest.json; the files it lists are not looked at.

    Raises MissingError where there is none, DataError for what is no manifest or one of a newer version,
    IntegrityError for one whose content hash is not that of its own files and parents.
    """
    return read_with_hash(folder)[0]


def read_with_hash(folder: Path) -> tuple[Manifest, str]:
    """The manifest, and the SHA-256 of its bytes."""
    path = folder / MANIFEST
    content = read_small(path, MAX_MANIFEST_BYTES)
    found = parse_json(content, str(path))
    if not isinstance(found, dict):
        raise DataError(
            f"{path} is not a manifest but a {type(found).__name__}; restore it or make the run again."
        )
    if found.get("format") != FORMAT:
        raise DataError(
            f"{path} has format {found.get('format')!r:.40} and this version reads {FORMAT}; "
            "use the version of Foldsmith that wrote it, or make the run again."
        )
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{path}: {where:.200}: {first['msg']:.300}; restore it or make the run again."
        ) from error
    if manifest.content != content_hash(manifest.files, (parent.content for parent in manifest.parents)):
        raise IntegrityError(
            f"{path} was changed: its content hash {manifest.content[:12]} is not that of the files and "
            "parents it lists. Restore it or make the run again."
        )
    return manifest, hashlib.sha256(content).hexdigest()


def verify(folder: Path, paths: Iterable[str] | None = None, *, manifest: Manifest | None = None) -> None:
    """Compare the files at `paths` (all, when None) with their hashes; IntegrityError names the first that
    differs.

    `manifest` is the run's, read from `folder` when not given.
    """
    known = (read(folder) if manifest is None else manifest).files
    for path in known if paths is None else paths:
        if path not in known:
            raise IntegrityError(
                f"{path} is not a file that run {folder.name} was published with, so nothing vouches for it; "
                "make the run again."
            )
        _verify_one(folder, path, known[path])


def _verify_one(folder: Path, path: str, expected: str) -> None:
    parts = path.split("/")
    for depth in range(1, len(parts)):
        if folder.joinpath(*parts[:depth]).is_symlink():
            raise IntegrityError(
                f"{'/'.join(parts[:depth])} of run {folder.name} is a link; restore the folder."
            )
    try:
        found = hash_file(folder / path)
    except FileNotFoundError as error:
        raise IntegrityError(
            f"{path} of run {folder.name} is gone; restore it or make the run again."
        ) from error
    except DataError as error:
        raise IntegrityError(f"run {folder.name} is damaged: {error}") from error
    if found != expected:
        raise IntegrityError(
            f"{path} of run {folder.name} was changed: its hash is {found[:12]} and the manifest says "
            f"{expected[:12]}. Restore it or make the run again."
        )


def _run_files(folder: Path) -> list[str]:
    """Paths of the files of a run relative to `folder`, with `/`; hidden ones and the manifest left out."""
    found: list[str] = []
    waiting = [("", folder)]
    while waiting:
        prefix, where = waiting.pop()
        for entry in os.scandir(where):
            path = f"{prefix}{entry.name}"
            if entry.name.startswith(".") or path == MANIFEST:
                continue
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                waiting.append((f"{path}/", Path(entry.path)))
                continue
            if not stat.S_ISREG(mode):
                raise DataError(f"{path} in {folder} is a link or no ordinary file; a run holds files alone.")
            try:
                found.append(check_relative(path))
            except ValueError as error:
                raise DataError(f"{error}; rename it.") from error
    return found


__all__ = [
    "FORMAT",
    "MANIFEST",
    "Code",
    "LedgerState",
    "Manifest",
    "Parent",
    "build",
    "content_hash",
    "hash_file",
    "read",
    "read_with_hash",
    "verify",
    "write",
]
