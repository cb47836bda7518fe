"""Models that a user wrote: how a class is found in their file, what it must say of itself, and how what it raises is
told.

The file's bytes travel with the model, to worker processes too: what was hashed is what is run, wherever it is run. A
file is run once a process, in a module whose name is its hash, so that workspaces never share one by accident.
"""

from __future__ import annotations

import hashlib
import math
import re
import sys
import traceback
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Self, cast

import numpy as np

from foldsmith.dataset import CLASSES
from foldsmith.errors import DataError, FoldsmithError, SettingError
from foldsmith.models.base import Classifier, Evaluation, Labels, Matrix, Prepared, Probabilities, Weights
from foldsmith.models.parameters import Parameter

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What a model may be called: it becomes part of columns, files and run ids."""
CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{64}")
TAKEN = ("seed", "threads", "features", "own_model")
"""What no hyperparameter is called: what stands beside hyperparameters in calls and in the ledger."""


@dataclass(frozen=True)
class OwnRecord:
    """What runs and saved models keep of a model that a user wrote: its class, and the SHA-256 of its file."""

    class_name: str
    sha256: str

    def as_dict(self) -> dict[str, str]:
        """As plain values; no path is among them."""
        return {"class": self.class_name, "sha256": self.sha256}

    @classmethod
    def from_dict(cls, made: Any) -> Self:
        """The inverse of `as_dict`; DataError for anything else."""
        if not isinstance(made, Mapping) or set(made) != {"class", "sha256"}:
            raise DataError(f"{made!r:.80} does not describe a model of one's own; make the run again.")
        found = (CLASS.fullmatch(str(made["class"])), DIGEST.fullmatch(str(made["sha256"])))
        if not all(found):
            raise DataError(f"{made!r:.80} does not describe a model of one's own; make the run again.")
        return cls(str(made["class"]), str(made["sha256"]))


@dataclass(frozen=True)
class OwnModel:
    """A line of `models.toml` and the file that it names.

    name : what commands call the model; file : path below the workspace, for messages; class_name : in that file;
    source : the file's bytes.
    """

    name: str
    file: str
    class_name: str
    source: bytes

    @cached_property
    def record(self) -> OwnRecord:
        """What runs keep of it."""
        return OwnRecord(self.class_name, hashlib.sha256(self.source).hexdigest())

    @property
    def said(self) -> str:
        """How messages name it."""
        return f"model {self.name} ({self.file}, class {self.class_name})"

    def load(self) -> type[Classifier]:
        """Run the file and give the class under this model's name.

        Raises SettingError, naming the line, where the file cannot be run, and where its class is none, lacks a method
        or describes itself wrongly. What the class raises later becomes a DataError that names the line.
        """
        return _loaded(self)


def forget(own: OwnModel) -> None:
    """Drop the file's module and class, so that the next `load` runs it again: what it kept in globals is gone."""
    sys.modules.pop(_module_name(own), None)
    _loaded.cache_clear()


@lru_cache(maxsize=256)
def _loaded(own: OwnModel) -> type[Classifier]:
    found = _module(own).__dict__.get(own.class_name)
    if not isinstance(found, type):
        raise SettingError(
            f"{own.said} is not there: the file has no such class; write one, or mend models.toml."
        )
    if not issubclass(found, Classifier):
        raise SettingError(
            f"{own.said} is no model: its class must be one of foldsmith.models.base.Classifier. Write "
            f"class {own.class_name}(Classifier)."
        )
    _check_description(own, found)
    namespace = {"name": own.name, "own": own, "__doc__": found.__doc__, "__module__": found.__module__}
    return cast("type[Classifier]", type(own.class_name, (_Told, found), namespace))


def _module_name(own: OwnModel) -> str:
    return f"foldsmith_own_{own.record.sha256}"


