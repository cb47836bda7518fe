"""One contract at a time where a file holds several over the same minutes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.intervals import Instants, Mask


def front_contract(frame: pl.DataFrame, session: npt.NDArray[np.int64]) -> Mask:
    """Which rows stay when each session with overlapping contracts keeps the one with the most volume.

    `frame` is sorted by datetime; `session` numbers the session of each row. In a session where contracts
    trade over the same minutes the one with the most volume wins (of equals, the later to expire). A contract
    that expires before one that has won does not come back. Another contract's bars stay only outside the
    winner's span, and only if most of its bars of that session lie there: a splice, not parallel trading.

    The volume is that of the whole session, so which contract a bar belongs to is known at the session's end,
    not at the bar's; it says nothing of the direction of prices.
    """
    keep = np.ones(frame.height, dtype=np.bool_)
    contract = frame["contract"].fill_null("").cast(pl.Categorical).to_physical().to_numpy().astype(np.int64)
    instants = frame["datetime"].to_physical().to_numpy()
    changes = np.flatnonzero(np.diff(contract)) + 1
    if len(changes) == len(np.unique(contract[np.r_[0, changes]])) - 1 and (np.diff(instants) > 0).all():
        return keep
    volume = frame["volume"].to_numpy()
    expiry = _expiry_rank(contract)
    # Rows of a session are contiguous; only sessions in which the contract changes need a decision.
    edges = np.r_[0, np.flatnonzero(np.diff(session)) + 1, frame.height]
    reigning = -1
    for number in np.unique(np.searchsorted(edges, changes, side="right") - 1):
        start, stop = int(edges[number]), int(edges[number + 1])
        rows = slice(start, stop)
        keep[rows], winner = _choose(contract[rows], instants[rows], volume[rows], expiry, reigning)
        reigning = max(reigning, winner)
    return keep


def _expiry_rank(contract: npt.NDArray[np.int64]) -> dict[int, int]:
    """Rank of each contract by its last row: the order in which they expire."""
    codes, last_from_end = np.unique(contract[::-1], return_index=True)
    order = codes[np.argsort(-last_from_end)]
    return {int(code): rank for rank, code in enumerate(order)}


def _choose(
    contract: npt.NDArray[np.int64],
    instants: Instants,
    volume: npt.NDArray[np.float64],
    expiry: dict[int, int],
    reigning: int,
) -> tuple[Mask, int]:
    """Rows of one session that stay, and the expiry rank of its winner (-1 where no contracts overlap)."""
    codes = [int(code) for code in np.unique(contract)]
    spans = {
        code: (int(instants[contract == code][0]), int(instants[contract == code][-1])) for code in codes
    }
    keep = np.ones(len(contract), dtype=np.bool_)
    if not any(_meet(spans[a], spans[b]) for i, a in enumerate(codes) for b in codes[i + 1 :]):
        return keep, -1
    totals = {code: float(volume[contract == code].sum()) for code in codes}
    ranked = sorted(codes, key=lambda c: (expiry[c] >= reigning, totals[c], expiry[c]), reverse=True)
    taken = np.zeros(len(contract), dtype=np.bool_)
    for code in ranked:
        mine = contract == code
        free = mine & ~taken
        if np.count_nonzero(free) * 2 <= np.count_nonzero(mine):
            free[:] = False
        keep[mine] = free[mine]
        if free.any():
            first, last = instants[free][0], instants[free][-1]
            taken |= (instants >= first) & (instants <= last)
    return keep, expiry[ranked[0]]


def _meet(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] <= b[1] and b[0] <= a[1]
