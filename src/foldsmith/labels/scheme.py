"""Names of what labels and their weights can be."""

from __future__ import annotations

WEIGHTS = ("none", "uniqueness", "return", "uniqueness-return")
"""Sample weights: of 1; average uniqueness; return attribution; and the product of these two."""
BY_RETURN = ("return", "uniqueness-return")
"""Those that need the return of each bar."""
