"""Time-ordered splits, purged by label end and embargoed, in the protocol of scikit-learn, and their certificates."""

from foldsmith.splits.base import Fold, PurgedSplitter
from foldsmith.splits.certificate import Certificate, certify
from foldsmith.splits.checks import ShareOfBars
from foldsmith.splits.combinatorial import CombinatorialPurgedKFold
from foldsmith.splits.purged_k_fold import PurgedKFold
from foldsmith.splits.segments import Segments, cut_instants, holdout, purged_tail
from foldsmith.splits.walk_forward import WalkForward

__all__ = [
    "Certificate",
    "CombinatorialPurgedKFold",
    "Fold",
    "PurgedKFold",
    "PurgedSplitter",
    "Segments",
    "ShareOfBars",
    "WalkForward",
    "certify",
    "cut_instants",
    "holdout",
    "purged_tail",
]
