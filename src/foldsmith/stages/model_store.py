"""Models on disk: a folder with `model.json` that says what it is, and files in formats that cannot run code.

model/ model.json  recipe.json  FILES               one base model
model/ model.json  recipe.json  member/{k}/         a bag of the models of the folds
model/ model.json  recipe.json  FILES  base/{name}/ an ensemble, whole: its base models are saved with it
model/ ...  join.json  recipe_{k}.json              one that joins several datasets: see `stages.joined_model`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.dataset import BarInputs, columns
from foldsmith.ensembles.catalogue import ENSEMBLES
from foldsmith.ensembles.names import model_of
from foldsmith.errors import DataError, MissingError
from foldsmith.models.base import Classifier
from foldsmith.models.catalogue import MODELS
from foldsmith.models.own import NAME, OwnRecord
from foldsmith.models.windows import seen_by
from foldsmith.runs.store import Run, read_json, write_json
from foldsmith.validation.cross_validate import Probabilities
from foldsmith.validation.fold_features import FoldModel
from foldsmith.validation.meta_level import MetaModel

DESCRIPTION = "model.json"
RECIPE = "recipe.json"
MOST_MEMBERS = 1000
"""Models of a bag; a description that claims more is damaged."""


@dataclass(frozen=True)
class StoredModel:
    """A fitted model as bytes: its catalogue name, parameters, files, and base models if it is an ensemble.

    members : of a bag, models of the same name whose probabilities are averaged; it has no files of its own.

    features : those it sees, in the order of its columns; None for all that the recipe names, in that order. Those that
    were fitted with it are among `files`, as `validation.fold_features` saves them.
    own : of a model that the user wrote, which class of which file it is; the code itself is not saved.
    """

    name: str
    params: dict[str, Any]
    files: dict[str, bytes]
    bases: dict[str, StoredModel] = field(default_factory=dict)
    features: tuple[str, ...] | None = None
    members: tuple[StoredModel, ...] = ()
    own: OwnRecord | None = None


@dataclass(frozen=True)
class Predictor:
    """A model ready to predict: one base model, or several and the ensemble over them.

    bases : the fitted models of each base model, whose probabilities are averaged; one unless it is a bag. features :
    what each base model sees, by its name; one that is not there sees all that the recipe names.
    """

    name: str
    bases: dict[str, tuple[FoldModel, ...]]
    ensemble: MetaModel | None
    features: dict[str, tuple[str, ...]]

    def part(self, names: Sequence[str]) -> Predictor:
        """These base models alone, without what joins them; DataError for one that is not there."""
        missing = [name for name in names if name not in self.bases]
        if missing:
            raise DataError(f"the saved ensemble has no base model {missing[0]!r:.60}; train it again.")
        return Predictor(self.name, {name: self.bases[name] for name in names}, None, self.features)

    @property
    def fitted(self) -> tuple[str, ...]:
        """The features that were fitted with a base model."""
        models = [model for members in self.bases.values() for model in members]
        return tuple(dict.fromkeys(name for model in models for name in model.features.names))

    @property
    def window(self) -> int:
        """Bars of the longest window that a base model reads; 0 where all read single bars."""
        every = (model for members in self.bases.values() for model in members)
        return max((model.classifier.window for model in every), default=0)

    def needed(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of the recipe's features that a base model sees."""
        seen = {name for base in self.bases for name in self.features.get(base, names)}
        return tuple(name for name in names if name in seen)

    def base_probabilities(
        self,
        X: npt.NDArray[np.float32],
        names: Sequence[str],
        inputs: BarInputs | None = None,
        history: BarInputs | None = None,
    ) -> Probabilities:
        """float32 (n, 3 m): probabilities of each base model side by side, in the order they were trained.

        X : float32 (n, p), its columns named `names`; inputs : of every bar, and the bar of each row, for features that
        were fitted; history : the same of the features, for base models that read windows. Each base model is given the
        columns that it was fitted on.
        """
        found = []
        for base, members in self.bases.items():
            seen, stored = X, list(names)
            if base in self.features:
                fitted = members[0].features.names
                stored = [name for name in self.features[base] if name not in fitted]
                seen = columns(X, names, stored)
            rows = seen_by(members[0].classifier.window, seen, stored, history)
            found.append(mean_of([model.predict_proba(rows, inputs) for model in members]))
        return np.hstack(found)

    def combine(self, P: Probabilities) -> Probabilities:
        """float32 (n, 3) from base probabilities."""
        return P if self.ensemble is None else np.asarray(self.ensemble.predict_proba(P), dtype=np.float32)

    def predict_proba(
        self,
        X: npt.NDArray[np.float32],
        names: Sequence[str],
        inputs: BarInputs | None = None,
        history: BarInputs | None = None,
    ) -> Probabilities:
        """float32 (n, 3), class order -1, 0, 1; arguments as `base_probabilities` takes them."""
        return self.combine(self.base_probabilities(X, names, inputs, history))


