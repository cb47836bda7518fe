"""The forest's inner loop; imported only where a forest predicts, as it compiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def walk(X: Any, roots: Any, feature: Any, threshold: Any, left: Any, right: Any, shares: Any) -> Any:
    """Mean over trees of the class shares (n_nodes, 3) of the leaf that each row falls into.

    A row goes left where X[row, feature] <= threshold. A node whose feature is negative is a leaf. Trees are
    added in order, so that the bits do not depend on anything else.
    """
    total = np.zeros((X.shape[0], shares.shape[1]))
    for row in range(X.shape[0]):
        for tree in range(len(roots)):
            node = roots[tree]
            while feature[node] >= 0:
                node = left[node] if X[row, feature[node]] <= threshold[node] else right[node]
            for code in range(shares.shape[1]):
                total[row, code] += shares[node, code]
    return total / len(roots)
