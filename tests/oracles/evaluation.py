"""Slow, obvious twins of foldsmith.evaluation."""

from __future__ import annotations

import itertools
import math
from datetime import date
from typing import Any

import numpy as np


def auc(score: Any, positive: Any, weight: Any) -> float | None:
    """Every pair of a positive and a negative, one by one."""
    right = total = 0.0
    for i in range(len(score)):
        for j in range(len(score)):
            if positive[i] and not positive[j]:
                total += weight[i] * weight[j]
                if score[i] > score[j]:
                    right += weight[i] * weight[j]
                elif score[i] == score[j]:
                    right += weight[i] * weight[j] / 2
    return right / total if total else None


def direction(p: Any) -> float:
    both = float(p[0]) + float(p[2])
    return float(p[2]) / both if both else 0.5


def decide(p: Any) -> int:
    best = [side for side, value in zip((-1, 0, 1), p, strict=True) if value == max(p)]
    return best[0] if len(best) == 1 else 0


def reliability(p: list[float], came: list[bool], weight: list[float], bins: int) -> list[dict[str, float]]:
    """Sort, cut at equal counts, move every cut down to the first of its ties."""
    rows = sorted(zip(p, came, weight, strict=True), key=lambda row: row[0])
    n = len(rows)
    starts = {0}
    for k in range(1, bins):
        cut = k * n // bins
        while cut > 0 and rows[cut - 1][0] == rows[cut][0]:
            cut -= 1
        starts.add(cut)
    edges = [*sorted(starts), n]
    table = []
    for start, stop in itertools.pairwise(edges):
        part = rows[start:stop]
        mass = sum(w for _, _, w in part)
        table.append(
            {
                "rows": len(part),
                "probability": sum(v * w for v, _, w in part) / mass,
                "frequency": sum(w for _, c, w in part if c) / mass,
                "weight": mass,
            }
        )
    return table


def bootstrap_rows(days: list[Any], draws: int, block: int, seed: int) -> list[list[int]]:
    """The rows of every draw, blocks of consecutive days taken round the end, day by day."""
    names = sorted(set(days))
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, len(names), size=(draws, math.ceil(len(names) / block)))
    drawn = []
    for draw in starts.tolist():
        taken = [names[(start + k) % len(names)] for start in draw for k in range(block)][: len(names)]
        drawn.append([row for name in taken for row, day in enumerate(days) if day == name])
    return drawn


def trade(
    signal: list[int],
    events: list[dict[str, Any]],
    day_of_close: dict[Any, date],
    *,
    tick_size: float,
    tick_value: float,
    commission: float,
    slippage_ticks: float,
) -> dict[str, Any]:
    """Walk through time bar by bar: close what is due, then open if flat and signalled."""
    closes = sorted(day_of_close)
    by_start = {event["datetime"]: (event, side) for event, side in zip(events, signal, strict=True)}
    daily = {day: [0, 0.0, 0.0] for day in sorted(set(day_of_close.values()))}
    open_trade: dict[str, Any] | None = None
    trades, skipped, held = [], 0, 0
    for now in closes:
        held += open_trade is not None
        if open_trade is not None and open_trade["label_end"] == now:
            slip = slippage_ticks * tick_size * open_trade["side"]
            bought, sold = open_trade["entry"] + slip, open_trade["exit"] - slip
            net = open_trade["side"] * (sold - bought) / tick_size * tick_value - 2 * commission
            gross = open_trade["side"] * (open_trade["exit"] - open_trade["entry"]) / tick_size * tick_value
            trades.append({**open_trade, "gross": gross, "net": net})
            tally = daily[day_of_close[now]]
            tally[0], tally[1], tally[2] = tally[0] + 1, tally[1] + gross, tally[2] + net
            open_trade = None
        event, side = by_start.get(now, (None, 0))
        if event is None or side == 0:
            continue
        if open_trade is not None:
            skipped += 1
            continue
        leave = event["exit_long"] if side > 0 else event["exit_short"]
        open_trade = {"datetime": now, "label_end": event["label_end"], "side": side}
        open_trade |= {"entry": event["entry"], "exit": leave}
    return {"trades": trades, "skipped": skipped, "daily": daily, "held": held, "open": open_trade}
