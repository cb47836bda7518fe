"""Records of markets as `run_market` leaves them, drawn from what a sound or a broken pipeline would leave."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr

from foldsmith.stages.null_bars import EDGE, HINT, SHUFFLED, Market

PLACES = ("logistic oof", "voting oof", "stacking validation", "stacking test")
FOLDS = 4
SHIFTS = {HINT: 1.5, SHUFFLED: 1.5, EDGE: 0.0}
"""Mean of z in a leaking pipeline."""


def drawn(market: Market, shift: float | None = None, permuted_too: bool = False) -> dict[str, Any]:
    """The record of one market; with an edge, z lies 25 times the edge above 0, or `shift` where it is given."""
    rng = np.random.default_rng(market.drawn)
    mean = SHIFTS.get(market.kind, 0.0) + 25 * market.edge if shift is None else shift

    def place(name: str, mean: float) -> dict[str, Any]:
        found: dict[str, Any] = {what: test(rng.normal(mean)) for what in ("direction", "trades")}
        found["sharpe"] = [float(rng.normal(-0.1 + mean / 10, 0.1)), 0.1]
        if name.endswith("oof"):
            found |= {
                "folds": FOLDS,
                "mean_z": {w: float(rng.normal(mean, 0.5)) for w in ("direction", "trades")},
            }
        return found

    return {
        "key": market.key,
        "places": {name: place(name, mean) for name in PLACES},
        "coin": {name: place("coin", 0.0) for name in PLACES},
        "permuted": {name: place("", mean if permuted_too else 0.0) for name in PLACES}
        if market.edge
        else {},
        "meta_oof_auc": {"stacking": float(rng.normal(0.51, 0.04))},
        "gain": {"stacking test": market.edge / 10},
        "reachable": market.edge if market.edge and not market.number else None,
    }


def test(z: float) -> dict[str, Any]:
    """A test with this statistic."""
    return {"n": 100, "z": float(z), "p": float(ndtr(-z))}


test.__test__ = False  # type: ignore[attr-defined]
