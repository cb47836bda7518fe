"""Slow, obvious twins of foldsmith.models, foldsmith.ensembles and foldsmith.validation."""

from __future__ import annotations

import math
from typing import Any


def greedy_weights(P: Any, codes: Any, weight: Any, rounds: int, floor: float = 1e-6) -> list[float]:
    """Add the model that helps the mean of all additions most; keep the best round."""
    m = len(P[0]) // 3
    bag: list[int] = []
    best, kept = math.inf, [0.0] * m
    for _ in range(rounds):
        losses = []
        for candidate in range(m):
            tried = [*bag, candidate]
            loss = total = 0.0
            for row, code, w in zip(P, codes, weight, strict=True):
                mean = sum(float(row[3 * k + code]) for k in tried) / len(tried)
                loss -= w * math.log(max(mean, floor))
                total += w
            losses.append(loss / total)
        bag.append(losses.index(min(losses)))
        if min(losses) < best:
            best, kept = min(losses), [bag.count(k) / len(bag) for k in range(m)]
    return kept


def penalised_loss(X: Any, codes: Any, weight: Any, l2: float, coefficients: Any, intercepts: Any) -> float:
    """Mean log loss of the multinomial model, plus l2 / 2 times the squared coefficients."""
    loss = total = 0.0
    for x, code, w in zip(X, codes, weight, strict=True):
        z = [
            a + sum(float(b) * float(v) for b, v in zip(row, x, strict=True))
            for a, row in zip(intercepts, coefficients, strict=True)
        ]
        top = max(z)
        loss += w * (top + math.log(sum(math.exp(v - top) for v in z)) - z[code])
        total += w
    return loss / total + l2 / 2 * sum(float(b) ** 2 for row in coefficients for b in row)


def may_train(t0: Any, t1: Any, test: Any, bars: Any, embargo: int, purge: int) -> list[int]:
    """Rows whose label does not meet the widened test span, nor begins in the embargo; bar by bar."""
    start, end = min(t0[i] for i in test), max(t1[i] for i in test)
    before = [b for b in bars if b < start]
    after = [b for b in bars if b > end]
    first = start if purge == 0 else (before[-purge] if len(before) >= purge else -math.inf)
    last = end if purge == 0 else (after[purge - 1] if len(after) >= purge else math.inf)
    until = end if embargo == 0 else (after[embargo - 1] if len(after) >= embargo else math.inf)
    held = {int(i) for i in test}
    return [
        i
        for i in range(len(t0))
        if i not in held and not (t0[i] <= last and t1[i] >= first) and not (end < t0[i] <= until)
    ]


def uniqueness(t0: Any, t1: Any, bars: Any) -> list[float]:
    """Mean over the bars of a label of 1 / (labels alive at that bar), scaled to a mean of 1."""
    raw = []
    for a, b in zip(t0, t1, strict=True):
        alive = [
            sum(1 for c, d in zip(t0, t1, strict=True) if c <= bar <= d) for bar in bars if a <= bar <= b
        ]
        raw.append(sum(1 / n for n in alive) / len(alive))
    return [value * len(raw) / sum(raw) for value in raw]


def walk(nodes: Any, root: int, x: Any) -> list[float]:
    """The class shares of the leaf that one row falls into."""
    node = nodes[root]
    while node["feature"] >= 0:
        node = nodes[node["left"] if float(x[node["feature"]]) <= node["threshold"] else node["right"]]
    return [float(share) for share in node["shares"]]


def mean_of_models(row: list[float]) -> list[float]:
    """The plain mean of the models' probabilities, scaled to add up to 1."""
    mean = [sum(row[c::3]) for c in range(3)]
    return [p / sum(mean) for p in mean]


def side_of(row: list[float]) -> int:
    """1 for long, -1 for short, 0 where a row of all models gives them equal probability."""
    short, _, long = (sum(row[c::3]) for c in range(3))
    return 0 if abs(long - short) < 1e-12 else 1 if long > short else -1


def meta_labels(P: list[list[float]], y: list[int]) -> tuple[list[int], list[int]]:
    """The rows with a side, and whether it is right."""
    rows = [i for i, row in enumerate(P) if side_of(row) != 0]
    return rows, [int(side_of(P[i]) == y[i]) for i in rows]


def meta_input(row: list[float]) -> list[float]:
    """Logarithms of each model's probabilities against, neutral and with the side; spread of the latter; the side."""
    side = side_of(row)
    models = [row[k : k + 3] for k in range(0, len(row), 3)]
    turned = [model if side > 0 else model[::-1] for model in models]
    with_side = [model[2] for model in turned]
    mean = sum(with_side) / len(with_side)
    spread = (sum((p - mean) ** 2 for p in with_side) / len(with_side)) ** 0.5
    return [math.log(max(p, 1e-6)) for model in turned for p in model] + [spread, float(side)]


def meta_inputs(P: list[list[float]], y: list[int]) -> tuple[list[list[float]], list[int], list[int]]:
    """Inputs, rows and answers of the second model."""
    rows, right = meta_labels(P, y)
    return [meta_input(P[i]) for i in rows], rows, right


def meta_labelled(P: list[list[float]], facts: dict[str, Any]) -> list[list[float]]:
    """The probability of the side from these coefficients of wrong and right, the rest shared as the mean has it."""
    found = []
    for row in P:
        mean, side = mean_of_models(row), side_of(row)
        if side == 0:
            found.append(mean)
            continue
        x = meta_input(row)
        scores = {
            code: math.exp(
                facts["intercepts"][code]
                + sum(b * v for b, v in zip(facts["coefficients"][code], x, strict=True))
            )
            for code in facts["present"]
        }
        m = scores.get(1, 0.0) / sum(scores.values())
        rest = 1 - mean[side + 1]
        found.append(
            [m if c == side + 1 else (1 - m) * (mean[c] / rest if rest > 1e-12 else 0.5) for c in range(3)]
        )
    return found


def hinge_loss(Z: Any, targets: Any, share: Any, l2: float, theta: Any) -> float:
    """Weighted squared hinge loss of one class, plus half the penalty; theta's last number is the intercept."""
    loss = 0.0
    for z, t, w in zip(Z, targets, share, strict=True):
        score = sum(float(b) * float(v) for b, v in zip(theta, z, strict=True))
        loss += float(w) * max(0.0, 1 - float(t) * score) ** 2
    return loss + l2 / 2 * sum(float(b) ** 2 for b in theta[:-1])


def network(arrays: Any, x: Any) -> list[float]:
    """The scores of a network for one row, unit by unit."""
    values = [float(v) for v in x]
    for at in range(0, len(arrays), 2):
        weights, biases = arrays[at], arrays[at + 1]
        sums = [
            float(biases[j]) + sum(v * float(weights[i][j]) for i, v in enumerate(values))
            for j in range(len(biases))
        ]
        values = sums if at + 2 == len(arrays) else [max(0.0, s) for s in sums]
    return values


def windows(values: Any, block: Any, bar: Any, length: int) -> tuple[list[Any], list[bool]]:
    """One window after another: the bars up to each bar, if all are there, of one block and finite."""
    found, whole = [], []
    for last in bar:
        rows = range(int(last) - length + 1, int(last) + 1)
        good = rows[0] >= 0
        if good:
            # Blocks are runs: the same number further back is another block.
            good = all(block[r] == block[last] for r in rows)
            good = good and all(math.isfinite(v) for r in rows for v in values[r])
        whole.append(bool(good))
        if good:
            found.append([[float(v) for v in values[r]] for r in rows])
    return found, whole
