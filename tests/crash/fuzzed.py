"""The catalogue of what is fuzzed, and the batches that a forked child goes through."""

from __future__ import annotations

import json
import os
import random
import resource
import traceback
from pathlib import Path
from typing import Any

from tests.crash.targets import (
    ROOM,
    Configs,
    DatasetTables,
    Descriptions,
    Ensembles,
    Facts,
    FeatureSets,
    Instruments,
    LedgerFiles,
    Locks,
    Manifests,
    ModelFiles,
    PredictedBars,
    PreparedCsv,
    PreparedParquet,
    Presets,
    RawCsv,
    RawGzip,
    RawParquet,
    Recipes,
    ReportedFiles,
    ResumedSettings,
    Settings,
    SignedManifests,
    SignedModelFiles,
    Simulations,
    StackedTables,
    StackingTables,
    Target,
    TrainedTables,
    Units,
    VendorFiles,
)
from tests.crash.targets_models import (
    BagFiles,
    Corrections,
    Joins,
    LearnerFiles,
    MoreModelFiles,
)

from foldsmith.errors import FoldsmithError


def run_batch(name: str, first: int, last: int, source: str, scratch: str, report: str) -> None:
    """Go through cases `first` to `last` - 1; `report`.at tells the one under way, `report`.json what was found."""
    Path(scratch).mkdir(parents=True)
    target = TARGETS[name](Path(source), Path(scratch))
    _limit_memory()
    outcomes: dict[str, Any] = {"refused": 0, "read": 0, "problems": []}
    place = os.open(f"{report}.at", os.O_RDWR | os.O_CREAT)
    for number in range(first, last):
        os.pwrite(place, number.to_bytes(8, "little"), 0)
        try:
            target.case(random.Random(f"{name} {number}"))
            outcomes["read"] += 1
        except FoldsmithError as error:
            outcomes["refused"] += 1
            told = str(error)
            if not told.strip() or "\n" in told.strip():
                outcomes["problems"].append([number, f"told in other than one line: {told[:500]!r}"])
        except BaseException:  # noqa: BLE001 - anything else is what is looked for
            outcomes["problems"].append([number, traceback.format_exc()[-3000:]])
    Path(f"{report}.json").write_text(json.dumps(outcomes))


def _limit_memory() -> None:
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))


TARGETS: dict[str, type[Target]] = {
    "manifests": Manifests,
    "signed manifests": SignedManifests,
    "recipes": Recipes,
    "model descriptions": Descriptions,
    "metrics, findings and recipes of an evaluation": ReportedFiles,
    "settings of a simulation": Simulations,
    "model files": ModelFiles,
    "signed facts of models": Facts,
    "signed model files": SignedModelFiles,
    "ensembles": Ensembles,
    "meta-learners with files": LearnerFiles,
    "model files of further families": MoreModelFiles,
    "corrections and fitted features": Corrections,
    "joins of datasets": Joins,
    "bags": BagFiles,
    "ledgers": LedgerFiles,
    "settings of unfinished runs": Settings,
    "settings of resumed runs": ResumedSettings,
    "units of resumed runs": Units,
    "locks": Locks,
    "raw CSV": RawCsv,
    "raw packed CSV": RawGzip,
    "raw files of vendors": VendorFiles,
    "raw CSV prepared": PreparedCsv,
    "raw Parquet": RawParquet,
    "raw Parquet prepared": PreparedParquet,
    "raw Parquet predicted": PredictedBars,
    "tables of datasets": DatasetTables,
    "tables of datasets trained on": TrainedTables,
    "tables of CV runs": StackingTables,
    "tables of CV runs stacked": StackedTables,
    "instruments": Instruments,
    "configs": Configs,
    "presets": Presets,
    "feature sets": FeatureSets,
}
