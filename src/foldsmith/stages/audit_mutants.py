"""The test of the audit itself: known leaks, planted one at a time, each of which it must see."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import polars as pl

from foldsmith.audit import causality, intervals, models, seal
from foldsmith.audit.intervals import Pair, prove_pairs
from foldsmith.audit.proof import BROKEN, HELD, NOT_RUN, Proof, attempted
from foldsmith.config import PrepareSettings, ValidationSettings
from foldsmith.ensembles.catalogue import make_ensemble
from foldsmith.errors import SettingError
from foldsmith.market.instruments import instrument
from foldsmith.market.simulate import Simulation
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages import (
    audit_chain,
    audit_leaks,
    audit_model_leaks,
    audit_path_leaks,
    audit_paths,
    audit_splits,
)
from foldsmith.stages import horizon as tables_stage
from foldsmith.stages.audit_leaks import Planting
from foldsmith.stages.audit_splits import Folds
from foldsmith.stages.prepare import prepare
from foldsmith.stages.publish import Provenance
from foldsmith.stages.simulated import write_market
from foldsmith.validation import meta_level
from foldsmith.validation.path_groups import PathGroups

GROUP = "mutants"
MARKET = Simulation("MES", 12, 5, 0.05, date(2024, 3, 1))
"""A market over the roll of March 2024, small enough for dozens of audits."""
HORIZON = 10
ROWS = 1200
FEATURES = ("return_1", "return_12", "volatility_ratio_6_48", "rsi_14", "bar_range", "momentum_12")
STOPPED = ValidationSettings(n_splits=3, tune=True, n_trials=1)
CORRECTED = ValidationSettings(
    n_splits=3, sample_weight="uniqueness", class_weight="balanced", calibrate="temperature", select="mdi"
)
"""Settings under which the leaks could happen: with what each needs switched on."""


@dataclass(frozen=True)
class Mutant:
    """A leak: what kind of proof should see it, what it is, and how it is planted."""

    group: str
    said: str
    plant: Callable[[], Planting]


def _feature(change: Callable[[pl.Expr], pl.Expr]) -> Callable[[], Planting]:
    return partial(audit_leaks.feature, change)


def _hour_close(bars: pl.DataFrame) -> pl.Series:
    return bars.select(pl.col("close").last().over(pl.col("datetime").dt.truncate("1h"))).to_series()


def _usual_volume(bars: pl.DataFrame) -> pl.Series:
    return bars.select(pl.col("volume").mean().over(pl.col("datetime").dt.time())).to_series()


def _hour_off(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(pl.col("datetime", "close_time").dt.offset_by("-1h"))


def _next_high(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(pl.max_horizontal("high", pl.col("high").shift(-1)).alias("high"))


def _known(column: pl.Expr) -> pl.Expr:
    return column.fill_nan(None)


BARS, SPLITS, FITS, ALONE = causality.GROUP, intervals.GROUP, seal.GROUP, models.GROUP
FILES = "provenance"
GROUPS = (FILES, SPLITS, BARS, FITS, ALONE)
# fmt: off
MUTANTS: Mapping[str, Mutant] = MappingProxyType({
    "next-bar": Mutant(BARS, "a feature of the next bar", _feature(lambda c: c.shift(-1).fill_null(0))),
    "centred-window": Mutant(
        BARS, "a mean over a centred window", _feature(lambda c: c.fill_nan(0).rolling_mean(5, center=True))),
    "whole-sample-scaler": Mutant(
        BARS, "a feature scaled by the whole sample", _feature(lambda c: (c - _known(c).mean()) / _known(c).std())),
    "whole-sample-rank": Mutant(BARS, "a feature's rank in the whole sample", _feature(lambda c: _known(c).rank())),
    "backward-fill": Mutant(BARS, "a warm-up filled with what comes after it", audit_leaks.filled_backwards),
    "early-timeframe": Mutant(
        BARS, "an hourly close seen before the hour is over", partial(audit_leaks.feature_of_bars, _hour_close)),
    "usual-volume": Mutant(
        BARS, "usual volume by time of day, later days included", partial(audit_leaks.feature_of_bars, _usual_volume)),
    "roll-adjusted": Mutant(BARS, "features of roll-adjusted prices", audit_leaks.roll_adjusted),
    "hour-off": Mutant(BARS, "a clock an hour off", partial(audit_leaks.sampled, _hour_off)),
    "next-high": Mutant(BARS, "a bar with the next bar's high", partial(audit_leaks.sampled, _next_high)),
    "whole-file-volume": Mutant(BARS, "volumes over the mean of the file", audit_leaks.volume_by_the_whole_file),
    "next-volatility": Mutant(BARS, "barriers by the next bar's volatility", audit_leaks.later_volatility),
    "label-ends-late": Mutant(
        BARS, "a label that ends a bar later than it says", partial(audit_leaks.labels, audit_leaks.ends_early)),
    "label-by-mean": Mutant(
        BARS, "labels by the mean return of all", partial(audit_leaks.labels, audit_leaks.by_the_mean_return)),
    "barriers-of-all": Mutant(BARS, "barrier widths chosen on test rows too", audit_leaks.widths_of_all_bars),
    "purge-by-start": Mutant(SPLITS, "folds purged by decision time", partial(audit_leaks.folds, of_start=True)),
    "purge-by-rows": Mutant(
        SPLITS, "folds purged by a number of rows", partial(audit_leaks.other_rows, audit_leaks.two_rows_away)),
    "no-purge": Mutant(SPLITS, "folds not purged", partial(audit_leaks.other_rows, audit_leaks.all_but_the_test)),
    "one-sided-purge": Mutant(
        SPLITS, "folds purged on one side", partial(audit_leaks.other_rows, audit_leaks.not_purged_before)),
    "no-embargo": Mutant(SPLITS, "folds without embargo", partial(audit_leaks.folds, {"embargo": 0})),
    "embargo-from-start": Mutant(
        SPLITS, "an embargo counted from the last t0", partial(audit_leaks.folds, {"embargo_from": "test_last_t0"})),
    "shuffled-folds": Mutant(SPLITS, "folds of interleaved rows", audit_leaks.interleaved),
    "segments-by-start": Mutant(SPLITS, "segments cut by decision time", audit_leaks.unpurged_segments),
    "tails-not-purged": Mutant(SPLITS, "tails next to what is fitted", audit_leaks.unpurged_tails),
    "meta-not-purged": Mutant(
        SPLITS, "meta-level folds not purged",
        partial(audit_leaks.other_rows, audit_leaks.all_but_the_test, meta_level)),
    "paths-not-purged": Mutant(SPLITS, "splits of paths not purged", audit_path_leaks.unpurged),
    "fold-scaler": Mutant(FITS, "rows scaled by all rows", partial(audit_leaks.fold_of, audit_leaks.scaled_by_all)),
    "fold-ranks": Mutant(FITS, "rows ranked among all rows", partial(audit_leaks.fold_of, audit_leaks.clipped_by_all)),
    "label-feature": Mutant(
        FITS, "labels around in a feature", partial(audit_leaks.fold_of, audit_leaks.labels_in_a_feature)),
    "in-sample": Mutant(
        FITS, "scored rows trained on", partial(audit_leaks.fold_of, audit_leaks.scored_rows_trained_on)),
    "held-back-trained-on": Mutant(
        FITS, "purged rows trained on", partial(audit_leaks.fold_of, audit_leaks.held_back_rows_trained_on)),
    "stopping-on-scored": Mutant(
        FITS, "early stopping on the scored fold", partial(audit_leaks.in_fold, audit_leaks.stopping_on_the_scored)),
    "tuning-on-scored": Mutant(
        FITS, "tuning on the scored fold", partial(audit_leaks.in_fold, audit_leaks.tuning_on_the_scored)),
    "selection-on-all": Mutant(
        FITS, "feature selection on all rows", partial(audit_leaks.in_fold, audit_leaks.selection_on_all)),
    "calibrated-on-scored": Mutant(FITS, "a calibrator of the scored fold", audit_leaks.calibrated_on_the_scored),
    "class-weights-of-all": Mutant(
        FITS, "class weights from all rows", partial(audit_leaks.in_fold, audit_leaks.class_weights_of_all)),
    "base-rate-of-all": Mutant(
        FITS, "the yardstick from all rows", partial(audit_leaks.in_fold, audit_leaks.base_rate_of_all)),
    "uniqueness-among-all": Mutant(
        FITS, "uniqueness among all rows", partial(audit_leaks.in_fold, audit_leaks.weights_among_all)),
    "states-of-all": Mutant(FITS, "hidden states fitted on all bars", audit_leaks.states_of_all_bars),
    "states-smoothed": Mutant(FITS, "hidden states smoothed", audit_leaks.states_smoothed),
    "meta-in-sample": Mutant(FITS, "a meta-learner scored in sample", audit_leaks.meta_in_sample),
    "meta-scaler": Mutant(FITS, "base probabilities scaled by all rows", audit_leaks.meta_by_all),
    "rows-remembered": Mutant(ALONE, "rows of earlier fits fitted on too", audit_model_leaks.remembered_rows),
    "ranked-together": Mutant(ALONE, "rows ranked among those predicted with them", audit_model_leaks.ranked_together),
    "chance-of-its-own": Mutant(ALONE, "chance that no seed decides", audit_model_leaks.chance_of_its_own),
    "hashes-not-compared": Mutant(FILES, "files not compared with their hashes", audit_leaks.hashes_not_compared),
})
# fmt: on
"""Every leak that is planted, by name."""


def mutant(name: str) -> Mutant:
    """One of MUTANTS; SettingError for another name."""
    if name not in MUTANTS:
        raise SettingError(f"there is no leak {name!r:.40} to plant; there are {', '.join(MUTANTS)}.")
    return MUTANTS[name]


@dataclass(frozen=True)
class Bench:
    """A small dataset on which the audit is tried."""

    workspace: Workspace
    dataset: Run

    def proofs(self, group: str) -> Iterator[Proof]:
        """The audit's proofs of one kind, without what compares with stored tables: a leak must be seen as one."""
        makers: dict[str, Callable[[], Iterator[Proof]]] = {
            BARS: self._causality, SPLITS: self._intervals, FITS: self._seal, ALONE: self._models,
            FILES: self._provenance,
        }  # fmt: skip
        yield from makers[group]()

    def _causality(self) -> Iterator[Proof]:
        source = audit_chain.load_source(self.workspace, self.dataset)
        cuts = causality.cut_instants(source.clean, spread=5, phases=1, marks=1)
        for how in ("noise", "removed"):
            yield causality.prove_chain(how, source.raw, source.chain, source.clean, cuts, how)
        yield audit_chain.prove_widths("dataset", source, ("noise",), stored=False)

    def folds(self, settings: ValidationSettings) -> Folds:
        """The first training rows, so that a fit takes part of a second."""
        table = tables_stage.load_horizons(self.dataset, (HORIZON,), settings)[HORIZON]
        segments = replace(table.segments, training=table.segments.training[:ROWS])
        return Folds("bench", replace(table, segments=segments), settings, (), {})

    def meta(self) -> seal.MetaCase:
        """An ensemble of two base models whose probabilities are drawn at random."""
        folds = self.folds(CORRECTED)
        data = folds.training
        drawn = np.random.default_rng(1).dirichlet(np.ones(3), size=(len(data), 2))
        return seal.MetaCase(
            "meta-level folds",
            lambda: make_ensemble("stacking", "logistic", models=("a", "b"), seed=1),
            drawn.reshape(len(data), 6).astype(np.float32),
            data,
            np.zeros(len(data), dtype=np.int16),
            3,
            folds.table.separation,
        )

    def _intervals(self) -> Iterator[Proof]:
        table = tables_stage.load_horizons(self.dataset, (HORIZON,), CORRECTED)[HORIZON]
        yield from audit_splits.interval_proofs(Folds("bench", table, CORRECTED, (), {}))
        training = table.data.take(table.segments.training)
        yield audit_paths.prove_splits("path splits", training, table.separation, PathGroups(4, 2))
        case = self.meta()
        pairs = [
            Pair("meta", case.data.t0, case.data.t1, a, b, None, True) for a, b in seal.meta_pairs(case)[0]
        ]
        yield prove_pairs("meta-level folds", pairs, self.folds(CORRECTED).apart)

    def _seal(self) -> Iterator[Proof]:
        hmm = ("hmm_volatile", "hmm_calm")
        for settings, model, names in (
            (CORRECTED, "logistic", (*FEATURES, *hmm)),
            (STOPPED, "lightgbm", FEATURES),
        ):
            folds = replace(self.folds(settings), features={model: names})
            yield seal.prove_case(
                audit_splits.fold_case(folds, model, 1, folds.pairs()[1], settings.n_trials)
            )
        yield seal.prove_meta(self.meta(), [1])

    def _models(self) -> Iterator[Proof]:
        folds = replace(self.folds(CORRECTED), features={"logistic": FEATURES})
        tried = models.Tried.of("bench", audit_splits.fold_case(folds, "logistic", 1, folds.pairs()[1], 1))
        yield models.prove_rows_alone(tried)
        yield models.prove_fits(tried, quick=True)

    def _provenance(self) -> Iterator[Proof]:
        from foldsmith.stages.audit import _prove_run

        yield _prove_run(self.workspace, self.dataset)


