"""Rows of a dataset run as arrays, for work in Python that the commands do not do, such as regression."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.config import ValidationSettings
from foldsmith.contracts import LABELS
from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import Instants, Rows
from foldsmith.labels.targets import TARGETS
from foldsmith.runs.store import Run, open_run
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.tables import read_table

SEGMENTS = ("training", "validation")
"""What is handed out. Test rows are opened by `evaluate` alone, which counts the look."""


@dataclass(frozen=True)
class LoadedRows:
    """Rows of one segment in time order, those at its end purged and embargoed against the segments after it.

    X : float32 (n, p), finite; names : its p features; y : int8 (n,) of -1, 0, 1; target, log_return : float64 (n,),
    see `labels.targets.with_targets`; t0, t1 : int64 (n,) microseconds UTC. bars : close of every bar of the full
    series, and embargo : bars of the vertical barrier, both as a splitter takes them.
    """

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.int8]
    target: npt.NDArray[np.float64]
    log_return: npt.NDArray[np.float64]
    t0: Instants
    t1: Instants
    names: tuple[str, ...]
    bars: Instants
    embargo: int


def load_dataset(folder: str | Path, horizon: int, segment: str = "training") -> LoadedRows:
    """Read one segment of a dataset run (`data/datasets/{id}`), every hash and contract checked.

    Raises SettingError for a segment or horizon that is not handed out, MissingError where there is no such run,
    DataError for a run of another kind, or for one made before datasets held targets.
    """
    if segment not in SEGMENTS:
        told = " Test rows are opened by `evaluate`, which counts the look." if segment == "test" else ""
        raise SettingError(
            f"segment {segment!r:.40} cannot be loaded; there are {', '.join(SEGMENTS)}.{told}"
        )
    run = open_run(Path(folder).parent, Path(folder).name)
    if run.manifest.kind != "dataset":
        raise DataError(f"run {run.id} is a {run.manifest.kind} run; a dataset is needed.")
    table = load_horizons(run, (horizon,), ValidationSettings())[horizon]
    rows = table.segments.named()[segment]
    data = table.data.take(rows)
    target, log_return = _targets(run, horizon, table.bar[rows])
    return LoadedRows(
        X=data.X,
        y=data.y,
        target=target,
        log_return=log_return,
        t0=data.t0,
        t1=data.t1,
        names=data.names,
        bars=table.separation.bars,
        embargo=table.separation.embargo,
    )


def _targets(run: Run, horizon: int, bar: Rows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Both targets of the labels at these bars."""
    labels = read_table(run.path / f"labels_h{horizon}.parquet", LABELS)
    if not set(TARGETS) <= set(labels.columns):
        raise DataError(
            f"dataset {run.id} was made before labels had a target; make it again: ./pipeline run --symbols "
            f"{run.manifest.extra.get('symbol', 'SYMBOL')}"
        )
    found = pl.DataFrame({"bar": bar}).join(labels, on="bar", how="left", maintain_order="left")
    target, log_return = (found[name].to_numpy() for name in TARGETS)
    return target, log_return
