"""Phase 1 again in memory, by its own functions, from the raw bars that a dataset was made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from foldsmith.audit.causality import (
    GROUP,
    SPOILERS,
    Known,
    cut_instants,
    prove_chain,
)
from foldsmith.audit.proof import Proof, attempted, judged
from foldsmith.config import PrepareSettings
from foldsmith.contracts import BARS, LABELS
from foldsmith.errors import IntegrityError
from foldsmith.features.own import Loaded
from foldsmith.intervals import as_instants
from foldsmith.market.readers import read_bars
from foldsmith.runs.lineage import SAME, trace
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages import market_bars as bars_stage
from foldsmith.stages import prepare as stage
from foldsmith.stages.features_file import load_as_recorded
from foldsmith.stages.horizon import load_recipe
from foldsmith.stages.recipe import HorizonRecipe, Recipe
from foldsmith.stages.remake import _prepare_settings
from foldsmith.stages.tables import read_table

LONGEST = 15
"""Phases of a bar that a full audit cuts at, at most."""


@dataclass(frozen=True)
class PhaseOne:
    """Raw bars -> what phase 1 makes of them, with the settings and the widths of a dataset.

    With `horizons`, labels of these alone are made.
    """

    recipe: Recipe
    settings: PrepareSettings
    own: tuple[Loaded, ...]

    def __call__(self, raw: pl.DataFrame) -> Known:
        market = self.market(raw)
        recipe = self.recipe
        sigma = stage.label_volatility(market.bars, recipe.volatility_window, recipe.labelling)
        labels = {}
        for horizon, made in recipe.horizons.items():
            labels[horizon], _ = stage.label_bars(
                market, sigma, horizon, made, recipe.instrument, recipe.labelling
            )
        return Known(
            market.base,
            market.bars,
            stage.bar_features(market, recipe.names, self.own),
            labels,
            {horizon: made.max_bars for horizon, made in recipe.horizons.items()},
        )

    def market(self, raw: pl.DataFrame) -> bars_stage.MarketBars:
        """Bars alone."""
        recipe, settings = self.recipe, self.settings
        return bars_stage.market_bars(
            raw,
            recipe.instrument,
            recipe.bars,
            settings.start,
            settings.end,
            rules=recipe.rules,
            roll=recipe.roll,
        )

    def widths(self, raw: pl.DataFrame) -> dict[int, HorizonRecipe]:
        """What tells a move from none at each horizon, chosen as phase 1 does, on the segment that trains."""
        market, recipe = self.market(raw), self.recipe
        sigma = stage.label_volatility(market.bars, recipe.volatility_window, recipe.labelling)
        until = recipe.cuts[0]
        return {
            h: stage._widths(market, sigma, h, self.settings, recipe.instrument, until)[0]
            for h in recipe.horizons
        }


@dataclass(frozen=True)
class Source:
    """A dataset's raw bars as they were read, the chain that makes it, and what that makes of them."""

    raw: pl.DataFrame
    chain: PhaseOne
    clean: Known


def load_source(workspace: Workspace, dataset: Run) -> Source:
    """Read the raw file of a dataset, which must be what it was, and make phase 1's tables of it."""
    recipe = load_recipe(dataset)
    link = next((link for link in trace(workspace, dataset) if link.named.kind == "raw"), None)
    if link is None or link.path is None or link.state != SAME:
        said = "is named nowhere" if link is None else f"{link.named.id} is {link.state} ({link.note})"
        raise IntegrityError(f"the raw bars of dataset {dataset.id} cannot be gone back to: the file {said}.")
    settings = _prepare_settings(dataset.manifest.parameters, recipe)
    read = read_bars(
        link.path,
        file_format=settings.format,
        timezone=settings.timezone,
        stamp=settings.stamp,
        symbol=recipe.symbol,
    )
    chain = PhaseOne(recipe, settings, load_as_recorded(workspace, recipe.own_features))
    return Source(read.frame, chain, chain(read.frame))


def causality_proofs(dataset: Run, source: Source, quick: bool) -> Iterator[Proof]:
    """All that is proved of the chain from raw bars to labels."""
    said = f"dataset {dataset.id}"
    yield attempted(GROUP, f"{said}: phase 1 again", partial(_as_stored, dataset, source))
    cuts = chosen_cuts(source, quick)
    for how in SPOILERS:
        name = f"{said}: raw bars after a cut {how}"
        words = name, source.raw, source.chain, source.clean, cuts, how
        yield attempted(GROUP, name, partial(prove_chain, *words))
    yield attempted(GROUP, f"{said}: barrier choice", partial(prove_widths, said, source))


