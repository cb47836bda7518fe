"""What is known at an instant does not change when all that comes after it does.

Raw bars that open at or after a cut are replaced, phase 1 is run again, and everything that was known at the cut must
have the same bits: cleaned bars and longer bars closed by then, their features, and labels that ended by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.audit.proof import Proof, judged
from foldsmith.intervals import Instants, as_instants

GROUP = "causality"
VALUES = ("open", "high", "low", "close", "volume", "trades", "open_interest")
"""Columns of raw bars that are replaced, where they are there."""
PLANTED = "planted: the next bar"
"""A column that knows the close and the volume of the next bar."""
BARRIERS = ("datetime", "entry", "upper", "lower")
"""Of a label, what is known once the first base bar of the next bar has closed: it is entered at that one's open."""


@dataclass(frozen=True)
class Known:
    """What phase 1 makes of raw bars, in memory: base bars, bars, features, and labels and windows by horizon."""

    base: pl.DataFrame
    bars: pl.DataFrame
    features: pl.DataFrame
    labels: Mapping[int, pl.DataFrame]
    max_bars: Mapping[int, int]

    @property
    def closes(self) -> Instants:
        """Close of every bar, microseconds UTC."""
        return as_instants(self.bars["close_time"])


Chain = Callable[[pl.DataFrame], Known]
Spoiler = Callable[[pl.DataFrame, npt.NDArray[np.bool_], np.random.Generator], pl.DataFrame]


def shuffled(raw: pl.DataFrame, after: npt.NDArray[np.bool_], rng: np.random.Generator) -> pl.DataFrame:
    """The bars after the cut in another order, each still a sound bar at some other minute's place."""
    rows = np.arange(raw.height)
    rows[after] = rng.permutation(rows[after])
    return raw.with_columns(raw[name].gather(rows) for name in _values(raw))


def noise(raw: pl.DataFrame, after: npt.NDArray[np.bool_], rng: np.random.Generator) -> pl.DataFrame:
    """Other prices and volumes after the cut: a walk of steps ten times those of the bars' own mean range."""
    n = raw.height
    scale = 10 * float((raw["high"] - raw["low"]).mean() or 1.0)  # type: ignore[arg-type]
    level = float(raw["close"][0])
    close = level * np.exp(np.cumsum(rng.normal(0, min(scale / level, 0.01), n)) / 4)
    open_ = np.r_[level, close[:-1]]
    reach = np.abs(rng.normal(0, scale, (2, n)))
    made = {
        "open": open_,
        "close": close,
        "high": np.maximum(open_, close) + reach[0],
        "low": np.maximum(np.minimum(open_, close) - reach[1], np.minimum(open_, close) / 2),
    }
    made |= {
        name: rng.integers(1, 100_000, n).astype(np.float64) for name in _values(raw) if name not in made
    }
    return _replaced(raw, after, made)


def extreme(raw: pl.DataFrame, after: npt.NDArray[np.bool_], _: np.random.Generator) -> pl.DataFrame:
    """Ten times every price and volume after the cut."""
    return _replaced(raw, after, {name: raw[name].to_numpy() * 10.0 + 1 for name in _values(raw)})


def removed(raw: pl.DataFrame, after: npt.NDArray[np.bool_], _: np.random.Generator) -> pl.DataFrame:
    """The bars after the cut not there."""
    return raw.filter(pl.Series(~after))


SPOILERS: dict[str, Spoiler] = {
    "shuffled": shuffled,
    "noise": noise,
    "ten times": extreme,
    "removed": removed,
}
"""What becomes of the raw bars after a cut. Bars cannot be NaN: cleaning drops such rows."""


