"""Phase 3: cross-validate, and publish what ensembles are trained from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from foldsmith.config import CrossValidateSettings, ValidationSettings, parameters
from foldsmith.contracts import base_prediction_contract, oof_contract
from foldsmith.errors import DataError, SettingError
from foldsmith.models.own import OwnRecord
from foldsmith.runs.store import Run, ensure_folder, write_json
from foldsmith.stages import publish
from foldsmith.stages.crossed import NO_OWN, CrossValidated, Own
from foldsmith.stages.executors import Executor
from foldsmith.stages.horizon import HorizonTable, load_horizons
from foldsmith.stages.model_store import RECIPE, write_model
from foldsmith.stages.models_file import recorded, records_of
from foldsmith.stages.out_of_fold import run_folds
from foldsmith.stages.path_data import BASE as PATHS
from foldsmith.stages.path_data import StoredPaths, write_paths
from foldsmith.stages.path_profits import path_figures
from foldsmith.stages.paths import plan_paths, run_paths
from foldsmith.stages.publish import Building, Provenance, publishing, run_parent
from foldsmith.stages.stacking_data import STACKING, VALIDATION
from foldsmith.stages.tables import write_table
from foldsmith.stages.units import UnitStore
from foldsmith.stages.window import checked_window, window_lines

Say = Callable[[str], None]


def cross_validate(
    dataset: Run,
    settings: CrossValidateSettings,
    provenance: Provenance,
    say: Say,
    *,
    folder: Path,
    name: str | None = None,
    resume: str | None = None,
    executor: Executor,
    own: Own = NO_OWN,
) -> Run:
    """Make (or resume) and publish one CV run in `folder`; `own` are those of its models that the user wrote."""
    window = checked_window(dataset, settings.models, settings.validation, settings.features)
    tables = load_horizons(dataset, settings.horizons, settings.validation, window=window)
    groups = settings.path_groups
    plans = {} if groups is None else plan_paths(tables, groups)
    for line in window_lines(tables.values()):
        say(line)
    known = {**parameters(settings), **recorded(own)}
    with publishing(folder, "cv", provenance, name=name, resume=resume, resumable=True) as run:
        run.keep_settings({**known, "dataset": dataset.id, "content": dataset.manifest.content})
        store, recorder = UnitStore(run.path), run.recorder(dataset.manifest.content)
        found = run_folds(
            tables,
            settings.models,
            settings.validation,
            store,
            executor=executor,
            say=say,
            recorder=recorder,
            features=settings.features,
            own=own,
        )
        made = run_paths(
            tables, plans, settings, store, executor=executor, say=say, recorder=recorder, own=own
        )
        for h, crossed in found.items():
            _write_horizon(run, crossed, tables[h], dataset, settings)
            if groups is not None:
                paths = {name: StoredPaths(groups, crossed.oof, P) for name, P in made[h].items()}
                _write_paths(run, paths, crossed, dataset, settings)
                figures = path_figures(paths, dataset, tables[h])
                crossed.results["paths"] = {**figures, "certificates": plans[h].certificates}
        write_json(
            run.path / "cv_results.json",
            {
                "models": list(settings.models),
                "horizons": {str(h): crossed.results for h, crossed in found.items()},
                "settings": known,
            },
        )
        return run.publish(
            parameters=known,
            parents=[run_parent(dataset)],
            seed=settings.validation.seed,
            extra={
                "symbol": tables[settings.horizons[0]].recipe.symbol,
                "models": list(settings.models),
                "horizons": list(settings.horizons),
            },
        )


def kept_settings(folder: Path, run_id: str) -> tuple[str, str, CrossValidateSettings, dict[str, OwnRecord]]:
    """Dataset id, its content, settings, and records of the user's own models of an unfinished CV run, as they were
    kept for `--resume`."""
    kept = publish.kept_settings(folder, run_id)
    try:
        validation = ValidationSettings(**kept["validation"])
        settings = CrossValidateSettings(
            tuple(kept["models"]),
            tuple(kept["horizons"]),
            validation,
            features_by_model(kept),
            kept.get("paths"),
        )
        return str(kept["dataset"]), str(kept["content"]), settings, records_of(kept)
    except (KeyError, TypeError, AttributeError, SettingError) as error:
        raise DataError(
            f"what run {run_id} was begun with cannot be read ({error}); start a new run."
        ) from error


def features_by_model(known: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Which features models see, from the settings of a run; SettingError where these are no names by model."""
    found = known.get("features", {})
    named = isinstance(found, Mapping) and all(
        isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
        for names in found.values()
    )
    if not named:
        raise SettingError(
            f"the features in the settings of the run are {found!r:.60}, and no names by model; were they edited? "
            "Start a new run."
        )
    return {str(model): tuple(names) for model, names in found.items()}


def oof_metadata(dataset: Run, crossed: CrossValidated, settings: CrossValidateSettings) -> dict[str, Any]:
    """What travels in the stacking dataset's own file: what it is made of, by content, never by name or time."""
    return {
        "dataset": dataset.manifest.content,
        "symbol": str(dataset.manifest.extra.get("symbol", "")),
        "horizon": crossed.horizon,
        "models": list(crossed.models),
        "rows": crossed.oof.height,
        "classes": [-1, 0, 1],
        "validation": parameters(settings.validation),
        "embargo_bars": crossed.results["embargo_bars"],
    }


def _write_paths(
    run: Building,
    paths: Mapping[str, StoredPaths],
    crossed: CrossValidated,
    dataset: Run,
    settings: CrossValidateSettings,
) -> None:
    about = oof_metadata(dataset, crossed, settings)
    del about["models"]
    for model, each in paths.items():
        write_paths(each, run.path / PATHS.format(model, crossed.horizon), {**about, "model": model})


def _write_horizon(
    run: Building, crossed: CrossValidated, table: HorizonTable, dataset: Run, settings: CrossValidateSettings
) -> None:
    h = crossed.horizon
    metadata = oof_metadata(dataset, crossed, settings)
    write_table(crossed.oof, run.path / STACKING.format(h), oof_contract(crossed.models), metadata)
    write_table(
        crossed.validation,
        run.path / VALIDATION.format(h),
        base_prediction_contract(crossed.models),
        metadata,
    )
    for model, stored in crossed.bases.items():
        folder = run.path / "models" / f"{model}_h{h}"
        write_model(folder, stored)
        table.recipe.write(folder / RECIPE)
    for model, tuned in crossed.tuned.items():
        ensure_folder(run.path / "tuned_params")
        write_json(run.path / "tuned_params" / f"{model}_h{h}.json", tuned)
