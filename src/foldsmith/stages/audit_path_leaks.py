"""A known leak of combinatorial paths, planted where their splits are made; see `audit_leaks`."""

from __future__ import annotations

from foldsmith.stages import paths
from foldsmith.stages.audit_leaks import OtherSplit, Planting, all_but_the_test, swapped


def unpurged() -> Planting:
    """Splits of paths without purge and embargo."""
    return swapped(
        paths,
        "CombinatorialPurgedKFold",
        lambda real: lambda *w, **o: OtherSplit(real(*w, **o), all_but_the_test),
    )
