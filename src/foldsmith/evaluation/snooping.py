"""Whether the best of several models is better than flat once the choice is counted: SPA, StepM and MCS, by `arch`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from foldsmith.errors import DataError, MissingExtraError
from foldsmith.evaluation.trial_series import profit_matrix

REPS = 1000
BLOCK_DAYS = 5
SIZE = 0.05
INSTALL = "pip install 'foldsmith[stats]'"


def snooping_tests(profits: Any, names: Sequence[str], *, seed: int, reps: int = REPS) -> dict[str, Any]:
    """Test daily profits of all models together against always flat, and against each other; JSON-able.

    profits : (days, N), names : N of them. The circular block bootstrap draws blocks of 5 days. Returns
    spa : p values `lower`, `consistent`, `upper` of Hansen's test that no model earns more than flat; stepm : models
    that Romano and Wolf's test finds to earn more, all of them together wrong in at most 5%; mcs : models not shown to
    be worse than the best (Hansen, Lunde and Nason), 95%, and `mcs_p` by model; reps, days, block_days.
    Models without spread cannot be compared and are listed under `left_out`. MissingExtraError where `arch` is missing,
    DataError for fewer than 10 blocks of days or where no model is left.

    Sources: Hansen, JBES 23(4) (2005); Romano and Wolf, Econometrica 73(4) (2005); Hansen, Lunde and Nason,
    Econometrica 79(2) (2011).
    """
    try:
        from arch.bootstrap import MCS, SPA, StepM
    except ImportError as error:
        raise MissingExtraError(
            f"tests of data snooping need the package arch; install it: {INSTALL}"
        ) from error
    values = profit_matrix(profits)
    if len(values) < 10 * BLOCK_DAYS:
        raise DataError(f"{len(values)} days are too few to test; {10 * BLOCK_DAYS} are needed.")
    moves = values.max(axis=0) > values.min(axis=0)
    kept = [name for name, one in zip(names, moves, strict=True) if one]
    if not kept:
        raise DataError("no model traded, so there is nothing to test.")
    losses, flat = -values[:, moves], np.zeros(len(values))
    options: dict[str, Any] = {"block_size": BLOCK_DAYS, "reps": reps, "bootstrap": "circular", "seed": seed}
    best = SPA(flat, losses, **options)
    best.compute()
    step = StepM(flat, losses, size=SIZE, **options)
    step.compute()
    told: dict[str, Any] = {
        "reps": reps,
        "days": len(values),
        "block_days": BLOCK_DAYS,
        "spa": {name: float(best.pvalues[name]) for name in ("lower", "consistent", "upper")},
        "stepm": [kept[int(i)] for i in step.superior_models],
        "left_out": [name for name, one in zip(names, moves, strict=True) if not one],
    }
    if len(kept) < 2:
        return told | {"mcs": kept, "mcs_p": dict.fromkeys(kept, 1.0)}
    confident = MCS(losses, size=SIZE, **options)
    confident.compute()
    p = {kept[int(i)]: float(value) for i, value in confident.pvalues["Pvalue"].items()}
    return told | {
        "mcs": [name for name in kept if p[name] > SIZE],
        "mcs_p": {name: p[name] for name in kept},
    }