def cut_instants(known: Known, spread: int, phases: int | None, marks: int) -> list[int]:
    """Instants to cut at, rising: `spread` over the data, and around the first `marks` rolls or holes and pauses.

    Around a block's or a session's first bar the cut comes right before it, right after it and ten bars on. phases : at
    how many base bars inside a bar each is tried (None for all); one alone takes the phases in turn.
    """
    closes, opens = known.closes, as_instants(known.bars["datetime"])
    n = len(closes)
    if n < 20:
        return []
    places = set(np.linspace(n * 0.1, n * 0.97, spread).astype(int).tolist())
    for name in ("block", "session"):
        marked = known.bars[name].to_physical().to_numpy()
        begins = np.flatnonzero(np.diff(marked)) + 1
        wanted = (
            begins[np.linspace(0, len(begins) - 1, min(marks, len(begins))).astype(int)]
            if len(begins)
            else begins
        )
        places |= {int(begin) + step for begin in wanted for step in (-1, 0, 10)}
    base = as_instants(known.base["datetime"])
    found: set[int] = set()
    for turn, place in enumerate(sorted(p for p in places if 1 <= p < n - 10)):
        inside = base[(base >= opens[place]) & (base < closes[place])]
        steps = range(len(inside)) if phases is None else [turn % max(len(inside), 1)]
        found |= {int(inside[step]) for step in steps if step < len(inside)}
    return sorted(found)


def differences(one: Known, other: Known, cut: int) -> list[str]:
    """What was known at the cut and is not the same in both, by name."""
    found = []
    for name, mine, theirs in (("cleaned bars", one.base, other.base), ("bars", one.bars, other.bars)):
        if not _until(mine, cut).equals(_until(theirs, cut)):
            found.append(name)
    n, m = (int(np.searchsorted(each.closes, cut, side="right")) for each in (one, other))
    for name in one.features.columns:
        same = n == m and name in other.features.columns
        if not same or not _same_bits(one.features[name], other.features[name], n):
            found.append(f"feature {name}")
    same_grid = one.bars.select("datetime", "close_time", "block").equals(
        other.bars.select("datetime", "close_time", "block")
    )
    for horizon in one.labels:
        if not _same_labels(one, other, horizon, cut, whole=same_grid):
            found.append(f"labels of horizon {horizon}")
        mine, theirs = (_entered(each, horizon, cut) for each in (one, other))
        if not mine.join(theirs, on="datetime", how="semi").equals(
            theirs.join(mine, on="datetime", how="semi")
        ):
            found.append(f"barriers of horizon {horizon}")
    return found


def with_leak(known: Known) -> Known:
    """The same, and in bars, features and labels a column that knows the next bar; of a label, that after its end.

    The upper barriers of labels know the bar in which they are entered.
    """
    told = known.bars.select((pl.col("close") + pl.col("volume")).shift(-1).fill_null(-1.0)).to_series()
    told = told.alias(PLANTED)
    closes = known.closes
    labels = {}
    for horizon, table in known.labels.items():
        last = np.searchsorted(closes, as_instants(table["label_end"]), side="left")
        entered = told.gather(table["bar"])
        labels[horizon] = table.with_columns(
            told.gather(np.minimum(last, len(closes) - 1)), (pl.col("upper") + entered).alias("upper")
        )
    return replace(
        known,
        bars=known.bars.with_columns(told),
        features=known.features.with_columns(told),
        labels=labels,
    )


def prove_chain(
    name: str, raw: pl.DataFrame, chain: Chain, clean: Known, cuts: Sequence[int], spoiler: str
) -> Proof:
    """Raw bars after each cut replaced in one way: nothing that was known changes, and the planted leak is seen."""
    opens = as_instants(raw["datetime"])
    leaky = with_leak(clean)
    problems, unseen = [], []
    with_labels = with_barriers = 0
    for number, cut in enumerate(cuts):
        rng = np.random.default_rng((number, 7))
        spoilt = chain(SPOILERS[spoiler](raw, opens >= cut, rng))
        at = f"cut {np.datetime64(cut, 'us')}"
        problems += [f"{each} known at {at} changed" for each in differences(clean, spoilt, cut)]
        seen = differences(leaky, with_leak(spoilt), cut)
        ended = _labels_at_stake(clean, spoilt, cut)
        entered = _barriers_at_stake(clean, spoilt, cut)
        wanted = ["bars", f"feature {PLANTED}", *ended, *entered]
        with_labels += bool(ended)
        with_barriers += bool(entered)
        unseen += [
            f"{each} that know the next bar would not be seen at {at}" for each in wanted if each not in seen
        ]
    if not cuts:
        problems.append("there are too few bars to cut")
    elif not with_labels:
        unseen.append("no label ends right before a cut, so one that knows the next bar would not be seen")
    counts = {
        "cuts": len(cuts),
        "cuts with a label at stake": with_labels,
        "cuts with a barrier at stake": with_barriers,
        "features": clean.features.width - 1,
    }
    did = (
        f"bars after {len(cuts)} cuts {spoiler}: bars, {clean.features.width - 1} features, labels and barriers known "
        "then kept every bit"
    )
    planted = f"a column that knows the next bar: seen at {len(cuts)} cuts" if not unseen else ""
    return judged(GROUP, name, problems=problems, unseen=unseen, did=did, counts=counts, planted=planted)


