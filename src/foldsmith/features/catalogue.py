"""The list of named features: the one place that says which there are, and in what order.

In the equations o, h, l, c and v are a bar's open, high, low, close and volume, r = ln(c / c[-1]), tr its
true range max(h, c[-1]) - min(l, c[-1]) and tp = (h + l + c) / 3; x[-k] is x of k bars before. sum_N, mean_N,
sd_N, max_N and min_N run over the last N bars, this one included. sd divides by N. ema_N is an exponential
mean of weight 2 / (N + 1), wilder_N one of weight 1 / N; each starts as the plain mean of its first N values.
wma_N weighs the last N by N to 1, the newest the heaviest. unit = wilder_14(tr), but at least 1e-6 c. O, H, L and C
are those of the last closed bar of the longer timeframe that a name ends in; there [-k] and sum_N count such bars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Feature:
    """One named feature.

    warmup : bars of a block (seasonal: of the series) that must be seen for the first value, the bar itself
    included; of `timeframe`: longer bars of the block that must have closed, and 15 bars. memory : what a value
    depends on: `window`, the last `warmup` bars; `recursive`, every bar of the block, with weights that fade;
    `session`, the bars of this session in this block; `slot`, earlier bars at the same time of day; `timeframe`,
    the last longer bars of the block that have closed, and this bar. degenerate : the value where the equation has
    none; else empty.
    """

    name: str
    family: str
    warmup: int
    memory: str
    equation: str
    degenerate: str
    source: str


# name, warm-up, memory, equation, degenerate, source
_Row = tuple[str, int, str, str, str, str]
# fmt: off
_TABLE: dict[str, tuple[_Row, ...]] = {
    "price": (
        ("return_1", 2, "window", "ln(c / c[-1])", "", "log return"),
        ("return_3", 4, "window", "ln(c / c[-3])", "", "log return"),
        ("return_6", 7, "window", "ln(c / c[-6])", "", "log return"),
        ("return_12", 13, "window", "ln(c / c[-12])", "", "log return"),
        ("return_24", 25, "window", "ln(c / c[-24])", "", "log return"),
        ("return_48", 49, "window", "ln(c / c[-48])", "", "log return"),
        ("gap", 2, "window", "ln(o / c[-1])", "", "log return"),
        ("bar_range", 1, "window", "ln(h / l)", "", "log range"),
        ("body", 1, "window", "(c - o) / (h - l)", "0 without range", "candlesticks"),
        ("close_location", 1, "window", "(2 c - h - l) / (h - l)", "0 without range", "Chaikin"),
        ("upper_wick", 1, "window", "(h - max(o, c)) / (h - l)", "0 without range", "candlesticks"),
        ("lower_wick", 1, "window", "(min(o, c) - l) / (h - l)", "0 without range", "candlesticks"),
        ("high_distance_48", 48, "window", "ln(c / max_48(h))", "", "Donchian channel"),
        ("low_distance_48", 48, "window", "ln(c / min_48(l))", "", "Donchian channel"),
        ("session_return", 1, "session", "ln(c / first o of the session)", "", "log return"),
        ("session_position", 1, "session",
         "ln(c / L) / ln(H / L), H and L the high and low of the session so far",
         "0.5 without range", "stochastic"),
        ("session_range", 1, "session",
         "ln(H / L), H and L the high and low of the session so far", "", "log range"),
    ),
    "momentum": (
        ("momentum_12", 49, "window",
         "ln(c / c[-12]) / sqrt(12 mean_48(r^2))", "0 without moves", "volatility-scaled return"),
        ("rsi_6", 7, "recursive",
         "100 U / (U + D), U and D = wilder_6 of rises and falls of c", "50 without moves", "Wilder 1978"),
        ("rsi_14", 15, "recursive",
         "100 U / (U + D), U and D = wilder_14 of rises and falls of c", "50 without moves", "Wilder 1978"),
        ("stochastic_k_14", 14, "window",
         "K = 100 (c - min_14(l)) / (max_14(h) - min_14(l))", "50 without range", "Lane"),
        ("stochastic_d_14", 16, "window", "mean_3(K)", "50 without range", "Lane"),
        ("williams_r_42", 42, "window",
         "-100 (max_42(h) - c) / (max_42(h) - min_42(l))", "-50 without range", "Williams"),
        ("cci_20", 20, "window",
         "(tp - mean_20(tp)) / (0.015 mean_20(|tp - its mean_20|))", "0 without moves", "Lambert 1980"),
        ("ultimate_oscillator", 29, "window",
         "100 (4 A_7 + 2 A_14 + A_28) / 7, A_N = sum_N(c - min(l, c[-1])) / sum_N(tr)",
         "A_N = 0.5 without range", "Williams 1985"),
        ("efficiency_24", 25, "window",
         "(c - c[-24]) / sum_24(|c - c[-1]|)", "0 without moves", "Kaufman 1995"),
        ("sign_balance_24", 25, "window", "mean_24(sign(c - c[-1]))", "", "sign test"),
        ("autocorrelation_24", 26, "window",
         "sum_24(r r[-1]) / sqrt(sum_24(r^2) sum_24(r[-1]^2))", "0 without moves", "autocorrelation about 0"),
    ),
    "volatility": (
        ("close_volatility_12", 13, "window", "sqrt(mean_12(r^2))", "", "close to close"),
        ("close_volatility_48", 49, "window", "sqrt(mean_48(r^2))", "", "close to close"),
        ("parkinson_24", 24, "window", "sqrt(mean_24(ln(h / l)^2) / (4 ln 2))", "", "Parkinson 1980"),
        ("garman_klass_24", 24, "window",
         "sqrt(mean_24(ln(h / l)^2 / 2 - (2 ln 2 - 1) ln(c / o)^2))", "", "Garman and Klass 1980"),
        ("rogers_satchell_24", 24, "window",
         "sqrt(X), X = mean_24(ln(h / o) ln(h / c) + ln(l / o) ln(l / c))", "", "Rogers and Satchell 1991"),
        ("yang_zhang_24", 25, "window",
         "sqrt(A + k B + (1 - k) X), A and B = var_24 (over 23) of ln(o / c[-1]) and ln(c / o), "
         "k = 0.34 / (1.34 + 25 / 23), X as in rogers_satchell_24", "", "Yang and Zhang 2000"),
        ("natr_14", 15, "recursive", "wilder_14(tr) / c", "", "Wilder 1978"),
        ("true_range_ratio_24", 25, "window", "tr / mean_24(tr)", "1 without range", "Wilder 1978"),
        ("volatility_ratio_6_48", 49, "window",
         "ln(sqrt(mean_6(r^2) / mean_48(r^2)))", "0 without moves", "close to close"),
        ("bollinger_width_20", 20, "window", "4 sd_20(c) / mean_20(c)", "", "Bollinger"),
        ("downside_share_48", 49, "window",
         "sum_48(r^2 where r < 0) / sum_48(r^2)", "0.5 without moves", "Barndorff-Nielsen et al. 2010"),
        ("skew_48", 49, "window",
         "sqrt(48) sum_48(r^3) / sum_48(r^2)^1.5", "0 without moves", "Amaya et al. 2015"),
        ("kurtosis_48", 49, "window",
         "48 sum_48(r^4) / sum_48(r^2)^2", "3 without moves", "Amaya et al. 2015"),
        ("bollinger_position_20", 20, "window",
         "(c - mean_20(c)) / (2 sd_20(c))", "0 without moves", "Bollinger"),
    ),
    "trend": (
        ("ema_distance_12", 15, "recursive", "(c - ema_12(c)) / unit", "", "exponential mean"),
        ("ema_distance_24", 24, "recursive", "(c - ema_24(c)) / unit", "", "exponential mean"),
        ("ema_distance_48", 48, "recursive", "(c - ema_48(c)) / unit", "", "exponential mean"),
        ("ema_cross_12_48", 48, "recursive", "(ema_12(c) - ema_48(c)) / unit", "", "exponential mean"),
        ("macd_12_26", 26, "recursive", "M / unit, M = ema_12(c) - ema_26(c)", "", "Appel"),
        ("macd_histogram", 34, "recursive", "(M - ema_9(M)) / unit", "", "Appel"),
        ("adx_14", 28, "recursive",
         "wilder_14(100 |P - M| / (P + M)), P and M = directional moves up and down, smoothed",
         "0 for a bar without P and M", "Wilder 1978"),
        ("di_difference_14", 15, "recursive",
         "100 (P - M) / T, T = true range smoothed as P and M are", "0 without range", "Wilder 1978"),
        ("aroon_25", 26, "window",
         "100 (a - b) / 25, a and b = bars since the newest low and high of the last 26", "", "Chande 1995"),
        ("slope_24", 24, "window",
         "slope per bar of the least-squares line through the last 24 ln(c), over sqrt(mean_23(r^2))",
         "0 without moves", "least squares"),
        ("slope_48", 48, "window",
         "slope per bar of the least-squares line through the last 48 ln(c), over sqrt(mean_47(r^2))",
         "0 without moves", "least squares"),
        ("r2_24", 24, "window",
         "R^2 of the least-squares line through the last 24 ln(c)", "0 without moves", "least squares"),
        ("r2_48", 48, "window",
         "R^2 of the least-squares line through the last 48 ln(c)", "0 without moves", "least squares"),
        ("choppiness_14", 15, "window",
         "100 ln(sum_14(tr) / (max_14(h) - min_14(l))) / ln 14", "100 without range", "Dreiss"),
    ),
    "volume": (
        ("volume_change", 2, "window", "ln((1 + v) / (1 + v[-1]))", "", "log ratio"),
        ("volume_z_48", 48, "window",
         "(x - mean_48(x)) / sd_48(x), x = ln(1 + v)", "0 where x is constant", "z-score"),
        ("volume_ratio_6_48", 48, "window", "ln((1 + mean_6(v)) / (1 + mean_48(v)))", "", "log ratio"),
        ("obv_change_24", 25, "window",
         "sum_24(s) / sum_24(v), s = v sign(c - c[-1])", "0 without volume", "Granville 1963"),
        ("obv_slope_24", 24, "window",
         "slope per bar of the least-squares line through the last 24 running sums of s, over mean_23(v)",
         "0 without volume", "Granville 1963"),
        ("mfi_14", 15, "window",
         "100 U / (U + D), U and D = sum_14(tp v) where tp rose and where it fell",
         "50 without flow", "Quong and Soudack 1989"),
        ("chaikin_20", 20, "window",
         "sum_20(v (2 c - h - l) / (h - l)) / sum_20(v)",
         "0 for a bar without range, and without volume", "Chaikin"),
        ("session_vwap_distance", 1, "session",
         "c / (sum(tp v) / sum(v)) - 1, sums over the session so far",
         "0 without volume", "volume-weighted price"),
        ("vwap_distance_24", 24, "window",
         "c / (sum_24(tp v) / sum_24(v)) - 1", "0 without volume", "volume-weighted price"),
        ("illiquidity_12_48", 49, "window",
         "ln(mean_12(|r| / v) / mean_48(|r| / v))",
         "|r| / v is 0 without volume; 0 if a mean is 0", "Amihud 2002"),
        ("range_volume_correlation_24", 24, "window",
         "correlation over 24 bars of ln(h / l) with ln(1 + v)", "0 where one is constant", "Pearson"),
    ),
    "seasonal": (
        ("volume_seasonal", 2, "slot",
         "x = ln((1 + v) / (1 + m)), m = mean of v at earlier bars of this time of day in New York, "
         "the newest weighing max(1 / their number, 0.1)",
         "NaN at a time of day not seen before", "periodic mean"),
        ("volume_seasonal_6", 7, "slot",
         "mean of x over the last 6 bars, of those that have one",
         "NaN if fewer than half have one", "periodic mean"),
        ("volume_seasonal_12", 13, "slot",
         "mean of x over the last 12 bars, of those that have one",
         "NaN if fewer than half have one", "periodic mean"),
        ("volume_seasonal_24", 25, "slot",
         "mean of x over the last 24 bars, of those that have one",
         "NaN if fewer than half have one", "periodic mean"),
    ),
    "time": (
        ("time_sin", 1, "window",
         "sin(2 pi s / 86400), s = seconds of the day in New York at the open of the bar", "", "clock"),
        ("time_cos", 1, "window", "cos(2 pi s / 86400)", "", "clock"),
        ("session_minutes", 1, "session",
         "minutes from the open of the session's first bar to the close of this one", "", "clock"),
        ("day_of_week", 1, "window", "weekday of the trading day, Monday = 0", "", "calendar"),
        ("cash_hours", 1, "window", "1 from 9:30 to 16:00 in New York, else 0", "", "calendar"),
    ),
    "average": (
        ("sma_distance_12", 15, "recursive", "(c - mean_12(c)) / unit", "", "moving average"),
        ("sma_distance_24", 24, "recursive", "(c - mean_24(c)) / unit", "", "moving average"),
        ("sma_distance_48", 48, "recursive", "(c - mean_48(c)) / unit", "", "moving average"),
        ("sma_cross_12_48", 48, "recursive", "(mean_12(c) - mean_48(c)) / unit", "", "moving average"),
        ("sma_slope_24", 30, "recursive", "(A - A[-6]) / unit, A = mean_24(c)", "", "moving average"),
        ("sma_side_24", 47, "window",
         "mean_24(sign(c - mean_24(c))), 0 for a difference below 1e-9 c", "", "moving average"),
        ("wma_distance_24", 24, "recursive", "(c - wma_24(c)) / unit", "", "linear weights"),
        ("hull_distance_24", 28, "recursive",
         "(c - wma_5(2 wma_12(c) - wma_24(c))) / unit", "", "Hull 2005"),
        ("trima_distance_24", 24, "recursive", "(c - mean_12(mean_13(c))) / unit", "", "triangular weights"),
        ("vwma_distance_24", 24, "recursive",
         "(c - sum_24(c v) / sum_24(v)) / unit", "0 without volume", "volume weights"),
        ("dema_distance_24", 47, "recursive",
         "(c - 2 E + ema_24(E)) / unit, E = ema_24(c)", "", "Mulloy 1994"),
        ("tema_distance_12", 34, "recursive",
         "(c - 3 E + 3 F - ema_12(F)) / unit, E = ema_12(c), F = ema_12(E)", "", "Mulloy 1994"),
        ("kama_distance_24", 25, "recursive",
         "(c - K) / unit, K = K[-1] + w^2 (c - K[-1]) begun at c, w = 2/31 + (2/3 - 2/31) e, "
         "e = |c - c[-24]| / sum_24(|c - c[-1]|)", "e = 1 without moves", "Kaufman 1995"),
        ("zlema_distance_24", 35, "recursive", "(c - ema_24(2 c - c[-11])) / unit", "", "Ehlers and Way 2010"),
    ),
    "oscillator": (
        ("trix_15", 44, "recursive",
         "100 (E / E[-1] - 1), E = ema_15(ema_15(ema_15(c)))", "", "Hutson 1983"),
        ("chande_20", 21, "window",
         "100 (c - c[-20]) / sum_20(|c - c[-1]|)", "0 without moves", "Chande 1994"),
        ("stochastic_rsi_14", 28, "recursive",
         "100 (R - min_14(R)) / (max_14(R) - min_14(R)), R = rsi_14",
         "50 where the range of R is below 1e-9", "Chande and Kroll 1994"),
        ("true_strength_25_13", 38, "recursive",
         "100 ema_13(ema_25(d)) / ema_13(ema_25(|d|)), d = c - c[-1]", "0 without moves", "Blau 1991"),
        ("awesome_5_34", 34, "recursive", "(mean_5(m) - mean_34(m)) / unit, m = (h + l) / 2", "", "Williams"),
        ("coppock_10", 49, "window",
         "wma_10(ln(c / c[-14]) + ln(c / c[-11])) / sqrt(25 mean_48(r^2))", "0 without moves", "Coppock 1962"),
        ("fisher_10", 10, "recursive",
         "F = ln((1 + x) / (1 - x)) / 2 + F[-1] / 2, x = 0.66 (p - 0.5) + 0.67 x[-1] within +-0.999, "
         "p = (m - min_10(m)) / (max_10(m) - min_10(m)), m = (h + l) / 2",
         "p = 0.5 without range", "Ehlers 2002"),
        ("streak", 2, "recursive", "bars in a row with c above c[-1], or minus those below", "", "Connors"),
        ("rsi_divergence_14", 28, "recursive", "R - mean_14(R), R = rsi_14", "", "Wilder 1978"),
        ("bull_power_13", 15, "recursive", "(h - ema_13(c)) / unit", "", "Elder 1993"),
        ("bear_power_13", 15, "recursive", "(l - ema_13(c)) / unit", "", "Elder 1993"),
        ("balance_of_power_14", 14, "window",
         "mean_14((c - o) / (h - l))", "0 for a bar without range", "Livshin 2001"),
        ("vortex_14", 15, "window",
         "sum_14(|h - l[-1]| - |l - h[-1]|) / sum_14(tr)", "0 without range", "Botes and Siepman 2010"),
        ("mass_index_25", 41, "recursive",
         "sum_25(E / ema_9(E)), E = ema_9(h - l)", "25 without range", "Dorsey 1992"),
    ),
    "variation": (
        ("bipower_48", 49, "window",
         "B = sqrt(pi / 2 mean_47(|r r[-1]|))", "", "Barndorff-Nielsen and Shephard 2004"),
        ("jump_share_48", 49, "window",
         "max(1 - B^2 / mean_48(r^2), 0), B = bipower_48",
         "0 without moves", "Barndorff-Nielsen and Shephard 2004"),
        ("median_volatility_48", 49, "window",
         "sqrt(pi / (6 - 4 sqrt(3) + pi) mean_46(x^2)), x = median of |r|, |r[-1]| and |r[-2]|",
         "", "Andersen, Dobrev and Schaumburg 2012"),
        ("parkinson_ratio_48", 49, "window",
         "ln(sqrt(mean_48(ln(h / l)^2) / (4 ln 2) / mean_48(r^2)))",
         "0 without moves or range", "Parkinson 1980"),
        ("range_variation_48", 48, "window",
         "sd_48(x) / mean_48(x), x = ln(h / l)", "0 where x is constant", "coefficient of variation"),
        ("donchian_width_24", 24, "window", "ln(max_24(h) / min_24(l))", "", "Donchian channel"),
        ("range_share_12_48", 48, "window",
         "(max_12(h) - min_12(l)) / (max_48(h) - min_48(l))", "1 without range", "Donchian channel"),
        ("high_low_correlation_24", 25, "window",
         "correlation over 24 bars of ln(h / h[-1]) with ln(l / l[-1])",
         "0 where one is constant", "Pearson"),
        ("gap_share_48", 49, "window",
         "G / (G + sum_48(|ln(c / o)|)), G = sum_48(|ln(o / c[-1])|)", "0 without moves", "log return"),
        ("ulcer_24", 47, "window", "sqrt(mean_24(ln(c / max_24(c))^2))", "", "Martin and McCann 1989"),
    ),
    "flow": (
        ("force_index_13", 15, "recursive",
         "ema_13((c - c[-1]) v) / (unit ema_13(v)), both begun at the second bar",
         "0 without volume", "Elder 1993"),
        ("ease_of_movement_14", 15, "recursive",
         "mean_14((m - m[-1]) (h - l) / v) mean_14(v) / unit^2, m = (h + l) / 2",
         "0 for a bar without volume", "Arms"),
        ("volume_weighted_return_24", 25, "window",
         "sum_24(r v) / sum_24(v) / sqrt(mean_24(r^2))", "0 without volume or moves", "price-volume trend"),
        ("negative_volume_24", 25, "window",
         "sum_24(r where v < v[-1]) / sqrt(sum_24(r^2))", "0 without moves", "Dysart; Fosback 1976"),
        ("positive_volume_24", 25, "window",
         "sum_24(r where v > v[-1]) / sqrt(sum_24(r^2))", "0 without moves", "Dysart; Fosback 1976"),
        ("volume_concentration_24", 24, "window",
         "max_24(v) / sum_24(v)", "0 without volume", "largest share"),
        ("vwap_slope_24", 30, "recursive",
         "(W - W[-6]) / unit, W = sum_24(tp v) / sum_24(v)",
         "0 where a sum is without volume", "volume-weighted price"),
        ("volume_weighted_volatility_24", 25, "window",
         "sqrt(sum_24(v r^2) / sum_24(v) / mean_24(r^2))", "1 without volume or moves", "volume weights"),
        ("session_vwap_band", 1, "session",
         "(c - W) / S, W and S = mean and standard deviation of tp over the session so far, weighted by v",
         "0 where S is below 1e-9 c", "volume-weighted price"),
    ),
    "timeframe": (
        ("move_15m", 1, "timeframe",
         "ln(C / O) / sqrt(sum of r^2 in that bar, its first r being ln(c / o))",
         "0 without moves", "volatility-scaled return"),
        ("location_15m", 1, "timeframe", "(2 C - H - L) / (H - L)", "0 without range", "Chaikin"),
        ("distance_15m", 1, "timeframe", "(c - C) / max(H - L, unit)", "", "pivot distance"),
        ("efficiency_15m_12", 12, "timeframe",
         "(C - O[-11]) / (|C[-11] - O[-11]| + sum_11(|C - C[-1]|))", "0 without moves", "Kaufman 1995"),
        ("move_1h", 1, "timeframe",
         "ln(C / O) / sqrt(sum of r^2 in that bar, its first r being ln(c / o))",
         "0 without moves", "volatility-scaled return"),
        ("location_1h", 1, "timeframe", "(2 C - H - L) / (H - L)", "0 without range", "Chaikin"),
        ("distance_1h", 1, "timeframe", "(c - C) / max(H - L, unit)", "", "pivot distance"),
        ("efficiency_1h_12", 12, "timeframe",
         "(C - O[-11]) / (|C[-11] - O[-11]| + sum_11(|C - C[-1]|))", "0 without moves", "Kaufman 1995"),
        ("move_4h", 1, "timeframe",
         "ln(C / O) / sqrt(sum of r^2 in that bar, its first r being ln(c / o))",
         "0 without moves", "volatility-scaled return"),
        ("location_4h", 1, "timeframe", "(2 C - H - L) / (H - L)", "0 without range", "Chaikin"),
        ("distance_4h", 1, "timeframe", "(c - C) / max(H - L, unit)", "", "pivot distance"),
        ("efficiency_4h_6", 6, "timeframe",
         "(C - O[-5]) / (|C[-5] - O[-5]| + sum_5(|C - C[-1]|))", "0 without moves", "Kaufman 1995"),
        ("move_1d", 1, "timeframe",
         "ln(C / O) / sqrt(sum of r^2 in that bar, its first r being ln(c / o))",
         "0 without moves", "volatility-scaled return"),
        ("location_1d", 1, "timeframe", "(2 C - H - L) / (H - L)", "0 without range", "Chaikin"),
        ("distance_1d", 1, "timeframe", "(c - C) / max(H - L, unit)", "", "pivot distance"),
        ("session_gap", 1, "timeframe",
         "(first o of the session - C) / max(H - L, unit), of 1d", "", "pivot distance"),
    ),
}
# fmt: on

FEATURES: Mapping[str, Feature] = MappingProxyType(
    {row[0]: Feature(row[0], family, *row[1:]) for family, rows in _TABLE.items() for row in rows}
)
"""Features by name, in the order of the columns that `compute` makes; those of a family stand together."""


def families(names: Iterable[str] | None = None) -> tuple[str, ...]:
    """The families that hold one of these features, or all of them, in catalogue order."""
    wanted = FEATURES if names is None else set(names)
    return tuple(dict.fromkeys(feature.family for name, feature in FEATURES.items() if name in wanted))


def members(family: str) -> tuple[str, ...]:
    """The features of a family, in catalogue order."""
    return tuple(name for name, feature in FEATURES.items() if feature.family == family)
