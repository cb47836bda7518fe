"""The page about the features, from the catalogue: `python -m foldsmith.features.page > docs/features.md`."""

from __future__ import annotations

from foldsmith.features.catalogue import FEATURES
from foldsmith.features.fitted import FITTED, MARKOV, POINT
from foldsmith.features.sets import DEFAULT_SET, EVERYTHING, SETS, resolve

_SETS = "\n".join(
    f"| `{name}` | {', '.join(words)} | {len(resolve([name]))} |" for name, words in SETS.items()
)
_HEAD = f"""# Features

Made from the catalogue by `python -m foldsmith.features.page > docs/features.md`; change it there.

`foldsmith.features.compute(bars)` gives {len(FEATURES)} features per bar, from that bar and bars before
it. None has a unit of price, so each carries over from one price level to another. A value is missing
(NaN) in the *warm-up* and a finite number everywhere else.

- **Blocks.** Prices jump where one contract follows another, and nothing is known inside a hole. All but
  the families `seasonal` and `time` begin anew in each block: the warm-up counts bars of the block, the
  bar itself included.
- **Memory.** A `window` feature depends on the last warm-up bars and nothing else, bit for bit. A
  `recursive` one depends on the whole block so far, with weights that fade. A `session` one begins anew
  with the trading day. A `slot` one compares with earlier bars at the same time of day, in earlier blocks
  too, and is missing where that time has not been seen before. Bars that a sum closes open at any second:
  theirs are compared by half hours. A `timeframe` one looks at longer bars.
- **Longer bars.** One of 15m, 1h or 4h holds the bars of a block and session that open in one such stretch of
  New York's clock, counted from 18:00; one of 1d holds a session. It is seen once it has closed: when a bar
  closes at or after the end of the stretch, or at the first bar of the next longer bar (a session: only
  so). The warm-up counts closed longer bars of the block, and 15 bars beside. Bars that are not shorter are
  longer bars themselves: of hourly bars, `distance_1h` is always 0.
- **Letters.** o, h, l, c, v: open, high, low, close, volume. r = ln(c / c[-1]). tr = max(h, c[-1]) -
  min(l, c[-1]). tp = (h + l + c) / 3. x[-k]: x of k bars before. sum_N, mean_N, sd_N (over N), max_N,
  min_N: over the last N bars, this one included. ema_N: exponential mean of weight 2 / (N + 1); wilder_N:
  of weight 1 / N; each begins as the mean of its first N values. wma_N: weights N to 1, the newest the
  heaviest. unit = wilder_14(tr), at least 1e-6 c. O, H, L, C: of the last closed longer bar; there [-k] and
  sum_N count longer bars.

## Sets

A dataset holds the set `{DEFAULT_SET}` unless `--features` names others; [feature_sets.md](feature_sets.md)
says how, and how a workspace adds its own. Each family below is a set by its name, and `{EVERYTHING}` is every
feature that a dataset can hold: all but those that are [fitted inside each fold](#fitted-inside-each-fold).

| set | holds | features |
|---|---|--:|
{_SETS}
"""


_FITTED = f"""
## Fitted inside each fold

The family `hmm`: filtered probabilities of the states of hidden Markov models, P(S = state at t | bars of the
block up to t). Each fold fits the models anew on the bars of its own training rows; the numbers are kept beside
the model that was fitted on the same rows, and `evaluate` and `predict` filter with those. They are never
smoothed: that needs later bars. A dataset holds what they are made of and no column of them; a model sees them
behind its other features. Within a state the inputs are independent Gaussians. Inputs are standardised by
training rows and cut at 8 standard deviations; one in logs is ln(x + {POINT:g}). States are numbered from 0, the
lowest first.

| model | inputs | in logs | states | numbered by, of the first input |
|---|---|---|--:|---|
"""


def page() -> str:
    """The whole page as Markdown: how to read it, one table per family, and what is fitted inside each fold."""
    families = dict.fromkeys(feature.family for feature in FEATURES.values())
    tables = "".join(f"\n## {family.capitalize()}\n\n{_table(family)}" for family in families)
    return _HEAD + tables + _FITTED + _fitted()


def _fitted() -> str:
    lines = [
        f"| `{spec.name}` | {', '.join(spec.inputs)} | {', '.join(spec.logs)} | {spec.states} | {spec.order} |"
        for spec in MARKOV.values()
    ]
    lines += ["", "| feature | warm-up | model | equation | source |", "|---|--:|---|---|---|"]
    for feature in FITTED.values():
        equation = feature.equation.replace("|", "\\|")
        cells = (f"`{feature.name}`", feature.warmup, f"`{feature.model}`", f"`{equation}`", feature.source)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _table(family: str) -> str:
    lines = [
        "| feature | warm-up | memory | equation | where it has none | source |",
        "|---|--:|---|---|---|---|",
    ]
    for feature in FEATURES.values():
        if feature.family == family:
            equation = feature.equation.replace("|", "\\|")
            cells = (f"`{feature.name}`", feature.warmup, feature.memory, f"`{equation}`")
            lines.append(
                "| "
                + " | ".join(map(str, (*cells, feature.degenerate.replace("|", "\\|"), feature.source)))
                + " |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
