"""Labels for the tests of splits: events on a clock of bars, and the settings that keep them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st


@st.composite
def labelled(draw: st.DrawFn, least: int = 6, longest: int = 9) -> tuple[Any, Any, Any]:
    """t0 and t1 of events on a clock of bars, some bars without an event, some events at one instant.

    Now and then one label outlasts many others, which a search along ends that need not rise would miss.
    """
    gaps = draw(st.lists(st.integers(1, 3), min_size=least + 4, max_size=60))
    bars = np.cumsum(gaps).astype(np.int64)
    rows = sorted(draw(st.lists(st.integers(0, len(bars) - 1), min_size=least, max_size=40)))
    lengths = draw(st.lists(st.integers(0, longest), min_size=len(rows), max_size=len(rows)))
    if draw(st.booleans()):
        lengths[draw(st.integers(0, len(rows) - 1))] = draw(st.integers(0, 30))
    t0 = bars[rows]
    t1 = bars[np.minimum(np.asarray(rows) + lengths, len(bars) - 1)]
    return t0, t1, bars


closings = st.sampled_from(["both", "left"])
anchors = st.sampled_from(["test_label_end", "test_last_t0"])