def chosen_cuts(source: Source, quick: bool) -> list[int]:
    """Where an audit cuts: few places and one phase of a bar at each, or more and every phase."""
    if quick:
        return cut_instants(source.clean, spread=8, phases=1, marks=2)
    bars = len(source.clean.closes)
    per_bar = source.clean.base.height / max(bars, 1)
    return cut_instants(source.clean, spread=24, phases=None if per_bar <= LONGEST else 1, marks=8)


def _as_stored(dataset: Run, source: Source) -> Proof:
    """What the audit will spoil is what made the dataset: equal tables, bit for bit."""
    dataset.verify()
    clean, folder = source.clean, dataset.path
    tables: dict[str, tuple[pl.DataFrame, pl.DataFrame]] = {
        "bars_1m": (clean.base, read_table(folder / "bars_1m.parquet", BARS)),
        "bars": (clean.bars, read_table(folder / "bars.parquet", BARS)),
        "features": (clean.features, read_table(folder / "features.parquet")),
    }
    for horizon, table in clean.labels.items():
        tables[f"labels_h{horizon}"] = table, read_table(folder / f"labels_h{horizon}.parquet", LABELS)
    problems = [
        f"{name}.parquet is not what phase 1 makes of the raw file now; was it made by other code?"
        for name, (made, stored) in tables.items()
        if not _equal(made, stored)
    ]
    shifted = clean.features.with_columns(pl.col(clean.features.columns[1:]).shift(1))
    unseen = ["features a bar late would not be seen"] if _equal(shifted, tables["features"][1]) else []
    counts = {"tables": len(tables), "bars": clean.bars.height, "features": clean.features.width - 1}
    return judged(
        GROUP,
        f"dataset {dataset.id}: phase 1 again",
        problems=problems,
        unseen=unseen,
        did=f"{len(tables)} tables made again from the raw bars are those of the dataset, bit for bit",
        counts=counts,
        planted="features a bar late: seen" if not unseen else "",
    )


def _equal(made: pl.DataFrame, stored: pl.DataFrame) -> bool:
    if made.columns != stored.columns or made.height != stored.height:
        return False
    return all(
        made[name].equals(stored[name], null_equal=True)
        if not made[name].dtype.is_float()
        else made[name].to_numpy().tobytes() == stored[name].to_numpy().tobytes()
        for name in made.columns
    )


def prove_widths(
    said: str, source: Source, spoilers: Sequence[str] = tuple(SPOILERS), *, stored: bool = True
) -> Proof:
    """Raw bars after the end of the training segment replaced: barrier widths are as they were, those `stored`."""
    import numpy as np

    chain, raw = source.chain, source.raw
    opens, until = as_instants(raw["datetime"]), chain.recipe.cuts[0]
    clean = chain.widths(raw)
    problems = []
    if stored and clean != dict(chain.recipe.horizons):
        problems.append("the widths chosen now are not those of the dataset")
    for how in spoilers:
        spoilt = chain.widths(SPOILERS[how](raw, opens >= until, np.random.default_rng(3)))
        problems += [
            f"the width of horizon {h} changed with bars after the training segment ({how})"
            for h in clean
            if spoilt[h] != clean[h]
        ]
    inside = np.random.default_rng(3)
    middle = int(opens[np.searchsorted(opens, until) // 2])
    shown = chain.widths(SPOILERS["noise"](raw, (opens >= middle) & (opens < until), inside))
    given = chain.settings.k_up is not None or chain.settings.trend_threshold is not None
    unseen = [] if given or shown != clean else ["bars inside the training segment replaced change no width"]
    return judged(
        GROUP,
        f"{said}: barrier choice",
        problems=problems,
        unseen=unseen,
        did="widths were given, and are those of the labels"
        if given
        else f"bars after the training segment replaced in {len(spoilers)} ways: widths of {len(clean)} horizons kept",
        counts={"horizons": len(clean), "ways": len(spoilers)},
        planted="" if given else "bars of the training segment replaced: seen" if not unseen else "",
    )
