"""Models of a run tried beside their seals: memory, chance, rows predicted together; and files, for a user's own.

A model that the user wrote is fitted in processes of its own, where nothing was fitted before: alone, alone where no
file can be opened, and after a fit that saw the scored rows. All three must leave the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context

from foldsmith.audit import models, seal
from foldsmith.audit.models import GROUP, Left, Tried, changed
from foldsmith.audit.proof import Proof, attempted, failed_to_run, judged
from foldsmith.errors import FoldsmithError
from foldsmith.models.multinomial import numpy_pools
from foldsmith.models.own import OwnModel, forget
from foldsmith.runs.store import Run, Workspace
from foldsmith.stages import audit_splits
from foldsmith.stages.audit_splits import Folds

PLANTED = '''


class {planted}({real}):
    """Planted by the audit: opens a file, and fits rows of earlier fits too."""

    _remembered = []

    def fit(self, X, y, sample_weight, *, evaluation=None):
        import numpy as np

        open({file!r}).close()
        fits = type(self)._remembered
        fits.append((X, y, sample_weight))
        seen = [each for each in fits if each[0].shape[1] == X.shape[1]]
        return super().fit(*(np.concatenate(column) for column in zip(*seen)), evaluation=evaluation)
'''
"""What is added to the text of a user's model, to see whether memory and opened files would be seen."""


def fold_proofs(folds: Folds, quick: bool, turn: int = 0) -> Iterator[Proof]:
    """Each model of a run in one of its folds: what is tried is the model, and that is the same in all."""
    for number, model in enumerate(folds.models):
        k = (number + turn + 1) % folds.settings.n_splits
        yield from _proofs(f"{folds.what} {model}", partial(_fold_case, folds, model, k), quick)


def _fold_case(folds: Folds, model: str, k: int) -> seal.Case:
    return audit_splits.fold_case(folds, model, k, folds.pairs()[k], audit_splits.QUICK_TRIALS)


def whole_proofs(workspace: Workspace, dataset: Run, run: Run, quick: bool) -> Iterator[Proof]:
    """A model that was trained alone, on the training segment."""
    case = partial(audit_splits.whole_case, workspace, dataset, run, quick)
    yield from _proofs(f"model {run.id} {run.manifest.parameters['model']}", case, quick)


def _proofs(name: str, make_case: Callable[[], seal.Case], quick: bool) -> Iterator[Proof]:
    try:
        tried = Tried.of(name, make_case())
        own = getattr(tried.case.model, "own", None)
    except Exception as error:  # noqa: BLE001 - whatever stopped it, what did not run must not pass
        yield failed_to_run(GROUP, name, error)
        return
    yield attempted(GROUP, f"{name}: predictions", partial(models.prove_rows_alone, tried))
    prove = partial(models.prove_fits, tried, quick) if own is None else partial(prove_own, tried, own)
    yield attempted(GROUP, f"{name}: fits", prove)


@dataclass(frozen=True)
class Errand:
    """Fits to be made one after the other in a new process; what the last one leaves is brought back.

    texts : one model, or more that are fitted in turn, each from a module of its own. sealed : no file can be opened.
    """

    texts: tuple[OwnModel, ...]
    cases: tuple[seal.Case, ...]
    sealed: bool = False


def prove_own(tried: Tried, own: OwnModel) -> Proof:
    """A user's model leaves the same bits alone, where it can open no file, and after a fit of the scored rows."""
    case, planted = _named(tried.case, own), with_leaks(own)
    both, beside = (own, planted), _named(tried.beside, own)
    sealed = _sent(Errand(both, (case,), sealed=True))
    alone, after = _sent(Errand(both, (case,))), _sent(Errand(both, (beside, case)))
    problems = _memory_problems(alone[0], after[0])
    if can_seal() and sealed[0] != alone[0] and not isinstance(alone[0], str):
        chance = _sent(Errand((own,), (case,)))[0] != alone[0]
        how = f": {sealed[0]}" if isinstance(sealed[0], str) else ", it leaves something else"
        problems.append(
            f"fitted twice, each time alone in a new process, it is not the same: {models.CHANCE}"
            if chance
            else f"where it can open no file{how}; a model sees the rows that it is handed, and no data of its own"
        )
    unseen = []
    if can_seal() and not isinstance(sealed[1], str):
        unseen.append("a file that it opens would not be seen")
    if isinstance(alone[1], str) or not _memory_problems(alone[1], after[1]):
        unseen.append("rows of earlier fits that it remembers would not be seen")
    did = "fitted in new processes, alone, after a fit that saw the scored rows" + (
        ", and where no file can be opened: the same"
        if can_seal()
        else ": the same; files are not looked at here"
    )
    counts = {"processes": 3, "training rows": len(case.train)}
    seen = f"rows remembered{' and a file opened' if can_seal() else ''}: seen"
    return judged(
        GROUP, f"{tried.name}: fits", problems=problems, unseen=unseen, did=did, counts=counts,
        planted="" if unseen else seen,
    )  # fmt: skip


def _memory_problems(alone: Left | str, after: Left | str) -> list[str]:
    if isinstance(alone, str) or isinstance(after, str):
        return [next(each for each in (alone, after) if isinstance(each, str))]
    if not changed(alone, after):
        return []
    return [
        f"fitted after a fit that saw the scored rows it is not what it is alone in a new process: {models.MEMORY}"
    ]


def with_leaks(own: OwnModel) -> OwnModel:
    """The user's model with what a proof must see added to its text."""
    name = f"Planted{own.class_name}"[:64]
    text = PLANTED.format(planted=name, real=own.class_name, file=os.devnull)
    return replace(own, class_name=name, source=own.source + text.encode())


def _named(case: seal.Case, own: OwnModel) -> seal.Case:
    """With its model by name: the class of a user's text does not travel, its text does."""
    return replace(case, model=own.name)


def _sent(errand: Errand) -> list[Left | str]:
    """What each text leaves, or how it failed, from a process in which nothing was fitted before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_run, errand).result()


def _run(errand: Errand) -> list[Left | str]:
    """What a process does: libraries first, which open files as they are imported; then the fits."""
    if errand.sealed:
        _imported(errand)
    with no_file_opened() if errand.sealed else nullcontext():
        return [_left(own, errand.cases) for own in errand.texts]


def _left(own: OwnModel, cases: Sequence[seal.Case]) -> Left | str:
    forget(own)
    found: Left | str = {}
    try:
        for case in cases:
            found = seal.fitted(replace(case, model=own.load()), case.data)
    except FoldsmithError as error:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a library that can open no file may end in any way
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return found


def _imported(errand: Errand) -> None:
    """Everything that a fit imports, by a fit of made-up rows: the data at hand must not be remembered."""
    from foldsmith.models.conformance import check_model

    case = errand.cases[0]
    seal.fitted(replace(case, model="class_prior", params=None), case.data)
    with suppress(FoldsmithError):
        check_model(errand.texts[0].load())


def can_seal() -> bool:
    """Whether this system can keep a process from opening files."""
    return os.name == "posix"


@contextmanager
def no_file_opened() -> Iterator[None]:
    """Let no file be opened by this process, in Python or in any library; those that are open stay so."""
    if not can_seal():
        yield
        return
    import resource

    import threadpoolctl  # type: ignore[import-untyped]

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = threadpoolctl.threadpool_limits
    # A fit limits its threads, for which the system's list of loaded libraries is read: done once, before.
    numpy_pools()
    with limits(1):
        threadpoolctl.threadpool_limits = lambda *_, **__: nullcontext()
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            threadpoolctl.threadpool_limits = limits
