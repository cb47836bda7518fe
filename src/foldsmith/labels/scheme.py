"""What labels and their weights can be, by name, and the settings of a labelling."""

from __future__ import annotations

from dataclasses import dataclass

from foldsmith.errors import SettingError

WEIGHTS = ("none", "uniqueness", "return", "uniqueness-return")
"""Sample weights: of 1; average uniqueness; return attribution; and the product of these two."""
BY_RETURN = ("return", "uniqueness-return")
"""Those that need the return of each bar."""

TRIPLE_BARRIER, FIXED_HORIZON, TREND_SCANNING = "triple-barrier", "fixed-horizon", "trend-scanning"
LABELS = (TRIPLE_BARRIER, FIXED_HORIZON, TREND_SCANNING)
VOLATILITIES = ("close", "atr", "parkinson")
"""What can scale barriers; the equations are in `triple_barrier.volatility` and `range_volatility`."""

NEUTRAL, AFTER_COST = "neutral-share", "after-cost"
OBJECTIVES = (NEUTRAL, AFTER_COST)
"""What barrier widths are chosen for, where they are not given: `barrier_tuning` and `barrier_payoff`."""


def check_edge(edge: float) -> None:
    """SettingError unless 0 < edge < 1/2: at 0 nothing pays, and at 1/2 every trade is right."""
    if not 0 < edge < 0.5:
        raise SettingError(
            f"--assumed-edge {edge:g} cannot be used; give the hit rate above one half that you assume, above 0 and "
            "below 0.5 (0.05 is right 55 times of 100)."
        )


@dataclass(frozen=True)
class LabelScheme:
    """How bars are labelled, the same for every horizon of a dataset.

    `barrier_volatility` scales barriers. They stand at least `min_barrier_cost` round-trip costs from the entry, the
    cost of a round trip being 2 commissions and 2 slippages. `trend_min_bars` is the shortest window of a trend scan.
    """

    name: str = TRIPLE_BARRIER
    barrier_volatility: str = "close"
    min_barrier_cost: float = 0.0
    trend_min_bars: int = 5

    def __post_init__(self) -> None:
        for flag, value, known in (
            ("--label", self.name, LABELS),
            ("--barrier-volatility", self.barrier_volatility, VOLATILITIES),
        ):
            if value not in known:
                raise SettingError(f"{flag} {value!r:.40} is unknown; there are {', '.join(known)}.")
        if not 0 <= self.min_barrier_cost <= 1000:
            raise SettingError(
                f"--min-barrier-cost {self.min_barrier_cost:g} is out of range; give 0 to 1000 round-trip costs."
            )
        if not 2 <= self.trend_min_bars <= 5000:
            raise SettingError(
                f"--trend-min-bars {self.trend_min_bars} is out of range; a line through fewer than 3 closes fits "
                "without error, so give 2 to 5000 bars."
            )

    def least_ticks(self, commission: float, slippage_ticks: float, tick_value: float) -> float:
        """Ticks that a barrier is from the entry at least, costs of an instrument given per side.

        >>> LabelScheme(min_barrier_cost=2.0).least_ticks(0.625, 1.0, 1.25)
        6.0
        """
        return max(1.0, self.min_barrier_cost * 2 * (commission / tick_value + slippage_ticks))
