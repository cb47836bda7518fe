"""`models.toml` of a workspace: models that the user wrote, one class and one line each.

    [models]
    my_ridge = "my_models.py:MyRidge"

A model's file is the user's own code. It is run only where the workspace's own `models.toml` names it and a command
asks for the model, or for a run that was made with it while the file is byte for byte what it then was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldsmith.ensembles.catalogue import ENSEMBLES
from foldsmith.errors import DataError, IntegrityError, MissingError, SettingError
from foldsmith.models.base import Classifier
from foldsmith.models.catalogue import EVERY, FAMILIES, MODELS
from foldsmith.models.own import CLASS, NAME, OwnModel, OwnRecord
from foldsmith.runs.files import read_small
from foldsmith.runs.store import Workspace
from foldsmith.stages.crossed import Own
from foldsmith.stages.features_file import inside
from foldsmith.stages.model_store import Predictor, StoredModel, revive
from foldsmith.toml import parse_toml

FILE = "models.toml"
LIMIT = 1 << 20
KEY = "own_models"
"""What parameters of a run call its models' records."""
BUILT_IN = (*MODELS, *FAMILIES, *ENSEMBLES, EVERY)


@dataclass(frozen=True)
class Line:
    """A file below the workspace, and a class in it."""

    file: str
    class_name: str


def read_models_file(workspace: Workspace) -> dict[str, Line]:
    """The models that the workspace's `models.toml` names, none where there is none; no model's code is run.

    Raises SettingError, naming the file and the entry, for what is none.
    """
    path = workspace.root / FILE
    if not path.exists():
        return {}
    try:
        text = read_small(path, LIMIT).decode()
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not UTF-8 text ({error}); save it as such.") from error
    found = parse_toml(text, str(path))
    strange = next((key for key in found if key != "models"), None)
    table = found.get("models", {})
    if strange is not None or not isinstance(table, dict):
        raise SettingError(
            f"{path} holds {strange or 'models'!r:.60}; one table [models] is all that it may."
        )
    return {name: _line(path, name, entry) for name, entry in table.items()}


def own_lines(workspace: Workspace, words: Sequence[str]) -> dict[str, Line]:
    """`read_models_file`, read only for words that are no models of the program's own."""
    return {} if all(word in BUILT_IN for word in words) else read_models_file(workspace)


def load_named(workspace: Workspace, names: Sequence[str]) -> dict[str, OwnModel]:
    """Those of these models that the user wrote, as `models.toml` and their files have them now.

    Raises SettingError for a file outside the workspace, and where `OwnModel.load` does; MissingError for one that is
    absent.
    """
    lines = own_lines(workspace, names)
    found = {name: _read(workspace, name, lines[name]) for name in names if name in lines}
    for own in found.values():
        own.load()
    return found


def load_as_recorded(workspace: Workspace, records: Mapping[str, OwnRecord]) -> dict[str, OwnModel]:
    """Models that a run was made with; refused unless the workspace has them as they then were.

    A run that came from elsewhere cannot have code run by naming it: `models.toml` must name the class as well.
    """
    found = {}
    for name, recorded in records.items():
        line = read_models_file(workspace).get(name)
        if line is None or line.class_name != recorded.class_name:
            raise MissingError(
                f"the run needs model {name}, class {recorded.class_name} of a file with SHA-256 "
                f"{recorded.sha256[:12]}, and {workspace.root / FILE} does not name it so. Add it there, if the "
                "code is yours."
            )
        own = _read(workspace, name, line)
        if own.record.sha256 != recorded.sha256:
            raise IntegrityError(
                f"the run was made with model {name} of {line.file} with SHA-256 {recorded.sha256[:12]}; the file "
                f"there has {own.record.sha256[:12]}. Restore it, or make the run again."
            )
        own.load()
        found[name] = own
    return found


def recorded(own: Own) -> dict[str, Any]:
    """What parameters of a run say of these models: nothing where there are none."""
    return {KEY: {name: model.record.as_dict() for name, model in own.items()}} if own else {}


def records_of(known: Mapping[str, Any]) -> dict[str, OwnRecord]:
    """The inverse of `recorded`, from the parameters of a run; DataError where they say something else."""
    found = known.get(KEY, {})
    if not isinstance(found, Mapping) or not all(NAME.fullmatch(str(name)) for name in found):
        raise DataError(f"{KEY} of the run are {found!r:.60}, and no models by name; make the run again.")
    return {str(name): OwnRecord.from_dict(record) for name, record in found.items()}


def revived(workspace: Workspace, model: StoredModel) -> Predictor:
    """A saved model ready to predict, its own models' code as the workspace has it: see `load_as_recorded`."""
    parts = list(model.bases.values()) or [model]
    return revive(model, classes_of(workspace, parts))


def classes_of(workspace: Workspace, parts: Iterable[StoredModel]) -> dict[str, type[Classifier]]:
    """Classes by name of those of these models that the user wrote, as the workspace has them: see `load_as_recorded`.

    IntegrityError where two models of one name are of different classes or files: one line cannot name both.
    """
    records: dict[str, OwnRecord] = {}
    for part in parts:
        if part.own is not None and records.setdefault(part.name, part.own) != part.own:
            raise IntegrityError(
                f"model {part.name} was written twice, with SHA-256 {records[part.name].sha256[:12]} and "
                f"{part.own.sha256[:12]}; make one of the two runs again, or under another name."
            )
    return classes(load_as_recorded(workspace, records))


def classes(own: Own) -> dict[str, type[Classifier]]:
    """Their classes by name."""
    return {name: model.load() for name, model in own.items()}


def check_named(
    workspace: Workspace, names: Sequence[str], say: Callable[[str], None]
) -> dict[str, OwnModel]:
    """`load_named`, each model tried on a small table before anything is fitted with it; DataError where it fails."""
    from foldsmith.models.conformance import check_model

    found = load_named(workspace, names)
    for own in found.values():
        check_model(own.load())
        say(f"model {own.name}: class {own.class_name} of {own.file}, SHA-256 {own.record.sha256[:12]}")
    return found


def _read(workspace: Workspace, name: str, line: Line) -> OwnModel:
    said = f"model {name}: file {line.file}"
    path = inside(workspace, line.file, said)
    if not path.is_file():
        raise MissingError(f"{said} is not in {workspace.root}; put it there, or mend {FILE}.")
    return OwnModel(name, line.file, line.class_name, read_small(path, LIMIT))


def _line(path: Path, name: str, entry: Any) -> Line:
    if NAME.fullmatch(name) is None:
        raise SettingError(
            f"{path}: model {name!r:.60} is no name; use up to 64 small letters, digits and _, a letter first."
        )
    if name in BUILT_IN:
        raise SettingError(
            f"{path}: model {name} has the name of one that comes with the program; give another."
        )
    file, separator, class_name = entry.rpartition(":") if isinstance(entry, str) else ("", "", "")
    if not separator or not file or "\0" in file or CLASS.fullmatch(class_name) is None:
        raise SettingError(
            f'{path}: model {name} is {entry!r:.60}; write {name} = "my_models.py:MyClass", a file below the '
            "workspace and a class in it."
        )
    return Line(file, class_name)
