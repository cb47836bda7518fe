"""`audit splitters`: who leaks how many training rows, on the labels of a dataset or on made-up ones."""

from __future__ import annotations

import inspect
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from foldsmith.audit.known_splitters import KNOWN, OURS, KnownSplitter, Setting
from foldsmith.audit.splitters import ABSENT, FAILED, LabelSpans, Measured, measured, unpurged_is_seen
from foldsmith.config import ValidationSettings
from foldsmith.errors import DataError, FoldsmithError, MissingError, SettingError
from foldsmith.runs.files import disk_errors_told, read_small
from foldsmith.runs.store import Run, Workspace, write_json
from foldsmith.stages.features_file import inside
from foldsmith.stages.horizon import load_horizons

LIMIT = 1 << 20
YOURS = "yours"
MINUTE = 60_000_000
MADE_UP_ROWS, MADE_UP_BARS, MADE_UP_GAP = 600, 40, 20
"""Rows of the made-up labels, bars of the longest, and what splitters that purge by rows hold back there."""


def made_up_labels() -> LabelSpans:
    """600 rows a minute apart with labels of 1 to 40 bars, drawn by numpy's default generator with seed 0."""
    t0 = np.arange(MADE_UP_ROWS, dtype=np.int64) * MINUTE
    length = np.random.default_rng(0).integers(1, MADE_UP_BARS + 1, MADE_UP_ROWS)
    closes = np.arange(MADE_UP_ROWS + MADE_UP_BARS + 1, dtype=np.int64) * MINUTE
    y = (length % 3 - 1).astype(np.int8)
    said = f"{MADE_UP_ROWS} made-up rows a minute apart, labels of 1 to {MADE_UP_BARS} bars"
    return LabelSpans(t0, t0 + length * MINUTE, y, closes, said)


def labels_of(dataset: Run, horizon: int) -> LabelSpans:
    """The labels of a dataset's training segment."""
    table = load_horizons(dataset, (horizon,), ValidationSettings())[horizon]
    rows = table.data.take(table.segments.training)
    said = f"{len(rows):,} rows of the training segment of dataset {dataset.id}, horizon {horizon}"
    return LabelSpans(rows.t0, rows.t1, rows.y, table.separation.bars, said)


def measure_splitters(
    workspace: Workspace, setting: Setting, own: Sequence[str], say: Callable[[str], None]
) -> list[Measured]:
    """Every known splitter and the user's own, `FILE.py:NAME` each; said as they are measured.

    Raises SettingError for a name that is none, and DataError where folds without a purge would not be seen to leak,
    so that no splitter could be.
    """
    if not unpurged_is_seen(setting.labels, setting.n_splits):
        raise DataError(
            f"on {setting.labels.said} no label reaches over the end of a fold, so no splitter can be seen to leak; "
            "choose a longer --horizon."
        )
    yours = [(word, load_splitter(workspace, word, setting)) for word in own]
    found = []
    for name, known in KNOWN.items():
        found.append(_known(name, known, setting))
        say(line(found[-1]))
    for word, pairs in yours:
        found.append(_tried(word, YOURS, pairs, setting))
        say(line(found[-1]))
    return found


def failed(found: Sequence[Measured]) -> list[Measured]:
    """Of ours and the user's own, those that were not seen to keep rows apart."""
    return [each for each in found if each.library in (OURS, YOURS) and not each.apart]


def line(one: Measured) -> str:
    """One splitter in a line of a terminal."""
    name = f"{one.library:>9}  {one.name}: {one.state}"
    if one.state in (ABSENT, FAILED):
        return f"{name}: {one.said}"
    touching = f", {one.touching:,} of them in one instant" if one.touching else ""
    gap = (
        f"smallest gap {one.gap} bars" if one.overlaps == 0 else f"up to {one.worst:,} in one split{touching}"
    )
    return (
        f"{name}: {one.overlaps:,} of {one.train:,} training rows of {one.splits} splits meet a test label, "
        f"{one.embargoed:,} more lie under the embargo; {gap}"
    )


