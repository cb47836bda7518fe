"""What stands between a fold's classifier and its probabilities: class weights undone, then calibration.

Weighting a class by w multiplies the odds that a model learns for it by w. Dividing its probabilities by w, and each
row by its sum, gives them back as if no class had been weighted, and log losses and bets that can be believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import CLASSES, Dataset
from foldsmith.errors import DataError
from foldsmith.models.calibrators import CALIBRATORS, Calibrator, calibrator_class
from foldsmith.models.stored import fact, numbers, pack, unpack

FILE = "correction.json"
"""Beside the files of the model that it serves; there is none where nothing is corrected."""

Floats = npt.NDArray[np.float64]
Balance = tuple[float, float, float]


@dataclass(frozen=True)
class Correction:
    """Weights that the classes were fitted with, None for none, and a fitted calibrator, None for none."""

    balance: Balance | None = None
    calibrator: Calibrator | None = None

    def apply(self, P: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Probabilities (n, 3) corrected; P itself where there is nothing to correct."""
        if self.balance is not None:
            P = P / np.array(self.balance)
            P = P / P.sum(axis=1, keepdims=True)
        return P if self.calibrator is None else self.calibrator.apply(P)

    def to_files(self) -> dict[str, bytes]:
        """As named bytes, none where nothing is corrected; equal corrections give equal bytes."""
        if self.balance is None and self.calibrator is None:
            return {}
        facts: dict[str, Any] = {}
        if self.balance is not None:
            facts["balance"] = list(self.balance)
        if self.calibrator is not None:
            facts |= {"calibrator": self.calibrator.name, "learned": self.calibrator.as_facts()}
        return pack(FILE, facts, {})

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """What `to_files` saved among these files. DataError or IntegrityError for anything else."""
        if FILE not in files:
            return cls()
        facts, _ = unpack(FILE, files)
        balance, calibrator = None, None
        if "balance" in facts:
            found = numbers(facts, "balance", (len(CLASSES),))
            if not (found > 0).all():
                raise DataError(f"{FILE} holds class weights {found.tolist()}; train the model again.")
            balance = float(found[0]), float(found[1]), float(found[2])
        if "calibrator" in facts:
            name = fact(facts, "calibrator", str)
            if name not in CALIBRATORS:
                raise DataError(f"{FILE} names the calibrator {name!r:.40}; train the model again.")
            calibrator = calibrator_class(name).from_facts(fact(facts, "learned", dict))
        return cls(balance, calibrator)


def balanced(rows: Dataset) -> Balance:
    """Weights that give each class of these rows the same sum of sample weights: W / (3 W_c), 1 for an absent class."""
    total = float(rows.weight.sum())
    sums = [float(rows.weight[rows.y == label].sum()) for label in CLASSES]
    made = [total / (len(CLASSES) * one) if one > 0 else 1.0 for one in sums]
    return made[0], made[1], made[2]


def weigh_classes(rows: Dataset, balance: Balance | None) -> Dataset:
    """The rows with each weight multiplied by that of its class."""
    if balance is None:
        return rows
    return rows.with_weight(rows.weight * np.array(balance)[rows.y.astype(np.int64) + 1])
