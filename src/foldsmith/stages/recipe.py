"""The recipe: all that is needed to make a model's inputs from raw bars again, in a file beside the model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foldsmith.errors import DataError
from foldsmith.features.fitted import FITTED
from foldsmith.features.own import OwnFeature
from foldsmith.labels.scheme import TREND_SCANNING, LabelScheme
from foldsmith.labels.triple_barrier import Barriers
from foldsmith.market.instruments import Instrument
from foldsmith.market.roll_rule import DEFAULT_ROLL, RollRule
from foldsmith.market.rules import check_rules
from foldsmith.market.timeframe import Timeframe, parse_timeframe
from foldsmith.runs.store import read_json, write_json

DEFAULT_LABELLING = LabelScheme()


@dataclass(frozen=True)
class HorizonRecipe:
    """How the labels of one horizon were made: the vertical barrier in bars, both widths, and a trend's threshold."""

    max_bars: int
    barriers: Barriers
    threshold: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values, without a threshold where there is none."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, made: dict[str, Any]) -> HorizonRecipe:
        """The inverse of `as_dict`."""
        threshold = made.get("threshold")
        return cls(
            int(made["max_bars"]),
            Barriers(**made["barriers"]),
            None if threshold is None else float(threshold),
        )


@dataclass(frozen=True)
class Recipe:
    """From raw bars to features and labels.

    `cuts` are the instants (microseconds UTC) after which validation and test begin; `bar_microseconds` is the
    length of a bar, None where a sum closes it; `rules` are those of cleaning that do otherwise than by themselves;
    `roll` says which contract is the front. `simulation` is the simulated market's settings, None for a real one.
    `own_features` are those of `features` that the user wrote, with the hashes of their files; they and `labelling` are
    left out of the file where there are none, or the default, as are `fitted`, the features that each fold fits: their
    columns stand behind those of `features`.
    """

    symbol: str
    instrument: Instrument
    timezone: str | None
    stamp: str | None
    rules: dict[str, str]
    timeframe: str
    bar_microseconds: int | None
    volatility_window: int
    features: tuple[str, ...]
    cuts: tuple[int, int]
    horizons: dict[int, HorizonRecipe]
    roll: RollRule = DEFAULT_ROLL
    simulation: str | None = None
    own_features: tuple[OwnFeature, ...] = ()
    labelling: LabelScheme = DEFAULT_LABELLING
    fitted: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All features that a model may see, in the order of its columns."""
        return (*self.features, *self.fitted)

    @property
    def bars(self) -> Timeframe:
        """What closes a bar."""
        return parse_timeframe(self.timeframe)

    def differences(self, other: Recipe, horizon: int | None = None) -> list[str]:
        """What the other does otherwise, in words: `name this, now that`; of the horizons only the one given."""
        mine, theirs = _plain(self, horizon), _plain(other, horizon)
        return [
            f"{name} {_short(mine.get(name))}, now {_short(theirs.get(name))}"
            for name in dict.fromkeys([*mine, *theirs])
            if mine.get(name) != theirs.get(name)
        ]

    def write(self, path: Path) -> None:
        """Store as canonical JSON."""
        content = asdict(self)
        content["horizons"] = {str(h): made.as_dict() for h, made in self.horizons.items()}
        if not self.own_features:
            del content["own_features"]
        if not self.fitted:
            del content["fitted"]
        if self.labelling == DEFAULT_LABELLING:
            del content["labelling"]
        write_json(path, content)

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read what `write` wrote; DataError names what does not fit."""
        content: dict[str, Any] = read_json(path)
        try:
            content.setdefault("own_features", [])
            content.setdefault("fitted", [])
            if content["fitted"] != [name for name in FITTED if name in content["fitted"]]:
                raise ValueError(f"{content['fitted']!r:.60} are not fitted features in their order")
            strange = set(content) ^ {field.name for field in fields(cls)}
            if strange - ({"labelling"} - set(content)):
                raise KeyError(", ".join(sorted(strange)))
            horizons = {int(h): HorizonRecipe.from_dict(made) for h, made in content["horizons"].items()}
            labelling = LabelScheme(**content.get("labelling", {}))
            if any((h.threshold is None) == (labelling.name == TREND_SCANNING) for h in horizons.values()):
                raise ValueError("a threshold belongs to a trend, and to nothing else")
            cuts = int(content["cuts"][0]), int(content["cuts"][1])
            rules = {str(name): str(action) for name, action in content["rules"].items()}
            check_rules(rules)
            if content["bar_microseconds"] != parse_timeframe(content["timeframe"]).microseconds:
                raise ValueError(
                    f"bars of {content['timeframe']} are not {content['bar_microseconds']} us long"
                )
            return cls(
                **{
                    **content,
                    "rules": rules,
                    "instrument": Instrument(**content["instrument"]),
                    "features": tuple(map(str, content["features"])),
                    "cuts": cuts,
                    "horizons": horizons,
                    "roll": RollRule(**content["roll"]),
                    "own_features": tuple(OwnFeature(**feature) for feature in content["own_features"]),
                    "labelling": labelling,
                    "fitted": tuple(content["fitted"]),
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            raise DataError(f"{path} is no recipe ({error}); was it edited? Make the run again.") from error


def _plain(recipe: Recipe, horizon: int | None) -> dict[str, Any]:
    found = asdict(recipe)
    labelled = {
        f"label of horizon {h}": f"{made.max_bars} bars and "
        + (
            f"barriers {made.barriers.up:g}/{made.barriers.down:g}"
            if made.threshold is None
            else f"a trend of |t| above {made.threshold:g}"
        )
        for h, made in recipe.horizons.items()
        if horizon in (None, h)
    }
    found["roll"] = recipe.roll.words
    found |= {f"{name} of labels": value for name, value in found.pop("labelling").items()}
    cuts = dict(zip(("end of training", "end of validation"), found.pop("cuts"), strict=True))
    del found["horizons"]
    found["horizons"] = sorted(recipe.horizons) if horizon is None else horizon in recipe.horizons
    return (
        found
        | {name: f"{datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d %H:%M}" for name, at in cuts.items()}
        | labelled
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
