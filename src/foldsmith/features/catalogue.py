"""The list of named features: the one place that says which there are, and in what order.

In the equations o, h, l, c and v are a bar's open, high, low, close and volume, r = ln(c / c[-1]), tr its
true range max(h, c[-1]) - min(l, c[-1]) and tp = (h + l + c) / 3; x[-k] is x of k bars before. sum_N, mean_N,
sd_N, max_N and min_N run over the last N bars, this one included. sd divides by N. ema_N is an exponential
mean of weight 2 / (N + 1), wilder_N one of weight 1 / N; each starts as the plain mean of its first N values.
unit = wilder_14(tr), but at least 1e-6 c.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Feature:
    """One named feature.

    warmup : bars of a block (seasonal: of the series) that must be seen for the first value, the bar itself
    included. memory : what a value depends on: `window`, the last `warmup` bars; `recursive`, every bar of
    the block, with weights that fade; `session`, the bars of this session in this block; `slot`, earlier bars
    at the same time of day. degenerate : the value where the equation has none; else empty.
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
    "microstructure": (
        ("roll_spread_48", 50, "window",
         "2 sqrt(max(-cov, 0)), cov over 48 bars of r with r[-1]", "", "Roll 1984"),
        ("corwin_schultz_24", 25, "window",
         "mean_24(max(2 (e^a - 1) / (e^a + 1), 0)), a = (sqrt(2 b) - sqrt(b)) / k - g / sqrt(k), "
         "b = ln(h / l)^2 + ln(h[-1] / l[-1])^2, g = log range of the two bars, the newer moved to touch c[-1], "
         "k = 3 - 2 sqrt(2)", "", "Corwin and Schultz 2012"),
        ("abdi_ranaldo_24", 25, "window",
         "2 sqrt(max(mean_24((ln c[-1] - m[-1]) (ln c[-1] - m)), 0)), m = (ln h + ln l) / 2",
         "", "Abdi and Ranaldo 2017"),
        ("kyle_lambda_48", 49, "window",
         "mean_48(v) times the slope of r on s over 48 bars, s = v sign(c - c[-1])",
         "0 where s is constant", "Kyle 1985"),
        ("hasbrouck_lambda_48", 49, "window",
         "mean_48(sqrt(v)) times the slope of r on q over 48 bars, q = sqrt(v) sign(c - c[-1])",
         "0 where q is constant", "Hasbrouck 2009"),
        ("amihud_48", 49, "window",
         "mean_48(|r| / v) mean_48(v)", "0 for a bar without volume", "Amihud 2002"),
        ("range_per_volume_12_48", 48, "window",
         "ln(mean_12(x) / mean_48(x)), x = ln(h / l) / v", "0 if a mean is 0; x is 0 without volume", "log ratio"),
        ("vpin_48", 96, "window",
         "sum_48(|b| v) / sum_48(v), b = 2 Phi(r / sqrt(mean_48(r^2))) - 1",
         "0 without volume; b = 0 without moves", "Easley et al. 2012"),
        ("bulk_imbalance_12", 60, "window",
         "sum_12(b v) / sum_12(v), b as in vpin_48", "0 without volume", "Easley et al. 2012"),
        ("bulk_imbalance_48", 96, "window",
         "sum_48(b v) / sum_48(v), b as in vpin_48", "0 without volume", "Easley et al. 2012"),
        ("side_persistence_48", 50, "window",
         "of the last 48 bars whose c and c[-1] both moved, the share that moved to one side",
         "0.5 without such bars", "Lillo and Farmer 2004"),
        ("signed_volume_autocorrelation_48", 50, "window",
         "sum_48(s s[-1]) / sqrt(sum_48(s^2) sum_48(s[-1]^2)), s as in kyle_lambda_48",
         "0 without moves", "Hasbrouck 1991"),
        ("zero_return_share_48", 49, "window",
         "share of the last 48 bars with c = c[-1]", "1 without moves", "Lesmond et al. 1999"),
        ("wick_imbalance_24", 24, "window",
         "sum_24((min(o, c) - l) - (h - max(o, c))) / sum_24(h - l)", "0 without range", "candlesticks"),
        ("midrange_flow_24", 25, "window",
         "sum_24(v sign(h + l - h[-1] - l[-1])) / sum_24(v)", "0 without volume", "Lee and Ready 1991"),
    ),
    "memory": (
        ("autocorrelation_1_96", 98, "window",
         "sum_96(r r[-1]) / sqrt(sum_96(r^2) sum_96(r[-1]^2))", "0 without moves", "autocorrelation about 0"),
        ("autocorrelation_2_96", 99, "window",
         "sum_96(r r[-2]) / sqrt(sum_96(r^2) sum_96(r[-2]^2))", "0 without moves", "autocorrelation about 0"),
        ("autocorrelation_3_96", 100, "window",
         "sum_96(r r[-3]) / sqrt(sum_96(r^2) sum_96(r[-3]^2))", "0 without moves", "autocorrelation about 0"),
        ("autocorrelation_6_96", 103, "window",
         "sum_96(r r[-6]) / sqrt(sum_96(r^2) sum_96(r[-6]^2))", "0 without moves", "autocorrelation about 0"),
        ("autocorrelation_12_96", 109, "window",
         "sum_96(r r[-12]) / sqrt(sum_96(r^2) sum_96(r[-12]^2))", "0 without moves", "autocorrelation about 0"),
        ("absolute_autocorrelation_1_96", 98, "window",
         "correlation over 96 bars of |r| with |r[-1]|", "0 where one is constant", "Ding et al. 1993"),
        ("absolute_autocorrelation_6_96", 103, "window",
         "correlation over 96 bars of |r| with |r[-6]|", "0 where one is constant", "Ding et al. 1993"),
        ("variance_ratio_2_96", 97, "window",
         "mean_95(ln(c / c[-2])^2) / (2 mean_96(r^2))", "1 without moves", "Lo and MacKinlay 1988"),
        ("variance_ratio_6_96", 97, "window",
         "mean_91(ln(c / c[-6])^2) / (6 mean_96(r^2))", "1 without moves", "Lo and MacKinlay 1988"),
        ("hurst_128", 129, "window",
         "slope of ln sqrt(mean_M(ln(c / c[-k])^2)), M = 129 - k, on ln k at k = 1, 2, 4, 8, 16",
         "0.5 without a move at one k", "Di Matteo 2007"),
        ("fractional_difference_100", 100, "window",
         "sum over k < 100 of w_k ln(c[-k] / c[-99]), over sqrt(mean_99(r^2)), "
         "w_0 = 1, w_k = -w_(k-1) (1.4 - k) / k: order 0.4", "0 without moves", "Lopez de Prado 2018"),
        ("sign_entropy_64", 65, "window",
         "entropy of the 62 words of 3 moves, each up or not, in the last 64, over ln 8", "", "Shannon 1948"),
        ("permutation_entropy_64", 64, "window",
         "entropy of the 62 orders of 3 closes in the last 64, of equal ones the older first, over ln 6",
         "", "Bandt and Pompe 2002"),
    ),
    "wavelet": (
        *((f"haar_{j}", 65, "window",
           f"(mean_{2 ** (j - 1)}(ln c) - mean_{2 ** j}(ln c)) / sqrt(mean_64(r^2))",
           "0 without moves", "Renaud et al. 2005") for j in range(1, 6)),
        *((f"haar_energy_{j}_64", 95, "window",
           f"sum_64(D_{j}^2) / sum over j = 1 to 5 of sum_64(D_j^2), D_j = mean_K(ln c) - mean_2K(ln c), K = 2^(j-1)",
           "0.2 without moves", "Renaud et al. 2005") for j in range(1, 5)),
    ),
    "regime": (
        ("volatility_rank_456", 480, "window",
         "share of the last 456 values of sqrt(mean_24(r^2)) below the present one, and half of those equal to it",
         "0.5 where all are equal", "percentile rank"),
        ("volatility_state_456", 480, "window",
         "0, 1 or 2: the third that volatility_rank_456 is in", "1 where all are equal", "terciles"),
        ("range_rank_480", 480, "window",
         "share of the last 480 ln(h / l) below the present one, and half of those equal to it",
         "0.5 where all are equal", "percentile rank"),
        ("volume_rank_480", 480, "window",
         "share of the last 480 v below the present one, and half of those equal to it",
         "0.5 where all are equal", "percentile rank"),
        ("trend_t_48", 48, "window",
         "t-statistic of the slope of the least-squares line through the last 48 ln(c), from -100 to 100",
         "0 without moves", "Lopez de Prado 2020"),
        ("trend_state_48", 48, "window",
         "1 if trend_t_48 > 2, -1 if below -2, else 0", "", "Lopez de Prado 2020"),
        ("range_position_480", 480, "window",
         "(c - min_480(l)) / (max_480(h) - min_480(l))", "0.5 without range", "stochastic"),
    ),
}
# fmt: on

FEATURES: Mapping[str, Feature] = MappingProxyType(
    {row[0]: Feature(row[0], family, *row[1:]) for family, rows in _TABLE.items() for row in rows}
)
"""Features by name, in the order of the columns that `compute` makes; those of a family stand together."""
