"""Overlaps, purge and embargo counted anew, by a road that `foldsmith.intervals` does not take.

Labels are closed intervals [t0, t1]. Two meet if neither ends before the other begins; here that is found by a sweep
over sorted starts with the latest end so far, and checked on a sample against every pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foldsmith.audit.proof import Proof, judged

Instants = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

GROUP = "intervals"
SAMPLE = 200
"""Fitted rows of each pair that are compared with every scored row, pair by pair."""


@dataclass(frozen=True)
class Apart:
    """How far rows are kept apart: embargo and purge in bars, counted on `closes` of the full series."""

    embargo: int
    purge: int
    closes: Instants


@dataclass(frozen=True)
class Pair:
    """Rows fitted on and rows scored, numbers of rows of one table in time order.

    certificate : what the run stored of them, None for nothing. whole : whether all rows that may be fitted on are to
    be (a fold); then the counts of the certificate are compared as well.
    """

    name: str
    t0: Instants
    t1: Instants
    fitted: Rows
    scored: Rows
    certificate: Mapping[str, Any] | None = None
    whole: bool = False


def meeting(t0: Instants, t1: Instants, others_t0: Instants, others_t1: Instants) -> Mask:
    """Whether each [t0, t1] meets any of the others; O((n + m) log m).

    >>> meeting(np.array([0, 5]), np.array([2, 6]), np.array([2, 3]), np.array([4, 4]))
    array([ True, False])
    """
    order = np.argsort(others_t0, kind="stable")
    latest = np.r_[np.iinfo(np.int64).min, np.maximum.accumulate(others_t1[order])]
    begun = np.searchsorted(others_t0[order], t1, side="right")
    return np.asarray(latest[begun] >= t0, dtype=np.bool_)


def meeting_by_pairs(t0: Instants, t1: Instants, others_t0: Instants, others_t1: Instants) -> Mask:
    """The same, every pair looked at; O(n m)."""
    met = [bool(((others_t0 <= end) & (start <= others_t1)).any()) for start, end in zip(t0, t1, strict=True)]
    return np.array(met, dtype=np.bool_)


def barred(t0: Instants, t1: Instants, scored: Rows, apart: Apart) -> tuple[Mask, Mask]:
    """Rows that purge, and rows that embargo alone, keep from being fitted on beside the scored rows.

    A run of scored rows spans [s, e], from its first t0 to its largest t1. Purged is what meets the span, or lies
    within `purge` bars of it; embargoed what begins after e, within `embargo` bars. Bars are counted by
    how many have closed.
    """
    begun, over = (np.searchsorted(apart.closes, instants, side="right") for instants in (t0, t1))
    purged, embargoed = np.zeros((2, len(t0)), dtype=np.bool_)
    for run in np.split(scored, np.flatnonzero(np.diff(scored) != 1) + 1):
        start, end = int(t0[run].min()), int(t1[run].max())
        closed_at_start, closed_at_end = np.searchsorted(apart.closes, [start, end], side="right")
        after, before = t0 > end, t1 < start
        purged |= ~after & ~before
        purged |= after & (begun - closed_at_end <= apart.purge)
        purged |= before & (closed_at_start - over <= apart.purge)
        embargoed |= after & (begun - closed_at_end <= apart.embargo)
    return purged, embargoed & ~purged


def pair_problems(pair: Pair, apart: Apart, rng: np.random.Generator) -> list[str]:
    """What is wrong with a pair, in words; empty where nothing is."""
    t0, t1, fitted, scored = pair.t0, pair.t1, pair.fitted, pair.scored
    if len(fitted) == 0 or len(scored) == 0:
        return [f"{pair.name}: {len(fitted)} rows are fitted on and {len(scored)} scored; nothing is proved"]
    met = _met(pair, fitted)
    purged, embargoed = barred(t0, t1, scored, apart)
    found = []
    if met.any():
        found.append(f"{pair.name}: {int(met.sum())} fitted rows overlap what they are scored on")
    breaches = int((purged | embargoed)[fitted[~met]].sum())
    if breaches:
        found.append(f"{pair.name}: {breaches} fitted rows lie within the purge or the embargo")
    sample = rng.permutation(len(fitted))[:SAMPLE]
    chosen = fitted[sample]
    if not np.array_equal(met[sample], meeting_by_pairs(t0[chosen], t1[chosen], t0[scored], t1[scored])):
        found.append(f"{pair.name}: the sweep and looking at every pair do not agree")
    outside = np.ones(len(t0), dtype=np.bool_)
    outside[scored] = False
    free = int((outside & ~purged & ~embargoed).sum())
    if pair.whole and len(fitted) != free:
        found.append(f"{pair.name}: {len(fitted)} rows are fitted on, and {free} may be")
    if pair.certificate is not None:
        mine = {
            "n_train": len(fitted),
            "n_test": len(scored),
            "overlaps": int(met.sum()),
            "breaches": breaches,
        }
        if pair.whole:
            mine |= {"purged": int((outside & purged).sum()), "embargoed": int((outside & embargoed).sum())}
        for key, count in mine.items():
            if pair.certificate.get(key) != count:
                found.append(
                    f"{pair.name}: the certificate says {key} {pair.certificate.get(key)}, counted {count}"
                )
    return found


def unpurged_is_seen(pair: Pair) -> bool:
    """Whether rows told apart by decision time alone, with no purge, would be found to overlap.

    Where labels end before the next begins there is nothing to find; then a scored row slipped among the fitted ones.
    """
    rest = np.setdiff1d(np.arange(len(pair.t0)), pair.scored)
    return bool(_met(pair, rest).any()) or bool(_met(pair, pair.scored[:1]).any())


def prove_pairs(name: str, pairs: Sequence[Pair], apart: Apart, problems: Sequence[str] = ()) -> Proof:
    """Every pair is apart, and as its certificate says; `problems` are those that were found on the way to them."""
    rng = np.random.default_rng(0)
    found = [*problems, *(each for pair in pairs for each in pair_problems(pair, apart, rng))]
    if not pairs:
        found.append("there is no pair of fitted and scored rows to look at")
    unseen = [
        f"{pair.name}: rows that are not purged would not be seen"
        for pair in pairs
        if not unpurged_is_seen(pair)
    ]
    certified = sum(pair.certificate is not None for pair in pairs)
    counts = {
        "pairs": len(pairs),
        "fitted rows": sum(len(pair.fitted) for pair in pairs),
        "scored rows": sum(len(pair.scored) for pair in pairs),
        "certificates compared": certified,
    }
    did = (
        f"no fitted row of {len(pairs)} splits overlaps a scored one or lies within its purge or embargo"
        + (f"; {certified} certificates agree" if certified else "")
    )
    seen = f"rows that are not purged: seen in {len(pairs) - len(unseen)} of {len(pairs)}"
    return judged(GROUP, name, problems=found, unseen=unseen, did=did, counts=counts, planted=seen)


def _met(pair: Pair, rows: Rows) -> Mask:
    return meeting(pair.t0[rows], pair.t1[rows], pair.t0[pair.scored], pair.t1[pair.scored])