def make_bench(folder: Path) -> Bench:
    """Simulate a small market below `folder` and make its dataset."""
    workspace, mine = Workspace(folder), instrument(MARKET.symbol)
    write_market(workspace, MARKET, mine, _quiet)
    settings = PrepareSettings(MARKET.symbol, horizons=(HORIZON,), features=("regimes",))
    return Bench(
        workspace,
        prepare(workspace, settings, mine, Provenance(("audit",), Ledger(workspace.ledger)), _quiet),
    )


def prove_mutants(names: tuple[str, ...] = tuple(MUTANTS)) -> Iterator[Proof]:
    """Each leak planted in turn, on a small simulated market: it is killed by a proof that breaks or is blind.

    First the audit without a leak, which must hold: else whatever it says of leaks would mean nothing.
    """
    with tempfile.TemporaryDirectory(prefix="foldsmith-audit-") as folder:
        bench = make_bench(Path(folder))
        baseline = attempted(GROUP, "no leak planted", lambda: _baseline(bench, names))
        yield baseline
        if not baseline.held:
            return
        for name in names:
            yield attempted(GROUP, name, partial(_prove_killed, bench, name))


def _baseline(bench: Bench, names: tuple[str, ...]) -> Proof:
    groups = {mutant(name).group for name in names}
    proofs = [proof for group in GROUPS if group in groups for proof in bench.proofs(group)]
    failed = [f"{proof.name}: {proof.outcome}: {proof.said}" for proof in proofs if not proof.held]
    said = f"all {len(proofs)} proofs hold on a market without a leak" if not failed else "; ".join(failed)
    return Proof(GROUP, "no leak planted", BROKEN if failed else HELD, said, {"proofs": len(proofs)})


def _prove_killed(bench: Bench, name: str) -> Proof:
    """Planted, and seen by the proofs of its own kind, else by any other."""
    leak = mutant(name)
    stopped = ""
    with leak.plant():
        for group in (leak.group, *(each for each in GROUPS if each != leak.group)):
            try:
                for proof in bench.proofs(group):
                    if not proof.held and proof.outcome != NOT_RUN:
                        said = f"{leak.said}: killed by {group}, {proof.name}: {proof.said}"
                        return Proof(GROUP, name, HELD, said, {"killed": 1})
            except Exception as error:  # noqa: BLE001 - a leak that stops a proof was not seen by it
                stopped = f" ({group} could not run: {type(error).__name__}: {str(error)[:120]})"
    return Proof(GROUP, name, BROKEN, f"{leak.said}: survived{stopped}", {"killed": 0})


def _quiet(_: str) -> None:
    """Say nothing."""
