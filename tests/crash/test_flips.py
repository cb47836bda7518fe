"""One byte flipped anywhere in a real run is found, and the run is named."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.crash.desk import PHASES, Desk, Workspaces, counted

from foldsmith.cli.main import main
from foldsmith.errors import FoldsmithError
from foldsmith.runs.ledger import Ledger

pytestmark = pytest.mark.crash

FLIPS = 200


@pytest.fixture(scope="module")
def desk(workspaces: Workspaces, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A workspace with a dataset, two CV runs, models of both ways and two evaluations."""
    made = workspaces.fresh("model", tmp_path_factory.mktemp("flips") / "desk")
    made.done(*PHASES["evaluate"].words)
    made.done("evaluate", "--run-id", made.model(), "--split", "validation")
    for name in ("cv", "base", "fresh"):
        made.done(*PHASES[name].words)
    return made


@contextmanager
def flipped(path: Path, draw: random.Random) -> Iterator[int]:
    """A file with one byte changed inside the block; yields where."""
    content = path.read_bytes()
    at = draw.randrange(len(content))
    other = bytearray(content)
    other[at] ^= draw.randrange(1, 256)
    path.write_bytes(other)
    try:
        yield at
    finally:
        path.write_bytes(content)


def run_files(desk: Desk) -> list[tuple[str, Path]]:
    """Every file of every run, hidden ones aside, with the id of its run."""
    found = []
    for run_id, run in desk.runs().items():
        names = ["manifest.json", *run.manifest.files]
        found += [(run_id, run.path / name) for name in names if (run.path / name).stat().st_size]
    return found


def verified(desk: Desk) -> tuple[int, str]:
    """Exit status and words of `foldsmith runs verify` over all runs."""
    done = CliRunner().invoke(main, ["runs", "verify", "--workspace", str(desk.path)])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done.exit_code, done.output


def test_a_flipped_byte_in_any_file_of_any_run_is_found(desk: Desk, record_property: Any) -> None:
    draw, files = random.Random(1), run_files(desk)
    assert {run.manifest.kind for run in desk.runs().values()} == {"dataset", "cv", "model", "evaluation"}
    assert verified(desk)[0] == 0
    # Every file once, manifests among them, and more of them by lot.
    wanted = [*files, *draw.choices(files, k=FLIPS)][: max(FLIPS, len(files))]
    found, missed = 0, []
    for run_id, path in wanted:
        with flipped(path, draw) as at:
            status, told = verified(desk)
        if status == 2 and run_id in told.splitlines()[-1]:
            found += 1
        else:
            missed.append(f"{path.relative_to(desk.path)} byte {at}: status {status}, {told[-300:]}")
    counted(record_property, {"flipped bytes": len(wanted), "flips found": found})
    assert verified(desk)[0] == 0
    assert missed == [], f"{len(missed)} of {len(wanted)} not found:\n" + "\n".join(missed[:20])


def entries(path: Path) -> list[tuple[Any, ...]]:
    """All that a ledger says."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT * FROM entries ORDER BY id").fetchall()


def test_a_flipped_byte_in_the_ledger_is_found_or_changes_no_entry(desk: Desk, record_property: Any) -> None:
    """Bytes that SQLite does not use, and counters that it sets itself, may be any; an entry may not."""
    draw, path = random.Random(2), desk.workspace.ledger
    before, found = entries(path), 0
    for _ in range(FLIPS):
        with flipped(path, draw) as at:
            try:
                Ledger(path).check()
            except FoldsmithError:
                found += 1
            else:
                assert entries(path) == before, f"byte {at} changed an entry unseen"
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
    assert entries(path) == before
    Ledger(path).check()
    assert found > FLIPS // 3
    counted(record_property, {"flipped bytes of the ledger": FLIPS, "of them found": found})