def _labels_at_stake(clean: Known, spoilt: Known, cut: int) -> list[str]:
    """Horizons with a label, in both, that ends with the last bar before the cut."""
    n = int(np.searchsorted(clean.closes, cut, side="right"))
    if n == 0 or n > len(spoilt.closes):
        return []
    found = []
    for horizon in clean.labels:
        mine, theirs = (
            each.labels[horizon].filter(pl.col("label_end").to_physical() == clean.closes[n - 1])["datetime"]
            for each in (clean, spoilt)
        )
        if mine.is_in(theirs.implode()).any():
            found.append(f"labels of horizon {horizon}")
    return found


def _barriers_at_stake(clean: Known, spoilt: Known, cut: int) -> list[str]:
    """Horizons with a label, in both, that is entered in the bar that is open at the cut, its first base bar over."""
    n = int(np.searchsorted(clean.closes, cut, side="right"))
    return [
        f"barriers of horizon {horizon}"
        for horizon in clean.labels
        if all((_entered(each, horizon, cut, "bar")["bar"] == n - 1).any() for each in (clean, spoilt))
    ]


def _entered(known: Known, horizon: int, cut: int, *also: str) -> pl.DataFrame:
    """Entry and barriers of the labels that were entered by the cut."""
    table = known.labels[horizon]
    opens = as_instants(known.bars["datetime"])[table["bar"].to_numpy() + 1]
    first = np.searchsorted(as_instants(known.base["datetime"]), opens, side="left")
    over = as_instants(known.base["close_time"])[first] <= cut
    return table.filter(pl.Series(over, dtype=pl.Boolean)).select(*BARRIERS, *also)


def _same_labels(one: Known, other: Known, horizon: int, cut: int, *, whole: bool) -> bool:
    """Labels that ended by the cut are equal.

    A label is kept only if its full window can be seen, so one that ended early is dropped where a later hole cuts its
    window off; unless both have the same bars (`whole`), only labels in both, or of windows over by the cut, are asked.
    """
    mine, theirs = _ended(one, horizon, cut), _ended(other, horizon, cut)
    if not whole:
        both = mine["datetime"].is_in(theirs["datetime"].implode())
        kept = theirs["datetime"].is_in(mine["datetime"].implode())
        if (_window_over(one, mine, horizon, cut) & ~both).any():
            return False
        if (_window_over(other, theirs, horizon, cut) & ~kept).any():
            return False
        mine, theirs = mine.filter(both), theirs.filter(kept)
    return mine.equals(theirs)


def _ended(known: Known, horizon: int, cut: int) -> pl.DataFrame:
    table = known.labels[horizon]
    return table.filter(pl.Series(as_instants(table["label_end"]) <= cut))


def _window_over(known: Known, table: pl.DataFrame, horizon: int, cut: int) -> pl.Series:
    closes = known.closes
    last = table["bar"].to_numpy() + known.max_bars[horizon]
    return pl.Series(
        (last < len(closes)) & (closes[np.minimum(last, len(closes) - 1)] <= cut), dtype=pl.Boolean
    )


def _until(bars: pl.DataFrame, cut: int) -> pl.DataFrame:
    return bars.filter(pl.Series(as_instants(bars["close_time"]) <= cut))


def _same_bits(one: pl.Series, other: pl.Series, first: int) -> bool:
    mine, theirs = (each.to_physical().to_numpy()[:first] for each in (one, other))
    return mine.dtype == theirs.dtype and mine.tobytes() == theirs.tobytes()


def _values(raw: pl.DataFrame) -> list[str]:
    return [name for name in VALUES if name in raw.columns]


def _replaced(
    raw: pl.DataFrame, after: npt.NDArray[np.bool_], made: Mapping[str, npt.NDArray[np.float64]]
) -> pl.DataFrame:
    wanted = pl.Series(after)
    return raw.with_columns(
        pl.when(wanted).then(pl.Series(values)).otherwise(pl.col(name)).alias(name)
        for name, values in made.items()
    )
