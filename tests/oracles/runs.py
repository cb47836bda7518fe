"""Slow, obvious twins of the runs room."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def content_of(folder: Path, parents: list[str]) -> str:
    """The content hash of a folder, by the words of the manifest module alone."""
    pairs = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if (
            path.is_dir()
            or any(part[0] == "." for part in relative.parts)
            or str(relative) == "manifest.json"
        ):
            continue
        if (
            relative.parts[0] == "evaluations"
            or path.suffix == ".log"
            or path.name in ("report.html", "manifest.json")
        ):
            continue
        pairs.append(["/".join(relative.parts), hashlib.sha256(path.read_bytes()).hexdigest()])
    text = json.dumps({"files": sorted(pairs), "parents": sorted(parents)}).replace(" ", "")
    return hashlib.sha256(text.encode()).hexdigest()
