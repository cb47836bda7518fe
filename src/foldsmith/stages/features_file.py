"""`features.toml` of a workspace: sets of features by name, and features that the user wrote.

    [sets]
    mine = ["return_1", "volatility"]

    [features.my_feature]
    file = "my_features.py"
    function = "my_feature"
    warmup = 20
    equation = "mean_20(c) / c - 1"

A feature's file is the user's own code. It is run only where the workspace's own `features.toml` names it and a command
asks for the feature, or for a model that was made with it while the file is byte for byte what it then was.
"""

from __future__ import annotations

import hashlib
import re
import traceback
import types
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from foldsmith.errors import IntegrityError, MissingError, SettingError
from foldsmith.features.catalogue import FEATURES
from foldsmith.features.fitted import FITTED
from foldsmith.features.own import Loaded, OwnFeature
from foldsmith.features.sets import resolve, set_names
from foldsmith.runs.files import read_small
from foldsmith.runs.store import Workspace
from foldsmith.toml import parse_toml

FILE = "features.toml"
LIMIT = 1 << 20
KEYS = ("file", "function", "warmup", "equation")
LONGEST_WARMUP = 100_000


@dataclass(frozen=True)
class FeaturesFile:
    """Sets and features by name, in the order of the file."""

    sets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    features: dict[str, OwnFeature] = field(default_factory=dict)

    def resolve(self, words: Sequence[str]) -> tuple[str, ...]:
        """The features that names stand for; see `features.sets.resolve`."""
        return resolve(words, own_sets=self.sets, own_features=tuple(self.features))


def read_features_file(workspace: Workspace) -> FeaturesFile:
    """What the workspace's `features.toml` says, nothing where there is none; no feature's code is run.

    Raises SettingError, naming the file and the entry, for what is none.
    """
    path = workspace.root / FILE
    if not path.exists():
        return FeaturesFile()
    try:
        text = read_small(path, LIMIT).decode()
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not UTF-8 text ({error}); save it as such.") from error
    found = parse_toml(text, str(path))
    strange = next((key for key in found if key not in ("sets", "features")), None)
    if strange is not None:
        raise SettingError(
            f"{path} has an unknown table {strange!r:.60}; there are [sets] and [features.NAME]."
        )
    features = {name: _feature(path, name, entry) for name, entry in _table(path, found, "features").items()}
    sets = {name: _set(path, name, words) for name, words in _table(path, found, "sets").items()}
    made = FeaturesFile(sets, features)
    for name, words in sets.items():
        try:
            resolve(words, own_features=tuple(features))
        except SettingError as error:
            raise SettingError(f"{path}: set {name}: {error}") from error
    both = next((name for name in sets if name in features), None)
    if both is not None:
        raise SettingError(f"{path}: {both} is a set and a feature; give one another name.")
    return made


def chosen(workspace: Workspace, words: Sequence[str]) -> tuple[str, ...]:
    """The features that names stand for in a workspace; its file is read only for names that are its own."""
    own = any(word not in (*FEATURES, *FITTED, *set_names()) for word in words)
    return (read_features_file(workspace) if own else FeaturesFile()).resolve(words)


