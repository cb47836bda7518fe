"""What the numbers of an evaluation are worth: how many were tried, and what luck alone would have shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from foldsmith.dataset import Dataset
from foldsmith.errors import FoldsmithError
from foldsmith.evaluation.backtest import PERIODS_PER_YEAR, Backtest
from foldsmith.evaluation.deflated import (
    deflated_sharpe_ratio,
    deflated_sharpe_ratio_2025,
    expected_maximum,
    minimum_backtest_length,
    minimum_track_record_length,
)
from foldsmith.evaluation.forecast_comparison import daily_losses, diebold_mariano
from foldsmith.evaluation.metrics import row_losses
from foldsmith.evaluation.overfitting import blocks_for, probability_of_overfitting
from foldsmith.evaluation.rows import checked
from foldsmith.evaluation.significance import sharpe_ratio
from foldsmith.evaluation.snooping import snooping_tests
from foldsmith.evaluation.trial_series import SharpeSpread, effective_number, sharpe_spread
from foldsmith.evaluation.verdict import Verdict, judge
from foldsmith.runs.tried import Tried
from foldsmith.stages.horizon import HorizonTable
from foldsmith.stages.oof_profits import OutOfFoldProfits
from foldsmith.stages.scores import trading_days
from foldsmith.validation.cross_validate import Probabilities

NOT_ASKED = "not run; evaluate with --snooping"


def significance(
    traded: Backtest,
    tried: Tried,
    profits: OutOfFoldProfits,
    paths: dict[str, Any],
    *,
    seed: int,
    snooping: bool,
) -> dict[str, Any]:
    """Sharpe ratio after costs against K trials and over `paths`, PBO and the tests of data snooping; JSON-able."""
    spread = sharpe_spread(profits.net, max(1, traded.daily.height))
    counts = tried.as_dict()
    del counts["looks"]  # a repeated look changes nothing that is stored; the report and the ledger count it
    return {
        "tried": counts,
        "series": {"names": list(profits.names), "days": len(profits.net), "missing": list(profits.missing)},
        "sharpe": _of_sharpe(traded, tried, profits, spread),
        "overfitting": _overfitting(profits),
        "snooping": _snooping(profits, seed) if snooping else {"skipped": NOT_ASKED},
        "paths": paths,
    }


def verdict(
    metrics: Mapping[str, Any], traded: Backtest, table: HorizonTable, found: Mapping[str, Any]
) -> Verdict:
    """Judge an evaluation by what `significance` found of it."""
    made, tried = table.recipe.horizons[table.horizon], found["tried"]
    return judge(
        metrics["interval"]["direction_auc"],
        traded.daily["gross"].to_numpy(),
        traded.daily["net"].to_numpy(),
        days=metrics["interval"]["days"],
        symmetric=made.threshold is not None or made.barriers.up == made.barriers.down,
        place=tried["place"],
        trials=tried["trials"],
        variance=found["sharpe"]["variance"],
    )


def compared(
    held: Dataset, P: Probabilities, base: Probabilities, names: Sequence[str]
) -> dict[str, dict[str, Any] | None]:
    """Diebold and Mariano's test of the ensemble's log loss against each base model's, by trading day."""
    days = trading_days(held.t0)
    each = np.unique(days)
    ends = np.searchsorted(each, trading_days(held.t1), side="right") - 1
    lags = int((ends - np.searchsorted(each, days)).max())

    def losses(of: Any) -> Any:
        return daily_losses(row_losses(checked(held.y, of, held.weight))["log_loss"], held.weight, days)

    own = losses(P)
    found = {}
    for number, name in enumerate(names):
        test = diebold_mariano(own, losses(base[:, 3 * number : 3 * number + 3]), lags=lags)
        found[name] = None if test is None else {**asdict(test), "lags": lags}
    return found


def _of_sharpe(
    traded: Backtest, tried: Tried, profits: OutOfFoldProfits, spread: SharpeSpread
) -> dict[str, Any]:
    """Everything here is of a day, unless its name says a year."""
    year = PERIODS_PER_YEAR
    effective = effective_number(profits.net) if profits.names else None
    # Trials that kept no profits, or made none, are taken to be as alike as those that did.
    worth = None if effective is None else max(1.0, tried.trials * effective / spread.series)
    told: dict[str, Any] = {
        "variance": spread.variance,
        "variance_from": spread.source,
        "series": spread.series,
        "trials": tried.trials,
        "trials_effective": worth,
        "expected_best_annual": spread.variance**0.5 * expected_maximum(tried.trials) * year**0.5,
        "minimum_backtest_years": minimum_backtest_length(tried.trials),
        "deflated_sharpe_ratio": None,
        "deflated_sharpe_ratio_effective": None,
        "deflated_sharpe_ratio_2025": None,
        "minimum_track_record_days": None,
    }
    found = sharpe_ratio(traded.daily["net"].to_numpy())
    if found is None:
        return told
    shape = found.sharpe, found.n, found.skewness, found.kurtosis
    count: dict[str, Any] = {"n_trials": tried.trials, "variance": spread.variance}
    told["deflated_sharpe_ratio"] = deflated_sharpe_ratio(*shape, **count)
    told["deflated_sharpe_ratio_2025"] = deflated_sharpe_ratio_2025(*shape, **count)
    if worth is not None:
        told["deflated_sharpe_ratio_effective"] = deflated_sharpe_ratio(*shape, **count | {"n_trials": worth})
    days = minimum_track_record_length(found.sharpe, found.skewness, found.kurtosis)
    told["minimum_track_record_days"] = days if np.isfinite(days) else None
    return told


def _overfitting(profits: OutOfFoldProfits) -> dict[str, Any]:
    blocks = blocks_for(len(profits.net))
    if len(profits.names) < 2:
        return {
            "skipped": f"{len(profits.names)} series of out-of-fold profits; two are needed to choose from"
        }
    if blocks is None:
        return {"skipped": f"{len(profits.net)} days of out-of-fold profits are too few to cut into 4 blocks"}
    found = probability_of_overfitting(profits.net, blocks)
    return {
        "probability": found.probability,
        "blocks": blocks,
        "series": found.series,
        "days": len(profits.net),
        "loss": found.loss,
    }


def _snooping(profits: OutOfFoldProfits, seed: int) -> dict[str, Any]:
    """The tests, or why there are none: asked for and not made is said, never passed over."""
    if not profits.names:
        return {"skipped": "no out-of-fold profits to test"}
    try:
        return snooping_tests(profits.net, profits.names, seed=seed)
    except FoldsmithError as error:
        return {"skipped": str(error)}