def _module(own: OwnModel) -> types.ModuleType:
    """The file as a module. It stays in `sys.modules`, where dataclasses and type hints look for theirs."""
    name = _module_name(own)
    if name in sys.modules:
        return sys.modules[name]
    module = types.ModuleType(name)
    module.__file__ = own.file
    sys.modules[name] = module
    try:
        exec(compile(own.source, own.file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except (Exception, SystemExit) as error:  # the user's own code
        del sys.modules[name]
        raise SettingError(f"{own.said} cannot be run: {_where(error)}") from error
    return module


def _where(error: BaseException) -> str:
    """The kind of an error, the line of the user's file that it came from, and its first 200 letters."""
    lines = traceback.extract_tb(error.__traceback__)
    at = error.lineno if isinstance(error, SyntaxError) else lines[-1].lineno
    file = "" if isinstance(error, SyntaxError) else f" of {lines[-1].filename}"
    return f"{type(error).__name__} at line {at}{file}: {' '.join(str(error).split())[:200]}"


def _check_description(own: OwnModel, found: type[Classifier]) -> None:
    """SettingError unless the class says what it is as every model does."""
    lacking = sorted(found.__abstractmethods__)
    if lacking:
        raise SettingError(
            f"{own.said} lacks {', '.join(lacking)}; write them as foldsmith.models.base.Classifier says."
        )
    table = getattr(found, "parameters", None)
    if not isinstance(table, Mapping) or not all(isinstance(entry, Parameter) for entry in table.values()):
        raise SettingError(
            f"{own.said} has no table of hyperparameters; write parameters = {{}}, or "
            '{"name": Parameter(default, low, high)} from foldsmith.models.parameters.'
        )
    for key, entry in table.items():
        if not isinstance(key, str) or CLASS.fullmatch(key) is None or key in TAKEN:
            raise SettingError(f"{own.said}: {key!r:.40} is no name for a hyperparameter; give another.")
        _check_parameter(own, key, entry)
    if type(found.early_stopping) is not bool:
        raise SettingError(f"{own.said}: early_stopping is {found.early_stopping!r:.40}; give True or False.")
    if found.early_stopping and not (found.rounds in table and table[found.rounds].whole):
        raise SettingError(
            f"{own.said} stops early, and rounds names {found.rounds!r:.40}, which is no whole hyperparameter of it; "
            "name the one that a refit sets to the number of rounds kept."
        )
    if not isinstance(found.sees, tuple) or not all(isinstance(name, str) for name in found.sees):
        raise SettingError(
            f'{own.said}: sees is {found.sees!r:.60}; give a tuple of features, such as ("gap",).'
        )


def _check_parameter(own: OwnModel, key: str, entry: Parameter) -> None:
    low, high = entry.search or (entry.low, entry.high)
    values = (entry.low, low, entry.default, high, entry.high)
    numbers = all(type(value) in (int, float) and math.isfinite(value) for value in values)
    if not numbers or list(values) != sorted(values) or (entry.log and low <= 0):
        raise SettingError(
            f"{own.said}: hyperparameter {key} is {entry}; low, the searched range, the default inside it, and high "
            "must rise, be finite, and on a logarithmic scale lie above 0."
        )


@contextmanager
def _telling(own: OwnModel, doing: str) -> Iterator[None]:
    """Turn what the user's code raises into a DataError that names the line.

    Pools of threads that the code did not ask for have one thread: a worker process has fewer than a process alone, and
    sums of other threads have other bits.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    try:
        with threadpool_limits(1):
            yield
    except (FoldsmithError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"{own.said} failed to {doing}: {_where(error)}") from error


class _Told(Classifier):
    """Goes before a user's class: what it raises is told, and what it predicts is checked."""

    own: ClassVar[OwnModel]

    def __init__(self, *, seed: int, threads: int = 1, **params: Any) -> None:
        with _telling(self.own, "be made"):
            super().__init__(seed=seed, threads=threads, **params)

    def fit(
        self, X: Matrix, y: Labels, sample_weight: Weights, *, evaluation: Evaluation | None = None
    ) -> Self:
        with _telling(self.own, "fit"):
            return super().fit(X, y, sample_weight, evaluation=evaluation)

    def prepare(
        self, X: Matrix, y: Labels, sample_weight: Weights, evaluation: Evaluation | None = None
    ) -> Prepared:
        with _telling(self.own, "prepare rows"):
            return super().prepare(X, y, sample_weight, evaluation)

    def fit_prepared(self, prepared: Prepared) -> Self:
        with _telling(self.own, "fit"):
            super().fit_prepared(prepared)
        kept = self.best_iteration_
        if kept is not None and (type(kept) is not int or kept < 1):
            raise DataError(
                f"{self.own.said}: _train gives {kept!r:.40}; give the rounds that early stopping kept, 1 or more, "
                "or None."
            )
        return self

    def predict_proba(self, X: Matrix) -> Probabilities:
        with _telling(self.own, "predict"):
            P = self._checked(super().predict_proba(X), len(X))
        if len(P) and np.abs(P.sum(axis=1) - 1).max() > 1e-9:
            raise DataError(
                f"{self.own.said}: predict_proba gives rows that do not add up to 1; write _predict."
            )
        return P

    def _predict(self, X: Matrix) -> Probabilities:
        return self._checked(super()._predict(X), len(X))  # type: ignore[safe-super]

    def _checked(self, made: Any, n: int) -> Probabilities:
        P = np.asarray(made, dtype=np.float64)
        if P.shape != (n, len(CLASSES)):
            raise DataError(
                f"{self.own.said} predicts an array of shape {P.shape} for {n} rows; give one of {(n, len(CLASSES))}: "
                "short, neutral, long."
            )
        good = np.isfinite(P).all(axis=1) & (P >= 0).all(axis=1) & (P > 0).any(axis=1)
        if not good.all():
            row = int(np.argmin(good))
            raise DataError(
                f"{self.own.said} predicts {P[row].tolist()} for row {row}; give numbers that are finite, not "
                "negative, and not all 0."
            )
        return P

    def to_files(self) -> dict[str, bytes]:
        with _telling(self.own, "be saved"):
            found = super().to_files()
        if not all(isinstance(content, bytes) for content in found.values()):
            raise DataError(f"{self.own.said}: _dump gives files that are not bytes; give {{name: bytes}}.")
        if any("/" in name or "\\" in name or name.startswith(".") for name in found):
            raise DataError(
                f"{self.own.said}: _dump names a file outside its folder; give plain names: {', '.join(found)}."
            )
        return found

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, threads: int = 1) -> Self:
        with _telling(cls.own, "be loaded"):
            return super().from_files(files, threads=threads)