def load_splitter(workspace: Workspace, word: str, setting: Setting) -> Callable[[], Iterable[Any]]:
    """Run the user's file and give what yields its splits.

    NAME is a splitter, or what makes one: it is called with those of t0, t1, bars (numpy datetime64[us], UTC),
    n_splits and embargo (bars) that it takes by name. Raises SettingError for a file outside the workspace, one that
    cannot be run, or a name that is no splitter, and MissingError for a file that is absent.
    """
    file, separator, name = word.rpartition(":")
    if not separator or not file or not name.isidentifier():
        raise SettingError(f"--own {word!r:.60} names no splitter; write FILE.py:NAME.")
    path = inside(workspace, file, f"--own {word}: the file")
    if not path.is_file():
        raise MissingError(f"--own {word}: {file} is not in {workspace.root}; put it there.")
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        exec(compile(read_small(path, LIMIT), file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except (Exception, SystemExit) as error:  # the user's own code
        raise SettingError(f"--own {word} cannot be run: {_where(error)}") from error
    made = module.__dict__.get(name)
    if made is None:
        raise SettingError(f"--own {word}: the file has no {name}.")

    def pairs() -> Iterable[Any]:
        splitter = (
            made if hasattr(made, "split") and not isinstance(made, type) else made(**_options(made, setting))
        )
        found: Iterable[Any] = splitter.split(setting.rows, setting.labels.y)
        return found

    if not callable(made) and not hasattr(made, "split"):
        raise SettingError(f"--own {word}: {name} has no method split; see scikit-learn's splitters.")
    return pairs


def _options(made: Any, setting: Setting) -> dict[str, Any]:
    labels = setting.labels
    known = {
        "t0": labels.t0.astype("datetime64[us]"),
        "t1": labels.t1.astype("datetime64[us]"),
        "bars": labels.closes.astype("datetime64[us]"),
        "n_splits": setting.n_splits,
        "embargo": setting.embargo,
    }
    taken = inspect.signature(made).parameters
    return {name: value for name, value in known.items() if name in taken}


def _known(name: str, known: KnownSplitter, setting: Setting) -> Measured:
    if known.library != OURS and find_spec(known.library) is None:
        return Measured(name, known.library, ABSENT, f"python -m pip install {known.options}{known.library}")
    return _tried(name, known.library, lambda: known.pairs(setting), setting)


def _tried(name: str, library: str, pairs: Callable[[], Iterable[Any]], setting: Setting) -> Measured:
    try:
        return measured(name, library, pairs(), setting.labels, setting.embargo)
    except FoldsmithError as error:
        return Measured(name, library, FAILED, str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - of others; whatever stopped it, it was not measured
        return Measured(name, library, FAILED, _where(error))


def _where(error: BaseException) -> str:
    lines = traceback.extract_tb(error.__traceback__)
    at = error.lineno if isinstance(error, SyntaxError) else lines[-1].lineno
    file = "" if isinstance(error, SyntaxError) else f" of {Path(lines[-1].filename).name}"
    return f"{type(error).__name__} at line {at}{file}: {' '.join(str(error).split())[:200]}"


def write_splitters(
    setting: Setting, found: Sequence[Measured], json_file: Path | None, page: Path | None
) -> Iterator[Path]:
    """Write the JSON and the page that are asked for, and give their paths."""
    from foldsmith.report.splitters import render_splitters

    facts = {
        "labels": setting.labels.said,
        "longest_label": setting.labels.longest,
        "n_splits": setting.n_splits,
        "gap": setting.gap,
        "embargo": setting.embargo,
    }
    if json_file is not None:
        with disk_errors_told(f"write {json_file}"):
            write_json(json_file, {**facts, "splitters": [each.as_dict() for each in found]})
        yield json_file
    if page is not None:
        with disk_errors_told(f"write {page}"):
            page.write_text(render_splitters(facts, found), encoding="utf-8")
        yield page