def mean_of(parts: Sequence[Probabilities]) -> Probabilities:
    """The mean of probabilities (n, 3), added in order in float64: float32; of one, itself."""
    if len(parts) == 1:
        return parts[0]
    total = np.zeros(parts[0].shape)
    for part in parts:
        total += part
    return np.asarray(total / len(parts), dtype=np.float32)


def loadable_files(fitted: FoldModel | MetaModel) -> dict[str, bytes]:
    """A fitted model as bytes, loaded once: what cannot be loaded again never becomes part of a run."""
    files = fitted.to_files()
    if isinstance(fitted, FoldModel):
        FoldModel.from_files(type(fitted.classifier), files)
    else:
        MetaModel.from_files(fitted.ensemble.name, files)
    return files


def write_model(folder: Path, model: StoredModel) -> None:
    """Write a model and, for an ensemble, every base model below it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in model.files.items():
        (folder / name).write_bytes(content)
    write_json(
        folder / DESCRIPTION,
        {
            "name": model.name,
            "params": model.params,
            "files": sorted(model.files),
            "bases": list(model.bases),
            **({} if model.features is None else {"features": list(model.features)}),
            **({"members": len(model.members)} if model.members else {}),
            **({} if model.own is None else {"own": model.own.as_dict()}),
        },
    )
    for number, member in enumerate(model.members):
        write_model(folder / "member" / str(number), member)
    for name, base in model.bases.items():
        write_model(folder / "base" / name, base)


def read_model(run: Run, folder: str) -> StoredModel:
    """Read a model of a run, every file's hash checked first; DataError for what is no model."""
    path = run.path / folder
    if not (path / DESCRIPTION).is_file():
        raise MissingError(f"{path} holds no model ({DESCRIPTION} is not there).")
    run.verify([f"{folder}/{DESCRIPTION}"])
    described = read_json(path / DESCRIPTION)
    try:
        name, params = str(described["name"]), dict(described["params"])
        files, bases = list(map(str, described["files"])), list(map(str, described["bases"]))
        features = tuple(map(str, described["features"])) if "features" in described else None
        members = int(described.get("members", 0))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path / DESCRIPTION} does not describe a model ({error}); train it again."
        ) from error
    if features is not None and (not features or len(set(features)) != len(features)):
        raise DataError(f"{path / DESCRIPTION} names no features, or one twice; train the model again.")
    own = OwnRecord.from_dict(described["own"]) if "own" in described else None
    known = [*MODELS, *ENSEMBLES]
    for entry in (name, *map(model_of, bases)):
        # A base model that the user wrote says so in its own description.
        mine = NAME.fullmatch(entry) is not None and (own is not None or entry != name)
        if entry not in known and not mine:
            raise DataError(f"{path / DESCRIPTION} names {entry!r}; known models are {', '.join(known)}.")
    if any("/" in file or "\\" in file or file.startswith(".") for file in files):
        raise DataError(f"{path / DESCRIPTION} names a file outside its folder; train the model again.")
    if not 0 <= members <= MOST_MEMBERS or (members and (files or bases)):
        raise DataError(f"{path / DESCRIPTION} describes no bag of models; train the model again.")
    run.verify([f"{folder}/{file}" for file in files])
    found = StoredModel(
        name,
        params,
        {file: (path / file).read_bytes() for file in files},
        {base: read_model(run, f"{folder}/base/{base}") for base in bases},
        features,
        tuple(read_model(run, f"{folder}/member/{number}") for number in range(members)),
        own,
    )
    if any((model_of(base), base in ENSEMBLES) != (made.name, False) for base, made in found.bases.items()):
        raise DataError(f"{path / DESCRIPTION} names other base models than it holds; train the model again.")
    if any((made.name, made.features, made.own) != (name, features, own) for made in found.members):
        raise DataError(f"{path / DESCRIPTION} describes a bag of different models; train the model again.")
    return found


def revive(model: StoredModel, own: Mapping[str, type[Classifier]] = MappingProxyType({})) -> Predictor:
    """Turn stored bytes into a model that predicts.

    own : classes of models that the user wrote, by name; MissingError for one that is needed and not there. Commands
    take them from the workspace alone: `stages.models_file.revived`.
    """
    ensemble = MetaModel.from_files(model.name, model.files) if model.bases else None
    return replace(revive_bases(model.bases or {model.name: model}, own), name=model.name, ensemble=ensemble)


def revive_bases(
    models: Mapping[str, StoredModel], own: Mapping[str, type[Classifier]] = MappingProxyType({})
) -> Predictor:
    """Turn base models by name into ones that predict, with nothing that joins them; `own` as for `revive`."""
    for base in models.values():
        if base.own is not None and base.name not in own:
            raise MissingError(
                f"model {base.name} is of the user's own making, and its class is not at hand."
            )
    bases = {
        name: tuple(
            FoldModel.from_files(base.name if base.own is None else own[base.name], each.files)
            for each in base.members or (base,)
        )
        for name, base in models.items()
    }
    features = {name: base.features for name, base in models.items() if base.features is not None}
    return Predictor("", bases, None, features)
