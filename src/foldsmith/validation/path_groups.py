"""Into how many groups rows are cut for combinatorial paths, and how many of them each split tests."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

from foldsmith.errors import SettingError

MOST_GROUPS = 20
MOST_SPLITS = 300
"""Splits that a run may ask for: each is a fit of every model at every horizon."""


@dataclass(frozen=True)
class PathGroups:
    """N groups, of which each of C(N, K) splits tests K: C(N-1, K-1) whole paths of predictions.

    SettingError for numbers that make fewer than two paths, more than 300 splits, or that are none.

    >>> PathGroups.parse("6,2").n_splits, PathGroups(6, 2).n_paths
    (15, 5)
    """

    groups: int
    tested: int

    def __post_init__(self) -> None:
        # Also read back from files, where they may be anything.
        if type(self.groups) is not int or type(self.tested) is not int:
            raise SettingError(
                f"--paths {self.groups!r:.40},{self.tested!r:.40}: two whole numbers N,K are needed, such as 6,2."
            )
        asked = f"--paths {self.groups},{self.tested}"
        if not 3 <= self.groups <= MOST_GROUPS:
            raise SettingError(
                f"{asked}: N, the number of groups, lies from 3 to {MOST_GROUPS}, such as 6,2."
            )
        if not 2 <= self.tested < self.groups:
            raise SettingError(
                f"{asked}: each split tests K groups, from 2 to N - 1 = {self.groups - 1}; with one there is a single "
                "path, which the folds of --n-splits are already."
            )
        if self.n_splits > MOST_SPLITS:
            raise SettingError(
                f"{asked} makes {self.n_splits:,} splits, each a fit of every model; the most is {MOST_SPLITS}. Use "
                "fewer groups, such as 6,2 (15) or 10,2 (45)."
            )

    @property
    def n_splits(self) -> int:
        """C(N, K)."""
        return comb(self.groups, self.tested)

    @property
    def n_paths(self) -> int:
        """C(N-1, K-1), how often each row is tested."""
        return comb(self.groups - 1, self.tested - 1)

    @classmethod
    def parse(cls, text: str) -> PathGroups:
        """From text such as "6,2"."""
        words = [word.strip() for word in text.split(",")]
        # ASCII digits alone, and few: int() takes more, and takes long for the longest.
        if len(words) != 2 or not all(word.isascii() and word.isdigit() and len(word) < 9 for word in words):
            raise SettingError(
                f"--paths {text!r:.40} is not two whole numbers; write N,K, such as 6,2: 6 groups, 2 of them tested at "
                "a time."
            )
        return cls(int(words[0]), int(words[1]))

    @classmethod
    def stored(cls, kept: Any) -> PathGroups | None:
        """From the value that a manifest holds, a list of both; None where it holds none."""
        if kept is None:
            return None
        if not isinstance(kept, list | tuple) or len(kept) != 2:
            raise SettingError(
                f"{kept!r:.60} are no groups of paths, [N, K]; were they edited? Start a new run."
            )
        return cls(kept[0], kept[1])
