"""The slow, obvious twin of the walk over bars: one lot after the other, one bar after the other."""

from __future__ import annotations

from fractions import Fraction
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


def mean_position(
    bars: list[dict[str, Any]],
    lots: list[dict[str, Any]],
    *,
    overnight: bool,
    barriers: bool,
) -> tuple[list[tuple[int, float, int]], list[int]]:
    """Every order (bar, price, contracts bought) of who holds the mean of all active signals; position at each close.

    Each signal is followed to its end first, on its own; then the bars are gone through with the list of all ends.
    """
    alive = []
    for lot in lots:
        t, size = lot["bar"], lot["size"]
        over = t == len(bars) - 1 or bars[t + 1]["block"] != bars[t]["block"]
        if size == 0 or over or (overnight and bars[t + 1]["session"] != bars[t]["session"]):
            continue
        exit_bar, price, _ = leave(bars, {**lot, "side": 1 if size > 0 else -1}, overnight, barriers)
        opened = bars[exit_bar]["open"]
        if barriers and (opened >= lot["upper"] or opened <= lot["lower"]):
            place = "open"
        elif barriers and (bars[exit_bar]["high"] >= lot["upper"] or bars[exit_bar]["low"] <= lot["lower"]):
            place = "inside"
        else:
            place = "close"
        alive.append({**lot, "exit_bar": exit_bar, "exit": price, "place": place})
    orders: list[tuple[int, float, int]] = []
    closes: list[int] = []
    position = 0
    gone: list[int] = []
    for i, bar in enumerate(bars):
        held = [lot for lot in alive if lot["bar"] < i and lot["bar"] not in gone]
        if nearest(held) != position:
            orders.append((i, bar["open"], nearest(held) - position))
            position = nearest(held)
        for place in ("open", "inside", "close"):
            ending = [lot for lot in held if lot["exit_bar"] == i and lot["place"] == place]
            groups = [[lot] for lot in ending] if place == "inside" else [ending] if ending else []
            for group in groups:
                gone += [lot["bar"] for lot in group]
                held = [lot for lot in held if lot["bar"] not in gone]
                # The part of the way from the position to its new target on which the position shrinks.
                new = position
                while new != 0 and abs(new - nearest(held)) > abs(
                    new - (1 if new > 0 else -1) - nearest(held)
                ):
                    new -= 1 if new > 0 else -1
                if new != position:
                    orders.append((i, group[0]["exit"], new - position))
                    position = new
        closes.append(position)
    return orders, closes


def nearest(held: list[dict[str, Any]]) -> int:
    """The whole number nearest to the mean size; of two, the one nearer to 0."""
    if not held:
        return 0
    mean = sum((Fraction(lot["size"]) for lot in held), Fraction(0)) / len(held)
    return min(range(-20, 21), key=lambda whole: (abs(whole - mean), abs(whole)))
