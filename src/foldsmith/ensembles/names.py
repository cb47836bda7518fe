"""Names of base models inside an ensemble that joins several runs or horizons.

`lightgbm` is the first run's; `lightgbm@2` that of the second run, where the name is taken; `lightgbm@h5` the first
run's of horizon 5. Runs are numbered, not named: what an ensemble is must not depend on how its runs are called.
"""

from __future__ import annotations

import re

_JOINED = re.compile(r"(?P<model>[^@]+)@(?:[1-9][0-9]{0,2}|h[1-9][0-9]{0,3})", re.ASCII)


def of_run(model: str, place: int, taken: tuple[str, ...]) -> str:
    """The name of a model of the run at a place, counted from 1; its own unless an earlier run has taken it.

    >>> of_run("svm", 2, ("lightgbm",)), of_run("lightgbm", 2, ("lightgbm",))
    ('svm', 'lightgbm@2')
    """
    return f"{model}@{place}" if model in taken else model


def of_horizon(model: str, horizon: int) -> str:
    """The name of a model of another horizon.

    >>> of_horizon("lightgbm", 5)
    'lightgbm@h5'
    """
    return f"{model}@h{horizon}"


def model_of(name: str) -> str:
    """The model that a name inside an ensemble stands for.

    >>> model_of("lightgbm@h5"), model_of("lightgbm"), model_of("light@gbm")
    ('lightgbm', 'lightgbm', 'light@gbm')
    """
    found = _JOINED.fullmatch(name)
    return name if found is None else found["model"]
