"""Lines about models, scores and runs that several commands print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foldsmith.models.parameters import Parameter
    from foldsmith.runs.store import Workspace


def model_lines(workspace: Workspace | None = None) -> Iterator[str]:
    """Base models by family, with what tuning searches; those of models.toml; ensembles; meta-learners."""
    from foldsmith.ensembles.catalogue import ENSEMBLES
    from foldsmith.ensembles.learner_catalogue import META_LEARNERS
    from foldsmith.models.catalogue import EVERY, FAMILIES, MODELS, YARDSTICKS

    yield (
        f"base models, by family; --models takes names, families, and {EVERY} (every family but {YARDSTICKS}, and no "
        "model that reads windows of bars):"
    )
    yield f"  {'model':<23} {'family':<10} {'stops early':<12} {'needs':<26} hyperparameters [searched from, to]"
    for family, names in FAMILIES.items():
        for name in names:
            model = MODELS[name]
            stops = "yes" if model.early_stopping else "no"
            table = parameter_list(model.parameters)
            yield f"  {name:<23} {family:<10} {stops:<12} {_needs(name):<26} {table}"
            yield f"  {'':<23} {first_line(model.__doc__)}"
    if workspace is not None:
        yield from _own_lines(workspace)
    yield "ensembles:"
    for name, ensemble in ENSEMBLES.items():
        yield f"  {name:<14} {first_line(ensemble.__doc__)}"
    yield "meta-learners:"
    for name, learner in META_LEARNERS.items():
        yield f"  {name:<14} {first_line(learner.__doc__)}"


def _own_lines(workspace: Workspace) -> Iterator[str]:
    """The models of models.toml; their files are not run to list them."""
    from foldsmith.stages.models_file import FILE, read_models_file

    lines = read_models_file(workspace)
    if lines:
        yield f"your own, in {FILE}; `foldsmith models check NAME` tries one and says its hyperparameters:"
    for name, line in lines.items():
        yield f"  {name:<23} {'own':<10} class {line.class_name} of {line.file}"


def parameter_list(table: Mapping[str, Parameter]) -> str:
    """Hyperparameters with their defaults, and the range that tuning searches."""
    return ", ".join(_parameter(key, entry) for key, entry in table.items()) or "none"


def _parameter(key: str, entry: Parameter) -> str:
    if entry.search is None:
        return f"{key}={entry.default:g}"
    low, high = entry.search
    return f"{key}={entry.default:g} [{low:g}, {high:g}{' log' if entry.log else ''}]"


def _needs(name: str) -> str:
    from foldsmith.models.catalogue import MODELS, installed

    extra = MODELS[name].extra
    if extra is None:
        return MODELS[name].library or "nothing more"
    return f"foldsmith[{extra}]" if name in installed() else f"foldsmith[{extra}], not installed"


def score_line(what: str, scores: dict[str, Any]) -> str:
    """Log loss beside the base rate, and the direction AUC with its interval."""
    auc = scores["interval"]["direction_auc"]
    between = "" if auc["low"] is None else f" [{auc['low']:.4f}, {auc['high']:.4f}]"
    estimate = "none" if auc["estimate"] is None else f"{auc['estimate']:.4f}{between}"
    return (
        f"{what}: log loss {scores['log_loss']:.4f} (base rate {scores['log_loss_base']:.4f}), "
        f"direction AUC {estimate} (a coin has 0.5)"
    )


def path_lines(figures: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """A line a model: how its Sharpe ratio after costs is spread over combinatorial paths, if there are any."""
    for model, found in figures.get("models", {}).items():
        told = f"{model}{where} over {found['paths']} paths: Sharpe a year after costs "
        if found["median"] is None:
            yield told + "none, as no path traded on two days"
            continue
        yield told + (
            f"median {found['median']:.2f}, {found['low']:.2f} to {found['high']:.2f}, "
            f"{100 * found['below_0']:.0f}% below 0 (no standard error)"
        )


def first_line(text: str | None) -> str:
    """The first sentence of a docstring."""
    return (text or "").strip().splitlines()[0] if text else ""