def load(workspace: Workspace, feature: OwnFeature) -> Loaded:
    """Run the file of a feature and find its function; the file's hash becomes part of the feature.

    Raises SettingError for a file outside the workspace or without that function, MissingError for one that is absent.
    """
    where = f"feature {feature.name}: file {feature.file}"
    path = inside(workspace, feature.file, where)
    if not path.is_file():
        raise MissingError(f"{where} is not in {workspace.root}; put it there, or mend {FILE}.")
    content = read_small(path, LIMIT)
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        # What is hashed is what is run: the file is read once.
        exec(compile(content, str(path), "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except Exception as error:  # the user's own code
        line = traceback.extract_tb(error.__traceback__)[-1]
        at = error.lineno if isinstance(error, SyntaxError) else line.lineno
        raise SettingError(
            f"{where} cannot be run: {type(error).__name__} at line {at}: {' '.join(str(error).split())[:200]}"
        ) from error
    function = module.__dict__.get(feature.function)
    if not callable(function):
        raise SettingError(f"{where} has no function {feature.function!r}; write one, or mend {FILE}.")
    return Loaded(replace(feature, digest=hashlib.sha256(content).hexdigest()), function)


def load_named(workspace: Workspace, names: Sequence[str]) -> tuple[Loaded, ...]:
    """Those of these features that the user wrote, loaded."""
    if all(name in FEATURES or name in FITTED for name in names):
        return ()
    known = read_features_file(workspace).features
    return tuple(load(workspace, feature) for name, feature in known.items() if name in names)


def load_as_recorded(workspace: Workspace, features: Sequence[OwnFeature]) -> tuple[Loaded, ...]:
    """Features that a model was made with, loaded; refused unless the workspace has them as they then were.

    A run that came from elsewhere cannot have code run by naming it: `features.toml` must name the feature as well.
    """
    found = []
    for recorded in features:
        named = read_features_file(workspace).features.get(recorded.name)
        if named is None or (named.file, named.function) != (recorded.file, recorded.function):
            raise MissingError(
                f"the model needs feature {recorded.name}, function {recorded.function} of {recorded.file}, and "
                f"{workspace.root / FILE} does not name it so. Add it there, if the code is yours."
            )
        path = inside(workspace, recorded.file, f"feature {recorded.name}: file {recorded.file}")
        if not path.is_file():
            raise MissingError(
                f"the model needs feature {recorded.name} of {path}, which is absent; put back the file with SHA-256 "
                f"{recorded.digest[:12]}."
            )
        content = hashlib.sha256(read_small(path, LIMIT)).hexdigest()
        if content != recorded.digest:
            raise IntegrityError(
                f"the model was made with feature {recorded.name} of {path} with SHA-256 {recorded.digest[:12]}; the "
                f"file there has {content[:12]}. Restore it, or make dataset and model again."
            )
        loaded = load(workspace, recorded)
        if loaded.feature.digest != recorded.digest:
            raise IntegrityError(f"{path} was changed while it was read; run again.")
        found.append(loaded)
    return tuple(found)


def inside(workspace: Workspace, file: str, said: str) -> Path:
    """Where a user's file lies, links followed; SettingError for a place outside the workspace."""
    root = workspace.root.resolve()
    path = (root / file).resolve()
    if Path(file).is_absolute() or not path.is_relative_to(root):
        raise SettingError(
            f"{said} lies outside the workspace {root}; copy it there, and name it from there."
        )
    return path


def _table(path: Path, found: dict[str, Any], name: str) -> dict[str, Any]:
    table = found.get(name, {})
    if not isinstance(table, dict):
        raise SettingError(f"{path}: {name} is no table; write [sets], or [features.NAME] for each feature.")
    return table


def _free(path: Path, name: str, what: str) -> None:
    if re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name.replace("-", "_") if what == "set" else name) is None:
        raise SettingError(
            f"{path}: {what} {name!r:.60} is no name; use up to 64 small letters, digits and _ (of a set, - too), a "
            "letter first."
        )
    if name in (*FEATURES, *FITTED, *set_names()) or name in ("datetime", "sets"):
        raise SettingError(
            f"{path}: {what} {name} has the name of one that comes with the program; give another."
        )


def _set(path: Path, name: str, words: Any) -> tuple[str, ...]:
    _free(path, name, "set")
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise SettingError(
            f'{path}: set {name} is no list of names; write {name} = ["return_1", "volatility"].'
        )
    return tuple(words)


def _feature(path: Path, name: str, entry: Any) -> OwnFeature:
    _free(path, name, "feature")
    keys = ", ".join(KEYS)
    if not isinstance(entry, dict) or set(entry) != set(KEYS):
        raise SettingError(f"{path}: feature {name} needs {keys}, and nothing else.")
    texts = {key: entry[key] for key in ("file", "function", "equation")}
    if not all(isinstance(text, str) and text for text in texts.values()):
        raise SettingError(
            f"{path}: file, function and equation of feature {name} are texts that are not empty."
        )
    warmup = entry["warmup"]
    if type(warmup) is not int or not 1 <= warmup <= LONGEST_WARMUP:
        raise SettingError(
            f"{path}: warmup of feature {name} is {warmup!r:.40}; give bars, from 1 to {LONGEST_WARMUP:,}."
        )
    return OwnFeature(name, texts["file"], texts["function"], warmup, texts["equation"])
