"""Ten thousand runs by 64 writers whose clock and random source stand still, through several paths to one folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.crash.desk import counted
from tests.crash.zygote import ROOT, import_path

from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Workspace, open_run, published

pytestmark = pytest.mark.crash

WRITERS = 64


def written(tmp_path: Path, each: int, instants: int) -> tuple[Workspace, dict[str, str], int]:
    """Let the writers make `each` runs apiece; the workspace, text by id as they say, and how many paths they took."""
    workspace = Workspace(tmp_path / "desk")
    workspace.runs.mkdir(parents=True)
    link, mount, report = tmp_path / "link", tmp_path / "mount", tmp_path / "report"
    link.symlink_to(workspace.root)
    mount.mkdir()
    paths = [str(workspace.root), str(link)]
    command = [
        sys.executable,
        "-m",
        "tests.crash.writers",
        str(WRITERS),
        str(each),
        str(instants),
        str(report),
    ]
    environment = {**os.environ, "PYTHONPATH": import_path()}
    if can_mount(workspace.root, mount):
        paths.append(str(mount))
        bind = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        command = ["unshare", "-rm", "sh", "-c", bind, "sh", str(workspace.root), str(mount), *command]
    done = subprocess.run(
        [*command, *paths], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = [(run_id, text) for run_id, text in json.loads(report.read_text())]
    assert len(dict(made)) == len(made) == WRITERS * each, "two writers had one id"
    return workspace, dict(made), len(paths)


def can_mount(there: Path, here: Path) -> bool:
    """Whether a private mount of a folder at another path is permitted on this machine."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "mount", "--bind", str(there), str(here)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def check(workspace: Workspace, made: dict[str, str]) -> None:
    """Every run that was made is there, whole, with what its maker put into it, and once in the ledger."""
    assert sorted(os.listdir(workspace.runs)) == sorted(made)
    assert set(published(workspace.runs)) == made.keys()
    ledger = Ledger(workspace.ledger)
    ledger.check()
    entries = ledger.published()
    assert sorted(entry.run_id for entry in entries) == sorted(made)
    known = {entry.run_id: entry.manifest for entry in entries}
    assert len(set(known.values())) == len(known)
    for run_id, text in made.items():
        run = open_run(workspace.runs, run_id)
        run.verify()
        assert (run.path / "model" / "model.json").read_text() == text
    for run_id in list(made)[::50]:
        open_run(workspace.runs, run_id, workspace.ledger)


def test_64_writers_make_ten_thousand_runs_and_none_is_lost(tmp_path: Path, record_property: Any) -> None:
    """At each of 157 instants all want the same id, through the folder itself, a link and another mount of it."""
    workspace, made, paths = written(tmp_path, each=157, instants=157)
    check(workspace, made)
    counted(record_property, {"runs by 64 writers": len(made), "paths to one folder": paths})


def test_64_writers_at_one_instant_that_never_passes(tmp_path: Path, record_property: Any) -> None:
    """All runs want the very same id, so each has to get past all those made before."""
    workspace, made, _ = written(tmp_path, each=8, instants=1)
    check(workspace, made)
    suffixes = sorted((int(run_id[-4:], 16) - 0xFFF0) % 0x10000 for run_id in made)
    assert suffixes[-1] < 4 * len(made)  # a loser's short-lived folder may have cost a number
    counted(record_property, {"runs by 64 writers": len(made)})
