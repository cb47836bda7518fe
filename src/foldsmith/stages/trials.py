"""Everything tried is entered in the ledger as it is tried, and kept for the run that goes on after a kill.

First the ledger, where a repeat counts once, then the run's own file: a kill between the two makes the trial again,
and nothing tried is ever left uncounted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from foldsmith.features.sets import shortest
from foldsmith.models.own import OwnModel, OwnRecord
from foldsmith.runs.ledger import PATH, TRIAL, Ledger
from foldsmith.validation.tune import Trial


@dataclass(frozen=True)
class TrialRecorder:
    """Enters what a run tries on a dataset (its fingerprint); travels to worker processes.

    features : what the tried model sees, where that is not all of the dataset: a choice, and entered with each trial,
    as is `own`, the hash of its file where the user wrote the model: another text of one name is another thing tried.
    """

    ledger: Ledger
    run_id: str
    fingerprint: str
    features: tuple[str, ...] | None = None
    own: OwnRecord | None = None
    kind: str = TRIAL

    def of_paths(self) -> TrialRecorder:
        """One for fits of combinatorial paths, which K does not count: see `Ledger.record_trials`."""
        return replace(self, kind=PATH)

    def of(self, own: OwnModel | None) -> TrialRecorder:
        """One for a model that the user wrote, None for any other."""
        return replace(self, own=None if own is None else own.record)

    def seeing(self, features: Sequence[str] | None) -> TrialRecorder:
        """One for a model that sees these features, None for all."""
        return replace(self, features=None if features is None else shortest(features))

    def record(self, model: str, horizon: int, fold: int | str, trials: Sequence[Trial]) -> None:
        """Enter trials of one fold, all or none."""
        about = {"run_id": self.run_id, "fingerprint": self.fingerprint, "model": model}
        seen: dict[str, Any] = {} if self.features is None else {"features": list(self.features)}
        if self.own is not None:
            seen["own_model"] = self.own.as_dict()
        self.ledger.record_trials(
            [
                {
                    **about,
                    "horizon": horizon,
                    "fold": fold,
                    **asdict(trial),
                    "params": {**trial.params, **seen},
                }
                for trial in trials
            ],
            self.kind,
        )


@dataclass(frozen=True)
class StudyLog:
    """The trials of one study, in order, in a file that only grows: a line each, with its hash before it."""

    path: Path
    recorder: TrialRecorder
    model: str
    horizon: int
    fold: int | str

    def add(self, trial: Trial) -> None:
        """Enter a trial in the ledger and keep it; after this returns it survives a kill."""
        self.recorder.record(self.model, self.horizon, self.fold, [trial])
        text = json.dumps(asdict(trial), sort_keys=True, allow_nan=False)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            # A line cut short by a kill is ended first, so that it spoils no other.
            os.write(handle, f"\n{_digest(text)} {text}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def read(self) -> tuple[Trial, ...]:
        """Trials 0, 1, 2 ... as far as they are there and whole; empty where none was kept."""
        if not self.path.exists():
            return ()
        kept: list[Trial] = []
        for trial in self._whole():
            # A worker that outlived its parent for a moment may have made a trial that its successor made too.
            if trial.number == len(kept):
                kept.append(trial)
        return tuple(kept)

    def _whole(self) -> Iterator[Trial]:
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            digest, _, text = line.partition(" ")
            if digest and digest == _digest(text):
                yield Trial(**json.loads(text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
