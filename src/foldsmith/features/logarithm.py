"""Logarithm, exponential and error function of many numbers at once, compiled.

In vectors, which the C library's have none of.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foldsmith.features.compiled import entry, inner

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 in two parts; a whole number below 2^20 times the first is exact."""
_ROOT_HALF = np.uint64(0x3FE6A09E667F3BCD)
_ONE = np.uint64(0x3FF0000000000000)
_BITS = np.uint64(52)
# 2^52 with a whole number below 2^52 in its last bits is 2^52 plus that number.
_MAGIC = np.uint64(0x4330000000000000)

_LOG2_E, _MOST = 1.4426950408889634, 40.0
# 1.5 * 2^52: what is added to it is rounded to a whole number, which its last bits then hold.
_ROUND = 6755399441055744.0
_CHUNK = 1024


@inner
def logs_of(x: Any) -> Any:
    """Natural logs of positive numbers, right to 4e-16 of themselves; ln 1 is 0. Others give some number or NaN."""
    n = len(x)
    exponent, mantissa = np.empty(n), np.empty(n)
    bits, exponent_bits, mantissa_bits = x.view(np.uint64), exponent.view(np.uint64), mantissa.view(np.uint64)
    for i in range(n):
        exponent_bits[i] = ((bits[i] - _ROOT_HALF + _ONE) >> _BITS) | _MAGIC
    for i in range(n):
        mantissa_bits[i] = bits[i] - (((bits[i] - _ROOT_HALF + _ONE) >> _BITS) << _BITS) + _ONE
    out = np.empty(n)
    for i in range(n):
        k = exponent[i] - (4503599627370496.0 + 1023.0)
        f = mantissa[i] - 1.0
        s = f / (2.0 + f)
        z = s * s
        # ln((1 + s) / (1 - s)) = 2 s + 2 s^3 / 3 + 2 s^5 / 5 + ...; s^2 is at most 0.03 here.
        tail = 2 / 13 + z * (2 / 15 + z * (2 / 17 + z * (2 / 19 + z * (2 / 21))))
        tail = 2 / 3 + z * (2 / 5 + z * (2 / 7 + z * (2 / 9 + z * (2 / 11 + z * tail))))
        out[i] = k * _LN2_HIGH + (s * (2 + z * tail) + k * _LN2_LOW)
    return out


@entry
def fill_logs(x: Any, more: float, out: Any) -> None:
    """out = ln(x + more), (n,) each."""
    for at in range(0, len(x), _CHUNK):
        part = x[at : at + _CHUNK].copy()
        for i in range(len(part)):
            part[i] += more
        made, row = logs_of(part), out[at : at + _CHUNK]
        for i in range(len(row)):
            row[i] = made[i]


@inner
def exponentials(x: Any) -> Any:
    """exp(x) to 1e-14 of itself, x cut to [-40, 40]."""
    n = len(x)
    power, rest, out = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        v = x[i]
        v = v if v < _MOST else _MOST
        v = v if v > -_MOST else -_MOST
        rest[i] = v
        power[i] = v * _LOG2_E + _ROUND
    for i in range(n):
        k = power[i] - _ROUND
        r = (rest[i] - k * _LN2_HIGH) - k * _LN2_LOW
        tail = 1 / 5040 + r * (1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800))))
        tail = 1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * tail))))
        out[i] = 1 + (r + r * r * tail)
    bits, scale = power.view(np.uint64), rest.view(np.uint64)
    for i in range(n):
        scale[i] = (bits[i] << _BITS) + _ONE
    for i in range(n):
        out[i] *= rest[i]
    return out


@inner
def error_function(x: Any) -> Any:
    """erf(x) to 1.5e-7 (Abramowitz and Stegun 7.1.26), in vectors; erf(0) is 0."""
    n = len(x)
    minus_square, out = np.empty(n), np.empty(n)
    for i in range(n):
        minus_square[i] = -x[i] * x[i]
    power = exponentials(minus_square)
    for i in range(n):
        t = 1 / (1 + 0.3275911 * abs(x[i]))
        tail = t * (
            0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
        )
        size = 1 - tail * power[i]
        out[i] = size if x[i] > 0 else (-size if x[i] < 0 else 0.0)
    return out
