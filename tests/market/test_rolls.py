"""Blocks end at rolls and holes, and not at scheduled closures."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.market.conftest import MINUTE, RawMaker, us
from tests.oracles import market as oracle

from foldsmith.contracts import BARS
from foldsmith.market.clean import clean
from foldsmith.market.findings import Roll
from foldsmith.market.instruments import Instrument, instrument
from foldsmith.market.rolls import mark_blocks
from foldsmith.market.sessions import Schedule, schedule


def without(frame: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    return frame.filter(pl.int_range(pl.len()).is_between(first, last).not_())


def rolled_at(row: int) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) < row).then(pl.lit("MES 03-24")).otherwise(pl.lit("MES 06-24"))


def test_closures_are_no_holes(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    # A weekend, and the holiday of 2024-01-15 with its early close.
    frame, blocks = mark_blocks(clean(make_raw("2024-01-11", 4), mes, hours)[0], hours, 60)
    assert BARS.check(frame)["block"].unique().to_list() == [0]
    assert (blocks.rolls, blocks.holes) == ((), ())


def test_a_hole_is_longer_than_the_limit(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw()
    for missing, holes in ((60, 0), (61, 1)):
        frame, blocks = mark_blocks(clean(without(raw, 100, 99 + missing), mes, hours)[0], hours, 60)
        assert len(blocks.holes) == holes
        assert frame["block"][-1] == holes
    assert blocks.holes[0].minutes == 61
    assert blocks.holes[0].start == us("2024-01-08T00:40")
    assert blocks.as_dict()["holes"]["at"][0] == {
        "from": "2024-01-08T00:40:00+00:00",
        "to": "2024-01-08T01:41:00+00:00",
        "minutes": 61.0,
    }


def test_a_hole_is_counted_across_a_closure(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    # 31 minutes on either side of a pause: 62 of open time, though each side is short.
    frame, blocks = mark_blocks(clean(without(make_raw(), 1349, 1410), mes, hours)[0], hours, 60)
    assert blocks.holes[0].minutes == 62
    assert frame["block"].to_list() == [0] * 1349 + [1] * 1349


def test_a_roll_begins_a_block(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = make_raw().with_columns(contract=rolled_at(420))
    frame, blocks = mark_blocks(clean(raw, mes, hours)[0], hours, 60)
    assert blocks.rolls == (Roll(us("2024-01-08T06:00"), "MES 03-24", "MES 06-24"),)
    assert frame["block"].to_list() == [0] * 420 + [1] * 2340
    assert frame["block"].dtype == pl.Int32


def test_roll_and_hole_at_once_begin_one_block(make_raw: RawMaker, mes: Instrument, hours: Schedule) -> None:
    raw = without(make_raw(), 420, 600).with_columns(contract=rolled_at(420))
    frame, blocks = mark_blocks(clean(raw, mes, hours)[0], hours, 60)
    assert (len(blocks.rolls), len(blocks.holes), frame["block"][-1]) == (1, 1, 1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 2760 - 1), min_size=2, max_size=40, unique=True).map(sorted),
    st.integers(0, 40),
    st.sampled_from([1, 10, 60, 200]),
)
def test_blocks_equal_their_twin(rows: list[int], roll: int, limit: int) -> None:
    hours = schedule("CME_EQUITY", us("2024-01-08"), us("2024-01-12"))
    begin = int((hours.day.astype(str) == "2024-01-11").argmax())
    pairs = list(zip(hours.open.tolist(), hours.close.tolist(), strict=True))
    opens = [pairs[begin + row // 1380][0] + row % 1380 * MINUTE for row in rows]
    frame = pl.DataFrame(
        {
            "datetime": pl.Series(opens).cast(pl.Datetime("us", "UTC")),
            "close_time": pl.Series([at + MINUTE for at in opens]).cast(pl.Datetime("us", "UTC")),
            "contract": ["A" if row < roll else None for row in range(len(rows))],
        }
    )
    marked, _ = mark_blocks(frame, hours, limit)
    assert marked["block"].to_list() == oracle.blocks(frame.to_dicts(), pairs, limit)


def test_instruments_have_a_limit() -> None:
    assert instrument("MES").max_gap_minutes == 60
