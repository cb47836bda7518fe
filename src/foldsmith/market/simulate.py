"""Simulated markets of known truth: with edge 0 nothing predicts direction, with edge > 0 volume does.

Minutes run over the sessions of the instrument's calendar (holidays, early closes and daily pauses as they
are). With sigma_t the volatility of minute t, s_t in {-1, 0, 1} a hidden state and J = 8 steps a minute:

    sigma_t   = SIGMA_DAY / sqrt(minutes of a usual session) * season(time of day in New York) * exp(v_t - Var
              v)
    v_t       = a v_{t-1} + sqrt(1 - a^2) SD_LOGVOL e_t          volatility clusters, half-life one session
    d log P   = edge * sigma_t * s_t / J - sigma_t^2 / (2 J) + sigma_t / sqrt(J) * z         each of J steps
    log gap   = g - Var(g) / 2,  g normal                        at each open, more after a longer closure
    volume_t  = BASE * season_t * VOLUME[s_t] * exp(n_t - Var(n_t) / 2)            rounded, at least 1

s_t is a Markov chain that leaves its state with probability 1 / MEAN_STAY a minute, for one of the other two
with equal chance. e, z, g, n and s are independent. So with edge = 0 the price is a martingale that is
independent of the state and of volume, and its log steps are symmetric about their tiny mean; with edge > 0
the state, which shows in volume against its time of day, says which way the price drifts. Quarterly contracts
roll with an offset of either sign. Prices are rounded to ticks; high and low are those of the path's steps.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foldsmith.errors import SettingError
from foldsmith.intervals import Instants
from foldsmith.market.instruments import Instrument
from foldsmith.market.sessions import DAY, Schedule, schedule

Reals = npt.NDArray[np.float64]

MINUTE = 60_000_000
STEPS = 8
START_TICKS = 20_000
SIGMA_DAY = 0.01
SD_LOGVOL = 0.35
MEAN_STAY = 120
VOLUME = {-1: 0.5, 0: 1.0, 1: 2.0}
BASE_VOLUME = 400.0
SD_VOLUME_NOISE = 0.2
GAP_PER_HOUR = 0.25
"""Standard deviation of an open's gap after an hour's closure, in parts of SIGMA_DAY; grows with the root."""
MOST_GAP_HOURS = 9.0
SD_ROLL = 0.003
_CHUNK = 65_536
MAX_SESSIONS = 20_000


@dataclass(frozen=True)
class Simulation:
    """What a simulated market is made from: the same settings give the same bars, bit for bit.

    edge : drift per minute in the state's direction, in units of the minute's volatility; 0.05 is strong, as
    over 100 minutes in one state it adds up to half a standard deviation. start : first trading day.

    >>> Simulation.from_json(Simulation("SIM", 5, 1, 0.0, date(2024, 1, 2)).as_json()).start
    datetime.date(2024, 1, 2)
    """

    symbol: str
    sessions: int
    seed: int
    edge: float = 0.0
    start: date = date(2022, 1, 3)

    def __post_init__(self) -> None:
        if not 1 <= self.sessions <= MAX_SESSIONS:
            raise SettingError(f"sessions {self.sessions} is out of range; simulate 1 to {MAX_SESSIONS:,}.")
        if self.seed < 0:
            raise SettingError(f"seed {self.seed} is negative; give 0 or more.")
        if not math.isfinite(self.edge) or abs(self.edge) > 1:
            raise SettingError(f"edge {self.edge:g} is out of range; give -1 to 1 (0: none, 0.05: strong).")

    def as_json(self) -> str:
        """Settings as one line of JSON with sorted keys, for a file's own metadata."""
        return json.dumps({**asdict(self), "start": self.start.isoformat()}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Simulation:
        """Settings from what `as_json` wrote; SettingError for anything else."""
        try:
            content: dict[str, Any] = json.loads(text)
            return cls(
                symbol=str(content["symbol"]),
                sessions=int(content["sessions"]),
                seed=int(content["seed"]),
                edge=float(content["edge"]),
                start=date.fromisoformat(content["start"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise SettingError(f"{text[:80]!r} holds no settings of a simulated market ({error}).") from None


def simulate(settings: Simulation, instrument: Instrument) -> tuple[pl.DataFrame, npt.NDArray[np.int8]]:
    """One-minute bars of a simulated market, and the hidden state of each.

    The table has timestamp (naive UTC, the bar's open), open, high, low, close, volume and contract, as a raw
    file has them: every scheduled minute once. See the module for the equations.
    """
    calendar, usual = _sessions(settings, instrument)
    lengths = (calendar.close - calendar.open) // MINUTE
    instants = np.repeat(calendar.open, lengths) + _within(lengths) * MINUTE
    # One stream per part, drawn in order of time: a longer market begins with the bars of a shorter one.
    streams = [np.random.default_rng((settings.seed, part)) for part in range(6)]
    state = _states(len(instants), streams[0], streams[5])
    season = _season(instants)
    sigma = SIGMA_DAY / math.sqrt(usual) * season * _clusters(len(instants), usual, streams[1])
    jumps, contract = _jumps(calendar, settings, streams[2])
    opening = np.cumsum(lengths) - lengths
    gap = np.zeros(len(instants))
    gap[opening] = jumps
    open_, high, low, close = _path(sigma, state, gap, settings.edge, streams[3])
    level = START_TICKS * instrument.tick_size
    volume = _volume(season, state, streams[4])
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series(instants).cast(pl.Datetime("us")),
            **{
                name: _to_ticks(path, level, instrument.tick_size)
                for name, path in (("open", open_), ("high", high), ("low", low), ("close", close))
            },
            "volume": volume,
            "contract": pl.Series(contract).gather(np.repeat(np.arange(len(lengths)), lengths)),
        }
    )
    return frame, state


def _sessions(settings: Simulation, instrument: Instrument) -> tuple[Schedule, float]:
    """The first sessions from the start day on, and the minutes of a whole one."""
    days = math.ceil(settings.sessions * 1.5) + 20
    first = (settings.start - date(1970, 1, 1)) // timedelta(days=1) * DAY
    whole = schedule(instrument.calendar, first, first + days * DAY)
    begin = int(np.searchsorted(whole.day, np.datetime64(settings.start)))
    part = slice(begin, begin + settings.sessions)
    usual = int((whole.close - whole.open).max()) / MINUTE
    return Schedule(whole.calendar, whole.open[part], whole.close[part], whole.day[part]), usual


def _within(lengths: Instants) -> Instants:
    """Minute of its session for every minute: 0, 1, ... in each."""
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _states(count: int, stay: np.random.Generator, move: np.random.Generator) -> npt.NDArray[np.int8]:
    """The Markov chain, from the lengths of its stays and the moves between them."""
    stays = int(count / MEAN_STAY + 10 * math.sqrt(count / MEAN_STAY) + 50)
    lengths = stay.geometric(1 / MEAN_STAY, stays)
    while lengths.sum() < count:
        lengths = np.concatenate([lengths, stay.geometric(1 / MEAN_STAY, stays)])
    first = move.integers(0, 3)
    moves = move.integers(1, 3, len(lengths))
    chain = (first + np.cumsum(moves)) % 3 - 1
    return np.repeat(chain, lengths)[:count].astype(np.int8)


def _season(instants: Instants) -> Reals:
    """Size of moves by New York time of day, mean square about 1: a U over the stock market's hours."""
    local = (
        pl.Series(instants)
        .cast(pl.Datetime("us", "UTC"))
        .dt.convert_time_zone("America/New_York")
        .dt.replace_time_zone(None, ambiguous="earliest")
    )
    minute = (local.to_physical().to_numpy() // MINUTE) % 1440
    shape = np.full(1440, 0.55)
    shape[2 * 60 : 9 * 60 + 30] = 0.8
    hours = np.arange(9 * 60 + 30, 16 * 60)
    shape[hours] = 1.2 + 1.1 * ((hours - hours.mean()) / 195.0) ** 2
    open_minutes = np.r_[0 : 17 * 60, 18 * 60 : 1440]
    shape /= math.sqrt(float(np.mean(shape[open_minutes] ** 2)))
    return np.asarray(shape[minute])


def _clusters(count: int, usual: float, rng: np.random.Generator) -> Reals:
    """Volatility clusters of mean square 1: exp of a slow autoregression, half-life `usual` minutes."""
    from scipy.signal import lfilter

    a = 0.5 ** (1 / usual)
    noise = rng.standard_normal(count) * (SD_LOGVOL * math.sqrt(1 - a * a))
    # The first value has the spread that the autoregression settles at.
    noise[0] /= math.sqrt(1 - a * a)
    return np.asarray(np.exp(lfilter([1.0], [1.0, -a], noise) - SD_LOGVOL**2))


def _jumps(calendar: Schedule, settings: Simulation, rng: np.random.Generator) -> tuple[Reals, list[str]]:
    """Log gap at each session's open, rolls included, and each session's contract."""
    count = len(calendar.open)
    closed_hours = np.r_[0.0, (calendar.open[1:] - calendar.close[:-1]) / (60 * MINUTE)]
    deviation = GAP_PER_HOUR * SIGMA_DAY * np.sqrt(np.minimum(closed_hours, MOST_GAP_HOURS))
    draws = rng.standard_normal((count, 2))
    jumps = draws[:, 0] * deviation - deviation**2 / 2
    offsets = draws[:, 1] * SD_ROLL - SD_ROLL**2 / 2
    contracts = [f"{settings.symbol} {_front_month(day)}" for day in calendar.day.tolist()]
    rolled = np.r_[False, [a != b for a, b in pairwise(contracts)]]
    jumps[rolled] += offsets[rolled]
    jumps[0] = 0.0
    return jumps, contracts


def _front_month(day: date) -> str:
    """The quarterly contract of a day, as MM-YY: the next from the Thursday 8 days before expiry."""
    year, month = day.year, (day.month + 2) // 3 * 3
    first = date(year, month, 1)
    third_friday = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
    if day >= third_friday - timedelta(days=8):
        year, month = (year + 1, 3) if month == 12 else (year, month + 3)
    return f"{month:02d}-{year % 100:02d}"


def _path(
    sigma: Reals, state: npt.NDArray[np.int8], gap: Reals, edge: float, rng: np.random.Generator
) -> tuple[Reals, Reals, Reals, Reals]:
    """Log price at open, high, low and close of each minute, from 0; it opens where the last closed."""
    count = len(sigma)
    up, down, end = np.empty(count), np.empty(count), np.empty(count)
    # In chunks: the steps of years of minutes would fill the memory. The draws are those of one call.
    for start in range(0, count, _CHUNK):
        rows = slice(start, min(start + _CHUNK, count))
        s = sigma[rows, None]
        steps = rng.standard_normal((rows.stop - start, STEPS)) * (s / math.sqrt(STEPS))
        steps += edge * s * state[rows, None] / STEPS - s**2 / (2 * STEPS)
        np.cumsum(steps, axis=1, out=steps)
        up[rows], down[rows], end[rows] = steps.max(axis=1), steps.min(axis=1), steps[:, -1]
    close = np.cumsum(gap + end)
    open_ = close - end
    return open_, open_ + np.maximum(up, 0), open_ + np.minimum(down, 0), close


def _to_ticks(log_price: Reals, level: float, tick: float) -> Reals:
    """Prices on the tick grid, at least one tick; decimals as short as the tick's."""
    ticks = np.maximum(np.rint(level * np.exp(log_price) / tick), 1)
    return np.round(ticks * tick, 10)


def _volume(season: Reals, state: npt.NDArray[np.int8], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    by_state = np.array([VOLUME[-1], VOLUME[0], VOLUME[1]])
    noise = np.exp(rng.standard_normal(len(season)) * SD_VOLUME_NOISE - SD_VOLUME_NOISE**2 / 2)
    volume = np.rint(BASE_VOLUME * season * by_state[state + 1] * noise)
    return np.asarray(np.maximum(volume, 1), dtype=np.int64)
