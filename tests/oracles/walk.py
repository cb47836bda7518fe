"""The slow, obvious twin of the walk over bars: one lot after the other, one bar after the other."""

from __future__ import annotations

from typing import Any


def leave(
    bars: list[dict[str, Any]], lot: dict[str, Any], overnight: bool, barriers: bool
) -> tuple[int, float, str]:
    """Exit bar, price and reason of a lot that is entered at the open after `bar`."""
    for i in range(lot["bar"] + 1, len(bars)):
        bar = bars[i]
        if barriers:
            if bar["open"] >= lot["upper"] or bar["open"] <= lot["lower"]:
                return i, bar["open"], "barrier"
            up, down = bar["high"] >= lot["upper"], bar["low"] <= lot["lower"]
            if up and down:
                if lot["told_bar"] == i:
                    return i, lot["exit_long"] if lot["side"] > 0 else lot["exit_short"], "ambiguous"
                return i, lot["lower"] if lot["side"] > 0 else lot["upper"], "ambiguous"
            if up:
                return i, lot["upper"], "barrier"
            if down:
                return i, lot["lower"], "barrier"
        if i >= lot["last"]:
            return i, bar["close"], "time"
        if i == len(bars) - 1:
            return i, bar["close"], "end"
        if bars[i + 1]["block"] != bar["block"]:
            return i, bar["close"], "roll"
        if overnight and bars[i + 1]["session"] != bar["session"]:
            return i, bar["close"], "session"
    raise AssertionError("a lot without a bar to enter at")


def trade(
    bars: list[dict[str, Any]],
    lots: list[dict[str, Any]],
    *,
    net: bool,
    most: int,
    overnight: bool,
    barriers: bool,
) -> tuple[list[dict[str, Any]], int, int]:
    """Lots that were made (with their exits), signals skipped, and those without a bar to enter at."""
    made: list[dict[str, Any]] = []
    skipped = no_entry = 0
    for lot in lots:
        if lot["contracts"] == 0:
            continue
        t, side = lot["bar"], 1 if lot["contracts"] > 0 else -1
        over = t == len(bars) - 1 or bars[t + 1]["block"] != bars[t]["block"]
        if over or (overnight and bars[t + 1]["session"] != bars[t]["session"]):
            no_entry += 1
            continue
        open_now = [other for other in made if other["exit_bar"] > t]
        room = most - sum(abs(other["signed"]) for other in open_now if other["signed"] * side > 0)
        if not net:
            room = 0 if open_now else most
        size = min(abs(lot["contracts"]), room)
        if size <= 0:
            skipped += 1
            continue
        exit_bar, price, reason = leave(bars, {**lot, "side": side}, overnight, barriers)
        made.append({**lot, "signed": side * size, "exit_bar": exit_bar, "exit": price, "reason": reason})
    return made, skipped, no_entry
