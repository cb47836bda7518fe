"""Lines about models, scores and runs that several commands print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def model_lines() -> Iterator[str]:
    """Base models with their hyperparameters, ensembles, meta-learners."""
    from foldsmith.ensembles.catalogue import ENSEMBLES
    from foldsmith.ensembles.meta_learners import META_LEARNERS
    from foldsmith.models.catalogue import MODELS, installed

    yield "base models:"
    for name, model in MODELS.items():
        missing = "" if name in installed() else f'  (not installed: pip install "foldsmith[{model.extra}]")'
        yield f"  {name:<14} {first_line(model.__doc__)}{missing}"
        yield "                 " + ", ".join(
            f"{key}={entry.default}" for key, entry in model.parameters.items()
        )
    yield "ensembles:"
    for name, ensemble in ENSEMBLES.items():
        yield f"  {name:<14} {first_line(ensemble.__doc__)}"
    yield "meta-learners:"
    for name, learner in META_LEARNERS.items():
        yield f"  {name:<14} {first_line(learner.__doc__)}"


def score_line(what: str, scores: dict[str, Any]) -> str:
    """Log loss beside the base rate, and the direction AUC with its interval."""
    auc = scores["interval"]["direction_auc"]
    between = "" if auc["low"] is None else f" [{auc['low']:.4f}, {auc['high']:.4f}]"
    estimate = "none" if auc["estimate"] is None else f"{auc['estimate']:.4f}{between}"
    return (
        f"{what}: log loss {scores['log_loss']:.4f} (base rate {scores['log_loss_base']:.4f}), "
        f"direction AUC {estimate} (a coin has 0.5)"
    )


def first_line(text: str | None) -> str:
    """The first sentence of a docstring."""
    return (text or "").strip().splitlines()[0] if text else ""
