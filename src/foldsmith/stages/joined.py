"""Several CV runs, or horizons of one, as the inputs of one ensemble."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from foldsmith.contracts import base_prediction_contract, oof_contract, probability_columns
from foldsmith.ensembles import names
from foldsmith.errors import DataError, SettingError
from foldsmith.intervals import span_after
from foldsmith.models.base import Classifier
from foldsmith.runs.store import Run
from foldsmith.stages.ensemble_inputs import EnsembleInputs, Source
from foldsmith.stages.ensemble_options import EnsembleOptions
from foldsmith.stages.horizon import load_horizons
from foldsmith.stages.join import SPAN, OofTable, before, events, instants, join_out_of_fold, spans, widest
from foldsmith.stages.joined_model import Join, Part, on_datasets
from foldsmith.stages.model_store import StoredModel, revive_bases
from foldsmith.validation.cross_validate import Separation


@dataclass(frozen=True)
class Named:
    """A source, and what its base models are called in the ensemble: {model: name}."""

    source: Source
    names: dict[str, str]


def check_horizons(horizon: int, options: EnsembleOptions) -> tuple[int, ...]:
    """The horizon of the ensemble and those that are joined; SettingError for one that is named twice."""
    every = (horizon, *options.with_horizons)
    twice = [each for number, each in enumerate(every) if each in every[:number]]
    if twice:
        raise SettingError(
            f"--with-horizons names {twice[0]} twice, or it is --horizon itself; name other horizons, each once."
        )
    return every


def sources_named(sources: Sequence[Source]) -> list[Named]:
    """Names for the base models of every source: their own where they are free (see `ensembles.names`)."""
    first = sources[0]
    found = []
    taken: tuple[str, ...] = ()
    for source in sources:
        models = source.inputs.models
        if source.place == first.place and source is not first:
            called = {model: names.of_horizon(model, source.inputs.horizon) for model in models}
        else:
            called = {model: names.of_run(model, source.place, taken) for model in models}
        taken += tuple(called.values())
        found.append(Named(source, called))
    return found


def joined_inputs(
    named: Sequence[Named], options: EnsembleOptions, own: Mapping[str, type[Classifier]]
) -> EnsembleInputs:
    """Join the sources on decision time: rows, labels, weights and folds' number are the first's.

    own : classes of base models that the user wrote, by name.

    DataError for another symbol, and where fewer rows than `min_coverage` have predictions of all.
    """
    first = named[0].source
    _check_symbols(named)
    inputs = first.inputs
    apart = widest([each.source.inputs.separation for each in named])
    tables = [
        OofTable(
            _renamed(each.source.inputs.oof, each.names),
            each.source.inputs.settings.n_splits,
            each.source.inputs.separation,
        )
        for each in named
    ]
    joined = join_out_of_fold(tables, apart, options.max_age)
    bases = {each.names[model]: base for each in named for model, base in each.source.inputs.bases.items()}
    parts = _parts(named, apart)
    join = Join(tuple(part for part, _ in parts), options.max_age)
    validation = _validation(first, join, [dataset for _, dataset in parts], bases, own)
    if not joined.frame.height or not validation.height:
        raise DataError(
            f"no {'training' if validation.height else 'validation'} row has a prediction of every run; are they of "
            "the same bars and cuts? For bars of other lengths give --join backward --max-age-minutes 60."
        )
    oof = before(joined.frame, spans(validation), apart)
    models = tuple(bases)
    coverage = {
        "rows": _share(inputs.oof, oof),
        "validation_rows": _share(inputs.validation, validation),
        "joined": [
            {"models": list(each.names.values()), **count}
            for each, count in zip(named[1:], joined.counts, strict=True)
        ],
        "purged_before_validation": joined.frame.height - oof.height,
    }
    _check_coverage(coverage, options.min_coverage)
    return replace(
        inputs,
        models=models,
        oof=oof_contract(models).check(oof),
        validation=base_prediction_contract(models).check(validation),
        bases=bases,
        separation=apart,
        join=join,
        coverage=coverage,
    )


def coverage_lines(coverage: Mapping[str, Any]) -> Iterator[str]:
    """What was joined, in words."""
    for what, key in (("out-of-fold", "rows"), ("validation", "validation_rows")):
        found = coverage[key]
        yield f"joined {found['joined']:,} of {found['of']:,} {what} rows ({found['share']:.1%})"
    for each in coverage["joined"]:
        yield (
            f"  {', '.join(each['models'])}: {each['missing']:,} rows without a prediction, {each['purged']:,} purged "
            "(its models were fitted on labels inside theirs)"
        )


def _check_symbols(named: Sequence[Named]) -> None:
    symbols = list(dict.fromkeys(each.source.recipe.symbol for each in named))
    if len(symbols) > 1:
        raise SettingError(
            f"--stacking-data names runs of {' and '.join(symbols)}; the runs of an ensemble are of one symbol."
        )


def _check_coverage(coverage: Mapping[str, Any], least: float) -> None:
    for what, key in (("training", "rows"), ("validation", "validation_rows")):
        found = coverage[key]
        if found["share"] < least:
            raise DataError(
                f"{found['joined']:,} of {found['of']:,} {what} rows ({found['share']:.1%}) have predictions of every "
                f"run, and --min-coverage asks for {least:.0%}. Make the runs from the same bars and cuts, give an "
                "older --max-age-minutes with --join backward, or lower --min-coverage."
            )


def _share(whole: pl.DataFrame, part: pl.DataFrame) -> dict[str, Any]:
    return {"joined": part.height, "of": whole.height, "share": part.height / whole.height}


def _renamed(frame: pl.DataFrame, called: Mapping[str, str]) -> pl.DataFrame:
    return frame.rename(
        {
            column: new
            for model, name in called.items()
            for column, new in zip(probability_columns(model), probability_columns(name), strict=True)
        }
    )


def _parts(named: Sequence[Named], apart: Separation) -> list[tuple[Part, Run]]:
    """Sources by dataset, in order: one that several are of is read once."""
    found: dict[str, list[Named]] = {}
    for each in named:
        found.setdefault(each.source.dataset.manifest.content, []).append(each)
    parts = []
    for of_one in found.values():
        last = max(int(events(each.source.inputs.oof).t1.max()) for each in of_one)
        called = tuple(name for each in of_one for name in each.names.values())
        until = span_after(last, apart.purge, apart.bars, "purge")
        parts.append((Part(called, of_one[0].source.recipe, until), of_one[0].source.dataset))
    return parts


def _validation(
    first: Source,
    join: Join,
    datasets: Sequence[Run],
    bases: Mapping[str, StoredModel],
    own: Mapping[str, type[Classifier]],
) -> pl.DataFrame:
    """The first's validation rows that every base model can predict and none was fitted up to.

    Predicted anew, as an evaluation does: stored predictions of other runs stand at rows that have a label of theirs.
    """
    horizon, frame = first.inputs.horizon, first.inputs.validation
    table = load_horizons(first.dataset, (horizon,), first.inputs.settings)[horizon]
    held = table.data.take(table.segments.validation)
    if not np.array_equal(held.t0, events(frame).t0):
        raise DataError(
            "the validation rows of the first CV run are not those of its dataset; make it again."
        )
    found = on_datasets(join, revive_bases(bases, own), datasets, held)
    columns = [
        pl.Series(column, found.P[:, 3 * number + side])
        for number, name in enumerate(bases)
        for side, column in enumerate(probability_columns(name))
    ]
    begin, end = SPAN
    kept = frame.select("datetime", "label_end", "y_true", "sample_weight").with_columns(
        *columns, instants(begin, found.begin), instants(end, held.t1)
    )
    return kept.filter(pl.Series(found.there))
