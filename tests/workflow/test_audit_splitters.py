"""`foldsmith audit splitters`: ours and one's own must keep rows apart; those of others are said to, or not."""

from __future__ import annotations

import json
from pathlib import Path

from tests.workflow.conftest import Desk
from tests.workflow.test_flags import covers

MINE = """
from sklearn.model_selection import KFold, StratifiedKFold

from foldsmith.splits import PurgedKFold

plain = StratifiedKFold(3)


def apart(t0, t1, bars, embargo, n_splits):
    return PurgedKFold(n_splits, t0=t0, t1=t1, bars=bars, embargo=embargo)


def by_rows(n_splits):
    return KFold(n_splits)


class Odd:
    def split(self, X, y=None, groups=None):
        raise ValueError("it rains")
"""


@covers(
    "audit splitters", "--own", "--dataset", "--symbol", "--horizon", "--made-up", "--n-splits", "--gap", "--embargo",
    "--json", "--html", "--workspace",
)  # fmt: skip
def test_who_leaks_is_said_and_ones_own_must_not(tiny: Desk, tmp_path: Path) -> None:
    (tiny.path / "mine.py").write_text(MINE)
    (dataset,) = (tiny.path / "data" / "datasets").iterdir()
    words = ["audit", "splitters", "--dataset", dataset.name, "--symbol", "MES", "--horizon", 10]
    tiny.call(*words, "--own", "mine.py:apart", "--embargo", 10, "--json", "s.json", "--html", "s.html")
    found = json.loads((tiny.path / "s.json").read_text())
    by_name = {(each["library"], each["name"]): each for each in found["splitters"]}
    assert by_name["yours", "mine.py:apart"]["state"] == "apart"
    assert by_name["yours", "mine.py:apart"]["gap"] >= 1
    assert by_name["foldsmith", "PurgedKFold"]["train"] == by_name["yours", "mine.py:apart"]["train"]
    assert by_name["sklearn", "KFold"]["overlaps"] > 0
    assert by_name["sklearn", "KFold"]["embargoed"] > 0
    assert (found["n_splits"], found["gap"], found["embargo"], found["longest_label"]) == (5, 10, 10, 10)
    page = (tiny.path / "s.html").read_text()
    assert "mine.py:apart" in page
    assert "<script" not in page
    leaking = ["--own", "mine.py:plain", "--own", "mine.py:by_rows", "--own", "mine.py:Odd"]
    done = Desk(tmp_path).call(
        "audit", "splitters", "--workspace", tiny.path, *leaking, "--n-splits", 3, "--gap", 0, status=2
    )
    assert "3 folds, embargo 0 bars, purge by rows of 0" in done.stdout
    assert "mine.py:plain (leaks); mine.py:by_rows (leaks); mine.py:Odd (could not run)" in done.stderr
    assert "it rains" in done.stdout


def test_made_up_labels_need_no_dataset(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    told = desk.call("audit", "splitters", "--made-up").stdout
    assert "TimeSeriesSplit, gap: leaks: 31 of 1,400 training rows" in told
    assert "--horizon does not apply" in desk.denied("audit", "splitters", "--made-up", "--horizon", 5)
    assert "is no page" in desk.denied("audit", "splitters", "--made-up", "--html", "a.txt")
    assert "outside the workspace" in desk.denied("audit", "splitters", "--made-up", "--own", "../a.py:b")
