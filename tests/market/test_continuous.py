"""The front contract is chosen from the past alone, by each roll rule; the adjusted series joins what it chose."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.conftest import MINUTE, RawMaker, us
from tests.oracles import continuous as oracle
from tests.oracles.continuous import Bar

from foldsmith.errors import DataError, SettingError
from foldsmith.market.clean import clean
from foldsmith.market.continuous import adjusted, front_contract
from foldsmith.market.continuous_kernel import PROOF, follow
from foldsmith.market.findings import Blocks, Roll
from foldsmith.market.instruments import Instrument, instrument
from foldsmith.market.readers import read_bars
from foldsmith.market.roll_rule import ROLLS, RollRule
from foldsmith.market.rolls import mark_blocks
from foldsmith.market.sessions import DAY, Schedule, schedule

CODES = {name: code for code, name in enumerate(("volume", "open-interest", "calendar"))}
NEVER = np.iinfo(np.int64).max
NAMES = ("MES 03-24", "MES 06-24", "MES 09-24", "MES 12-24")
MES = instrument("MES")
HOURS = schedule("CME_EQUITY", us("2024-01-01"), us("2024-03-01"))


# --- markets of a few contracts ---------------------------------------------------------------------------------

stretches = st.lists(
    st.tuples(
        st.integers(0, 2),  # sessions gone by since the stretch before
        st.sets(st.integers(0, 3), min_size=1, max_size=3),  # who trades
        st.sampled_from([1, 2, PROOF - 1, PROOF, PROOF + 1, PROOF + 5]),  # for how many bars
    ),
    min_size=1,
    max_size=8,
)


def market(parts: list[tuple[int, set[int], int]], amounts: list[float], shift: int = 0) -> list[Bar]:
    """Bars of stretches of trading, one instant a minute, and amounts in turn."""
    bars, session, minute = [], 3, 0
    for gone_by, contracts, length in parts:
        session += gone_by
        for _ in range(length):
            bars += [
                Bar(session, minute * MINUTE + shift, c, amounts[(len(bars) + c) % len(amounts)])
                for c in sorted(contracts)
            ]
            minute += 1
    return bars


def chosen(bars: list[Bar], rule: str, gone: list[int] | None = None) -> list[bool]:
    """Which bars the kernel keeps."""
    ranks, instants, numbers = (
        np.array([getattr(bar, name) for bar in bars], dtype=np.int64)
        for name in ("contract", "instant", "session")
    )
    amount = np.array([bar.amount for bar in bars])
    left = np.array(gone if gone is not None else [NEVER] * 4, dtype=np.int64)
    return follow(ranks, instants, numbers, amount, left, CODES[rule]).tolist()


amounts_of = {
    "volume": st.lists(st.integers(0, 5).map(float), min_size=1, max_size=7),
    "open-interest": st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, float("nan")]), min_size=1, max_size=7),
    "calendar": st.just([1.0]),
}


@pytest.mark.parametrize("rule", ROLLS)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_choice_equals_its_twin(rule: str, data: st.DataObject) -> None:
    bars = market(data.draw(stretches), data.draw(amounts_of[rule]))
    gone = (
        sorted(data.draw(st.lists(st.integers(2, 12), min_size=4, max_size=4)))
        if rule == "calendar"
        else None
    )
    left = None if gone is None else dict(enumerate(gone))
    fronts = oracle.fronts(bars, rule, left)
    assert chosen(bars, rule, gone) == [
        bar.contract == front for bar, front in zip(bars, fronts, strict=True)
    ]


@pytest.mark.parametrize("rule", ROLLS)
@settings(max_examples=100, deadline=None)
@given(stretches, stretches, st.integers(0, 400), st.data())
def test_what_comes_after_a_cut_changes_no_choice_before(
    rule: str,
    parts: list[tuple[int, set[int], int]],
    garbage: list[tuple[int, set[int], int]],
    cut: int,
    data: st.DataObject,
) -> None:
    amounts = data.draw(amounts_of[rule])
    bars = market(parts, amounts)
    at = bars[min(cut, len(bars) - 1)].instant
    before = [bar for bar in bars if bar.instant < at]
    after = market(garbage, amounts[::-1], shift=at)
    session = before[-1].session if before else 3
    spoilt = before + [bar._replace(session=bar.session - 3 + session) for bar in after]
    gone = [4, 6, 8, 11] if rule == "calendar" else None
    assert chosen(spoilt, rule, gone)[: len(before)] == chosen(bars, rule, gone)[: len(before)]


@pytest.mark.parametrize("rule", ROLLS)
@settings(max_examples=100, deadline=None)
@given(stretches, st.data())
def test_one_contract_a_minute_and_never_back(
    rule: str, parts: list[tuple[int, set[int], int]], data: st.DataObject
) -> None:
    bars = market(parts, data.draw(amounts_of[rule]))
    gone = [4, 6, 8, 11] if rule == "calendar" else None
    kept = [bar for bar, keep in zip(bars, chosen(bars, rule, gone), strict=True) if keep]
    assert kept
    assert len({bar.instant for bar in kept}) == len(kept)
    first = kept[0].session
    run = 1
    for before, bar in pairwise(kept):
        if bar.contract < before.contract:
            # A splice that was none; or the guess of the first session, put right when the rule first can.
            assert run < PROOF or before.session == first or rule == "open-interest"
        run = run + 1 if bar.contract == before.contract else 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 40)), min_size=1, max_size=8))
def test_one_contract_at_a_time_is_kept_as_it_is(parts: list[tuple[int, int, int]]) -> None:
    """In the shortcut and in the pass alike, wherever in a session a contract takes over."""
    order = sorted(contract for _, contract, _ in parts)
    bars = market([(gap, {c}, length) for (gap, _, length), c in zip(parts, order, strict=True)], [1.0])
    for rule in ROLLS:
        assert all(chosen(bars, rule, [4, 6, 8, 11] if rule == "calendar" else None))
    frame, session = table(bars)
    for rule in ("volume", "calendar"):
        assert front_contract(frame, session, MES, HOURS, RollRule(rule)).all()


def table(bars: list[Bar], names: tuple[str, ...] = NAMES) -> tuple[pl.DataFrame, np.ndarray]:
    """The same bars as cleaning hands them on."""
    frame = pl.DataFrame(
        {
            "datetime": pl.Series([bar.instant + us("2024-01-02") for bar in bars]).cast(
                pl.Datetime("us", "UTC")
            ),
            "volume": [bar.amount for bar in bars],
            "contract": [names[bar.contract] for bar in bars],
        }
    )
    return frame, np.array([bar.session for bar in bars])


# --- each rule by hand ------------------------------------------------------------------------------------------


def kept_of(
    parts: list[tuple[int, set[int], int]], amounts: dict[tuple[int, int], float], rule: str = "volume"
) -> str:
    """Contracts kept, a letter a bar, by amounts of each (session, contract)."""
    bars = [
        bar._replace(amount=amounts.get((bar.session, bar.contract), 1.0)) for bar in market(parts, [1.0])
    ]
    return "".join("ABCD"[bar.contract] for bar, keep in zip(bars, chosen(bars, rule), strict=True) if keep)


def test_volume_rolls_at_the_open_after_the_session_that_showed_it() -> None:
    parts = [(0, {0, 1}, 2), (1, {0, 1}, 2), (1, {0, 1}, 2)]
    assert kept_of(parts, {(3, 0): 5, (4, 1): 5}) == "AAAABB"
    # Equal volumes are no reason; and what the session itself will show is not known at its open.
    assert kept_of(parts, {}) == "AAAAAA"
    assert kept_of(parts, {(5, 1): 9}) == "AAAAAA"
    # Never back, whatever the old one trades.
    assert kept_of(parts, {(3, 1): 5, (4, 0): 9}) == "AABBBB"
    # Of several the largest; of equals the nearest.
    both = [(0, {0, 1, 2}, 2), (1, {0, 1, 2}, 2)]
    assert kept_of(both, {(3, 1): 3, (3, 2): 5}) == "AACC"
    assert kept_of(both, {(3, 1): 5, (3, 2): 5}) == "AABB"


def test_open_interest_is_that_of_the_session_before_the_last() -> None:
    parts = [(0, {0, 1}, 2), (1, {0, 1}, 2), (1, {0, 1}, 2), (1, {0, 1}, 2)]
    shown = {(3, 0): 5.0, (4, 1): 5.0}
    assert kept_of(parts, shown, "open-interest") == "AAAAAABB"
    # Unknown, it says nothing.
    nothing = {(session, 0): float("nan") for session in (3, 4, 5)}
    assert kept_of(parts, nothing, "open-interest") == "AAAAAAAA"


def test_the_first_session_is_a_guess_that_the_second_may_mend() -> None:
    # The nearest of those at the first bar; a nearer one comes a bar later.
    parts = [(0, {1, 2}, 1), (0, {0, 1, 2}, 3), (1, {0, 1, 2}, 2), (1, {0, 1, 2}, 2)]
    assert kept_of(parts, {(3, 0): 5.0, (4, 0): 5.0}) == "BBBBAAAA"
    # Once chosen, no way back.
    assert kept_of(parts, {(3, 1): 5.0, (4, 0): 5.0}) == "BBBBBBBB"


def test_a_front_that_ends_is_followed_after_thirty_bars_of_another() -> None:
    parts = [(0, {0, 1}, 3), (0, {1}, PROOF + 2)]
    assert kept_of(parts, {}) == "AAABB"
    # Or at the next open, at the latest after a session without it.
    assert kept_of([(0, {0, 1}, 3), (0, {1}, 5), (1, {1}, 5)], {(3, 0): 9.0}) == "AAA"
    assert kept_of([(0, {0, 1}, 3), (1, {1}, 5), (1, {1}, 5)], {(3, 0): 9.0}) == "AAABBBBB"
    # One bar of the front begins the count again.
    assert kept_of([(0, {0, 1}, 1), (0, {1}, PROOF), (0, {0}, 1), (0, {1}, PROOF)], {}) == "AA"


def test_a_stray_bar_of_another_contract_does_not_end_the_front() -> None:
    parts = [(0, {0}, 50), (0, {2}, 1), (0, {0}, 50), (1, {0}, 50)]
    assert kept_of(parts, {}) == "A" * 50 + "C" + "A" * 100


def test_a_new_contract_after_a_hole_is_the_front_at_once() -> None:
    parts = [(0, {0, 1}, 40), (2, {2}, 40)]
    assert kept_of(parts, {}) == "A" * 40 + "C" * 40


def overlap(make_raw: RawMaker, sessions: int = 3) -> pl.DataFrame:
    """Two contracts over the same minutes; the later has the larger volume from the second session on, 50 points up."""
    old = make_raw(sessions=sessions)
    new = old.with_columns(pl.col("open", "high", "low", "close") + 50, contract=pl.lit("MES 06-24"))
    share = pl.when(pl.col("datetime").rank("dense") <= 1380).then(0.5).otherwise(2.0)
    return pl.concat([old, new.with_columns(pl.col("volume") * share)])


def test_cleaning_keeps_one_contract_and_marks_the_roll(
    make_raw: RawMaker, mes: Instrument, hours: Schedule
) -> None:
    raw = overlap(make_raw)
    frame, found = clean(raw, mes, hours)
    assert frame["contract"].to_list() == ["MES 03-24"] * 2760 + ["MES 06-24"] * 1380
    assert found["overlapping_contract"].count == 3 * 1380
    assert found["duplicate"].count + found["conflicting_duplicate"].count == 0
    _, blocks = mark_blocks(frame, hours, 60, raw.sample(fraction=1, shuffle=True, seed=1))
    last = frame["close"][2759]
    assert blocks.rolls == (
        Roll(
            us("2024-01-09T23:00"), "MES 03-24", "MES 06-24", 50.0, (last + 50) / last, us("2024-01-09T21:59")
        ),
    )
    assert blocks.as_dict()["rolls"]["at"] == [
        {
            "at": "2024-01-09T23:00:00+00:00",
            "from": "MES 03-24",
            "to": "MES 06-24",
            "offset": 50.0,
            "ratio": (last + 50) / last,
            "measured_at": "2024-01-09T21:59:00+00:00",
        }
    ]


def test_an_offset_is_measured_by_sound_bars_inside_the_sessions(
    make_raw: RawMaker, mes: Instrument, hours: Schedule
) -> None:
    raw = overlap(make_raw)
    frame, _ = clean(raw, mes, hours)
    late = pl.col("datetime") >= pl.lit("2024-01-09T21:58").str.to_datetime(time_zone="UTC", time_unit="us")
    spoilt = raw.with_columns(
        close=pl.when(late & (pl.col("contract") == "MES 03-24")).then(0.0).otherwise("close")
    )
    outside = raw.tail(1).with_columns(
        datetime=pl.lit("2024-01-09T22:30").str.to_datetime(time_zone="UTC", time_unit="us"),
        close=pl.lit(9.0),
    )
    others = pl.concat([spoilt, outside, outside.with_columns(contract=pl.lit("MES 03-24"))])
    (roll,) = mark_blocks(frame, hours, 60, others)[1].rolls
    assert (roll.offset, roll.measured_at) == (50.0, us("2024-01-09T21:57"))
    # What comes after the roll is not looked at.
    (roll,) = mark_blocks(frame, hours, 60, raw.filter(pl.col("datetime") >= pl.col("datetime").max()))[
        1
    ].rolls
    assert (roll.offset, roll.ratio, roll.measured_at) == (None, None, None)


def test_calendar_rolls_sessions_before_the_last_trading_day(mes: Instrument, hours: Schedule) -> None:
    """MES 03-24 trades until Friday the 15th of March: the fifth session before opens on the evening of the 7th."""
    march = schedule("CME_EQUITY", us("2024-03-01"), us("2024-03-20"))
    inside = slice(*np.searchsorted(march.day, np.array(["2024-03-04", "2024-03-16"], dtype="M8[D]")))
    opens = np.concatenate([np.arange(a, a + 40 * MINUTE, MINUTE) for a in march.open[inside]])
    one = pl.DataFrame({"datetime": pl.Series(opens).cast(pl.Datetime("us", "UTC"))}).with_columns(
        *(pl.lit(5000.0).alias(name) for name in ("open", "high", "low", "close")), volume=pl.lit(1.0)
    )
    raw = pl.concat([one.with_columns(contract=pl.lit(name)) for name in ("MESH4", "MESM4")])
    for days, at in ((None, "2024-03-07T23:00"), (0, "2024-03-14T22:00"), (2, "2024-03-12T22:00")):
        frame, _ = clean(raw, mes, march, roll=RollRule("calendar", days))
        assert frame.filter(pl.col("contract") == "MESM4")["datetime"].min().timestamp() * 1e6 == us(at)  # type: ignore[union-attr]
        assert frame.height == one.height


def test_calendar_needs_months_and_a_rule(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    rule = RollRule("calendar")
    for names, sentence in (("front", "contract 'front' names no month"), (None, "bars without a contract")):
        with pytest.raises(DataError, match=sentence):
            clean(make_raw(contract=names), mes, hours, roll=rule)
    own = Instrument("OWN", "x", "CME_EQUITY", 0.25, 1.25)
    with pytest.raises(SettingError, match="OWN end is not known"):
        clean(make_raw(), own, hours, roll=rule)
    with pytest.raises(DataError, match="no column open_interest"):
        clean(make_raw(), mes, hours, roll=RollRule("open-interest"))


@pytest.mark.parametrize(
    ("name", "days", "sentence"),
    [
        ("roll", None, "unknown; there are volume, open-interest, calendar"),
        ("volume", 3, "does not apply"),
        ("calendar", -1, "out of range"),
        ("calendar", 61, "out of range"),
        ("calendar", True, "out of range"),
    ],
)
def test_rules_that_cannot_be(name: str, days: int | None, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        RollRule(name, days)


def test_open_interest_goes_into_the_choice_and_not_into_the_bars(
    make_raw: RawMaker, mes: Instrument, hours: Schedule
) -> None:
    interest = pl.when(pl.col("contract") == "MES 03-24").then(10.0).otherwise(
        pl.when(pl.col("datetime").rank("dense") <= 1380).then(5.0).otherwise(20.0)
    )  # fmt: skip
    raw = overlap(make_raw, 4).with_columns(open_interest=interest)
    frame, _ = clean(raw, mes, hours, roll=RollRule("open-interest"))
    # Larger in the second session, published in the third, used in the fourth.
    assert frame["contract"].to_list() == ["MES 03-24"] * (3 * 1380) + ["MES 06-24"] * 1380
    assert "open_interest" not in frame.columns
    plain = clean(raw.drop("open_interest"), mes, hours)[0]
    assert clean(raw, mes, hours)[0].equals(plain)


@pytest.mark.parametrize(
    "names",
    [
        ("MES 06-24", "MES 03-24"),  # by month, the first seen last
        ("MESM4", "MESH4"),
        ("MES 202406", "MES 202403"),
        ("MESM2024", "MESH24"),
    ],
)
def test_contracts_are_in_order_of_their_months(names: tuple[str, str]) -> None:
    # The later contract trades alone at first; the nearer one comes with the larger volume and may not replace it.
    bars = market([(0, {0}, 40), (1, {0, 1}, 40), (1, {0, 1}, 40)], [1.0])
    bars = [bar._replace(amount=1.0 + 8 * bar.contract) for bar in bars]
    frame, session = table(bars, names)
    kept = frame.filter(pl.Series(front_contract(frame, session, MES, HOURS, RollRule())))
    assert kept["contract"].unique().to_list() == [names[0]]
    # Without months, what is seen first expires first.
    frame, session = table(bars, ("new", "late"))
    kept = frame.filter(pl.Series(front_contract(frame, session, MES, HOURS, RollRule())))
    assert kept["contract"].to_list() == ["new"] * 80 + ["late"] * 40


@settings(max_examples=60, deadline=None)
@given(stretches, st.permutations(["MES 03-24", "odd", "MESZ4", "x"]), st.integers(0, 300), st.data())
def test_names_of_later_contracts_change_no_choice_before(
    parts: list[tuple[int, set[int], int]], names: list[str], cut: int, data: st.DataObject
) -> None:
    frame, session = table(market(parts, [3.0, 1.0, 2.0]), tuple(names))
    end = int(
        np.searchsorted(
            frame["datetime"].to_physical().to_numpy(),
            frame["datetime"].to_physical()[min(cut, frame.height - 1)],
        )
    )
    other = data.draw(st.sampled_from(["MES 01-24", "MES 06-24", "MESH9", "y"]))
    spoilt = frame.with_columns(
        contract=pl.when(pl.int_range(pl.len()) >= end).then(pl.lit(other)).otherwise("contract")
    )
    spoilt = spoilt.unique(["datetime", "contract"], maintain_order=True)
    found, clean_one = (
        front_contract(each, session[: each.height], MES, HOURS, RollRule())[:end] for each in (spoilt, frame)
    )
    assert found.tolist() == clean_one.tolist()


# --- the adjusted series ----------------------------------------------------------------------------------------


def three(closes: list[float]) -> pl.DataFrame:
    opens = pl.Series([k * DAY for k in range(len(closes))]).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame({"datetime": opens, "close": closes})
    return frame.with_columns(
        pl.col("close").alias("open"), (pl.col("close") + 1).alias("high"), (pl.col("close") - 1).alias("low"),
        volume=pl.lit(7.0),
    )  # fmt: skip


ROLLED = (Roll(2 * DAY, "A", "B", 10.0, 1.25, DAY), Roll(4 * DAY, "B", "C", -4.0, 0.5, 3 * DAY))


def test_adjusted_by_hand() -> None:
    bars = three([100.0, 101.0, 111.0, 112.0, 108.0, 109.0])
    expected = {
        ("difference", "forward"): [100.0, 101.0, 101.0, 102.0, 102.0, 103.0],
        ("difference", "back"): [106.0, 107.0, 107.0, 108.0, 108.0, 109.0],
        ("ratio", "forward"): [100.0, 101.0, 88.8, 89.6, 172.8, 174.4],
        ("ratio", "back"): [62.5, 63.125, 55.5, 56.0, 108.0, 109.0],
    }
    for (method, anchor), closes in expected.items():
        found = adjusted(bars, ROLLED, method, anchor)
        assert found["close"].to_list() == closes
        assert found["volume"].to_list() == bars["volume"].to_list()
        assert found.columns == bars.columns
    assert adjusted(bars, ROLLED, "difference")["high"].to_list() == [
        101.0,
        102.0,
        102.0,
        103.0,
        103.0,
        104.0,
    ]
    assert adjusted(bars, ROLLED, "none").equals(bars)
    assert adjusted(bars, (), "ratio", "back").equals(bars)
    with pytest.raises(DataError, match="C lies from B is not known"):
        adjusted(bars, (ROLLED[0], Roll(4 * DAY, "B", "C")), "difference")
    with pytest.raises(SettingError, match="unknown"):
        adjusted(bars, ROLLED, "log")


moves = st.lists(st.tuples(st.integers(1, 9), st.floats(-20, 20), st.floats(0.5, 2)), min_size=1, max_size=5)


@settings(deadline=None)
@given(moves, st.sampled_from(["difference", "ratio"]), st.integers(0, 5))
def test_forward_knows_no_later_roll_and_back_ends_at_real_prices(
    steps: list[tuple[int, float, float]], method: str, known: int
) -> None:
    days = np.cumsum([gap for gap, _, _ in steps])
    rolls = [
        Roll(int(day) * DAY, "A", "B", offset, ratio, 0)
        for day, (_, offset, ratio) in zip(days, steps, strict=True)
    ]
    bars = three([100.0 + k for k in range(int(days[-1]) + 3)])
    whole = adjusted(bars, rolls, method)
    until = rolls[known].at if known < len(rolls) else NEVER
    part = adjusted(bars, rolls[:known], method)
    before = pl.col("datetime").to_physical() < until
    assert whole.filter(before).equals(part.filter(before))
    last = pl.col("datetime").to_physical() >= rolls[-1].at
    assert adjusted(bars, rolls, method, "back").filter(last).equals(bars.filter(last))
    # Both anchors tell the same moves.
    back = adjusted(bars, rolls, method, "back")["close"].to_numpy()
    ahead = whole["close"].to_numpy()
    gap = back - ahead if method == "difference" else back / ahead
    assert gap == pytest.approx(np.full(len(gap), gap[0]), rel=1e-9, abs=1e-9)


# --- real bars --------------------------------------------------------------------------------------------------

ES_ROLLS = [
    # By a loop over the rows of the file, without this program: volumes of each contract by trading day (from 18:00
    # New York of the evening before), a roll at the first bar of the day after the later contract had the larger
    # volume, and the closes of both in the last bar before it that both have.
    #
    # new contract's first bar, contracts, volumes of the day before, last bar of both, closes in it
    ("2024-06-17T22:00", "ES 202406", "ES 202409", 443_865, 1_027_582, "2024-06-17T20:55", 5479.50, 5547.25),
    ("2024-09-16T22:00", "ES 202409", "ES 202412", 461_273, 645_285, "2024-09-16T20:55", 5633.75, 5694.75),
    ("2024-12-16T23:00", "ES 202412", "ES 202503", 451_208, 754_546, "2024-12-16T21:55", 6076.50, 6149.75),
    ("2025-03-17T22:00", "ES 202503", "ES 202506", 733_278, 813_234, "2025-03-17T20:55", 5680.25, 5731.75),
    ("2025-06-16T22:00", "ES 202506", "ES 202509", 541_685, 757_798, "2025-06-16T20:55", 6037.50, 6091.00),
    ("2025-09-15T22:00", "ES 202509", "ES 202512", 433_344, 698_736, "2025-09-15T20:55", 6616.75, 6674.25),
]


def real(path: Path) -> tuple[pl.DataFrame, Blocks]:
    raw = read_bars(path).frame
    es = instrument(path.name.split("_")[0])
    span = raw["datetime"].to_physical()
    hours = schedule(es.calendar, span.min(), span.max())  # type: ignore[arg-type]
    bars, _ = clean(raw, es, hours)
    return mark_blocks(bars, hours, es.max_gap_minutes, raw)


@pytest.mark.real
def test_rolls_of_es_by_hand(real_bars: Callable[[str], Path]) -> None:
    bars, blocks = real(real_bars("ES_5m_by_contract.parquet"))
    expected = tuple(
        Roll(us(at), old, new, after - before, after / before, us(both))
        for at, old, new, _, _, both, before, after in ES_ROLLS
    )
    assert blocks.rolls == expected
    assert [after - before for *_, before, after in ES_ROLLS] == [67.75, 61.0, 73.25, 51.5, 53.5, 57.5]
    # On the first contract's level the last close is lower by all six: 364.5 points.
    forward = adjusted(bars, blocks.rolls, "difference")
    assert forward["close"][-1] == bars["close"][-1] - 364.5
    assert adjusted(bars, blocks.rolls, "difference", "back")["close"][0] == bars["close"][0] + 364.5
    # Each roll is a step of the market and not of the contract: smaller than half its offset.
    rolled = bars["contract"] != bars["contract"].shift(1)
    steps = forward["close"].diff().filter(rolled)
    assert len(steps) == 6
    assert steps.abs().max() < 25  # type: ignore[operator]


@pytest.mark.real
def test_the_contract_of_march_2025_ends_in_the_night(real_bars: Callable[[str], Path]) -> None:
    """NQ 03-25 stops at 03:59 UTC on the 17th, while it is the front by volume: 30 bars later 06-25 takes over."""
    bars, blocks = real(real_bars("NQ_1m.parquet"))
    assert [roll.at for roll in blocks.rolls[1:]] == [us("2025-03-17T04:30"), us("2025-07-22T22:00")]
    assert blocks.rolls[1].measured_at == us("2025-03-17T03:59")
    assert blocks.rolls[2].offset is None
    ended = bars.filter(pl.col("contract") == "NQ 03-25")["datetime"].max()
    assert ended.timestamp() * 1e6 == us("2025-03-17T03:59")  # type: ignore[union-attr]


@pytest.mark.real
def test_crude_oil_is_of_one_contract_at_a_time_and_stays_so(real_bars: Callable[[str], Path]) -> None:
    path = real_bars("CL_1m.parquet")
    bars, blocks = real(path)
    raw = read_bars(path).frame
    assert bars["contract"].rle().len() == raw["contract"].n_unique() == len(blocks.rolls) + 1
    assert all(roll.offset is None for roll in blocks.rolls)
