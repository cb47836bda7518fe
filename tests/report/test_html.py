import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from foldsmith.evaluation.metrics import score
from foldsmith.report.html import render

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
VOID = {"meta", "br", "img", "link"}


class Checker(HTMLParser):
    """Fails on tags left open; remembers tags, attributes and text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], set(), [], []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


JUDGED = {
    "verdict": "evidence",
    "reasons": ["because of <b>it"],
    "place": 1,
    "level": 0.0125,
    "error_rate": 0.05,
}
SIGNIFICANCE = {
    "tried": {"trials": 1234, "trained": 1230, "labellings": 3, "datasets": 2, "place": 1},
    "series": {"names": ["a", "b"], "days": 90, "missing": ["CV run 2"]},
    "sharpe": {
        "variance": 0.01,
        "variance_from": "null",
        "series": 2,
        "trials": 1234,
        "trials_effective": 900.5,
        "expected_best_annual": 3.2,
        "minimum_backtest_years": 10.5,
        "deflated_sharpe_ratio": 0.91,
        "deflated_sharpe_ratio_effective": None,
        "deflated_sharpe_ratio_2025": 0.9,
        "minimum_track_record_days": 400.0,
    },
    "overfitting": {"probability": 0.4, "blocks": 16, "series": 2, "days": 90, "loss": 0.5},
    "snooping": {
        "reps": 1000,
        "days": 90,
        "block_days": 5,
        "spa": {"lower": 0.2, "consistent": 0.25, "upper": 0.3},
        "stepm": [],
        "mcs": ["a", "b"],
        "mcs_p": {},
        "left_out": [],
    },
    "paths": {"skipped": "There are no combinatorial paths."},
    "diebold_mariano": {"first": {"difference": -0.01, "t": -2.1, "p": 0.04}, "second": None},
}


CERTIFICATE = {"n_train": 7654, "n_test": 321, "overlaps": 0, "breaches": 0, "purged": 19, "embargoed": 20}


def cell(name, trades=50, significant=False):
    some = 1.25 if trades else None
    return {
        "name": name, "rows": 4567, "trades": trades, "gross": 10.0, "net": -5.0, "gross_per_trade": some,
        "gross_t": some, "gross_p": some and 0.2, "holm_p": some and 0.625, "significant": significant,
        "net_per_trade": some, "net_t": None, "direction_auc": 0.515625, "direction_log_loss_gain": None,
    }  # fmt: skip


def attributed(word):
    way = {"about": word, "cells": [cell(word, significant=True), cell("other"), cell("idle", 0)]}
    return {"looked_at": 43, "tested": 40, "significant": 1, "level": 0.05, "ways": {word: way}}


def point(threshold, trades):
    made = {"threshold": threshold, "signals": 2 * trades, "trades": trades, "gross": 100.0, "net": -100.0}
    return made | {"gross_per_trade": 1.0 if trades else None}


def moved(name, psi):
    return {
        "name": name, "psi": psi, "verdict": "moved" if psi else "stable", "ks": 0.25, "p_value": None,
        "mean_train": 1.5, "mean_other": 2.5, "sd_train": 0.5,
    }  # fmt: skip


def words(page):
    return re.sub(r"\s+", " ", " ".join(Checker(page).text))


def full(parts, word="word"):
    members = {word: parts["metrics"], "lightgbm": parts["metrics"]}
    return render(
        f"stacking on {word}",
        facts={"model": "stacking", word: word},
        **parts,
        currency=word,
        split=word,
        judged=JUDGED,
        significance=SIGNIFICANCE,
        looks={"this run": 1, word: 4},
        members=members,
        statements=[f"This is not fully nested: {word}."],
        findings={
            "cleaning": {
                "rows": 9,
                "duplicate": {
                    "count": 3,
                    "action": "drop",
                    "examples": [{"at": "2024-01-08T00:40:00+00:00", "open": 4801.25}],
                },
                word: {"count": 1, "action": word, "examples": [{"at": word, word: word}]},
                "zero_volume": {"count": 0, "action": "count", "examples": []},
            },
            "blocks": {
                "rolls": {"count": 1, "at": ["2024-03-11T22:00:00+00:00"]},
                "holes": {"count": 30, "minutes": 90.0, "at": [{"from": word, "to": word, "minutes": 3.0}]},
            },
            "features": {
                "rows": 4321,
                "each": {
                    word: {"missing": 0.125, "mean": 1.5, "sd": 2.0, "autocorrelation": 0.25, "shift": -0.75},
                    "unknown": dict.fromkeys(("missing", "mean", "sd", "autocorrelation", "shift")),
                },
                "redundant": {
                    "count": 2,
                    "rows": 4000,
                    "pairs": [{"one": word, "other": "close_2", "correlation": 0.96875}],
                },
            },
        },
        labels={"ambiguous": 2, "crosses_block": 40},
        provenance={"content": "9f2c" * 16, "seed": 20240, word: [word, word]},
        attribution=attributed(word),
        sensitivity={
            "thresholds": {"step": 0.01, "points": [point(0.34, 90), point(0.35, 0)]},
            "costs": {
                "points": [{"multiple": 2, "net": -12345.0, "max_drawdown": 1.0, "sharpe_annual": None}],
                "break_even": {"multiple": 0.25, "per_trade": 1.5},
            },
        },
        importance={
            "method": "mda", "rows": 1000, "of": 5000, "seed": 7, "days": 30, "block": 1, "rank_correlation": 0.5,
            "features": [{"name": word, "importance": 0.125, "se": 0.01, "direction": None}],
        },
        drift={"rows": [5000, 400], "features": [moved(word, 0.5)], "predictions": [moved("prob_long", 0.0)]},
        separation={
            "certificates": {"segments": {word: CERTIFICATE}, "meta_folds": [CERTIFICATE]},
            "audit": f"Not audited: {word}.",
            "coverage": [word],
        },
    )  # fmt: skip


def test_everything_is_shown(with_edge):
    page = full(with_edge)
    text = words(page)
    metrics, summary = with_edge["metrics"], with_edge["backtest"].summary
    for value in (metrics["log_loss"], metrics["log_loss_base"], metrics["direction_auc"]):
        assert f"{value:.4f}" in text
    low = with_edge["intervals"]["direction_auc"]["low"]
    assert f"{low:.4f} to" in text
    assert f"{summary['gross']:,.2f}" in text.replace("−", "-")
    expected = [
        "model trials on them, K 1,234", "Verdict: evidence.", "because of <b>it", "in at most 5 of 100 cases",
        "K from the ledger 91.0%", "participation ratio", "SPA, consistent p) 0.2500",
        "first −0.01000 −2.10 0.040", "no combinatorial paths",
        "looks at the word split, this run 1", "This is look number 4",
        "not fully nested", "lightgbm", "duplicate 3 drop 2024-01-08 00:40:00 4801.25",
        "not met: zero volume", "Rolls: 1", "Holes: 30, the first 1",
        "On 4,321 training rows", "word 12.5% 1.5000 2.0000 0.2500 −0.7500", "to the second: word.",
        "2 pairs with |correlation| > 0.95 on 4,000 rows, the first 1", "word close_2 0.9688",
        "ambiguous 2", "crosses block 40", "seed 20240", "9f2c" * 16,
        "share recovered", "always long", "always short", "always flat", "base rate of training",
        f"{metrics['confusion'][0][0]:,}",
    ]  # fmt: skip
    for sentence in expected:
        assert sentence in text, sentence
    for sentence in (
        "43 cells were looked at and 40 could be tested", "1 is marked *", "word * 4,567 50 1.25 1.25 0.625",
        "0.25 times what is charged here", "at 2 times the costs −12,345", "These are 2 tries on the same rows",
        "on 1,000 of 5,000 validation rows (drawn with seed 7; 30 days)", "word +0.12500 0.01000 –",
        "segments: word 7,654 321 0 0 19 20", "meta folds 1 7,654", "Not audited: word.",
        "of 1 features 0 are stable (PSI below 0.1), 0 moving, 1 moved", "word 0.500 moved 0.250 – 1.5000 2.5000",
        "prob long 0.000 stable",
    ):  # fmt: skip
        assert sentence in text, sentence
    assert page.count('class="figure"') == 3


def test_whatever_is_not_given_has_no_section(with_edge):
    page = render("title", facts={}, metrics=with_edge["metrics"])
    text = words(page)
    for absent in ("Trading", "Calibration", "What was tried", "Base models", "planted edge", "Provenance"):
        assert absent not in text
    assert "Scores" in text
    assert page.count('class="figure"') == 0


def test_hostile_text_stays_text(with_edge):
    page = full(with_edge, HOSTILE)
    checker = Checker(page)
    assert not {"img", "iframe", "link", "object"} & checker.tags
    assert page.count("<script") == page.count("</script>") == 3
    data = json.loads(re.search(r'<script type="application/json" id="chart-data">(.*?)</script>', page)[1])
    assert any(HOSTILE in name for chart in data.values() for name in chart.get("names", []))
    assert not [name for name, _ in checker.attributes if name.startswith("on")]
    assert HOSTILE in "".join(checker.text)


def test_needs_nothing_else(with_edge):
    page = full(with_edge)
    # The library names its home in a comment, and scripts make strings of many kinds.
    assert len(page) < 300_000
    page = re.sub(r"<script>.*?</script>|/\*!.*?\*/", "", page, flags=re.DOTALL)
    links = [v for k, v in Checker(page).attributes if k in ("href", "src", "xlink:href")]
    assert all(link.startswith("#") for link in links)
    without_names = page.replace("http://www.w3.org/", "")
    assert "http" not in without_names.replace("http-equiv", "")
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_only_the_scripts_of_the_program_may_run(with_edge):
    page = full(with_edge, HOSTILE)
    allowed = re.search(r"script-src ([^\"]*)\"", page)[1].split()
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert allowed == [f"'sha256-{b64encode(sha256(one.encode()).digest()).decode()}'" for one in scripts]
    folder = files("foldsmith.report")
    texts = [(folder / name).read_text().strip() for name in ("vendor/uPlot.iife.min.js", "charts.js")]
    assert scripts == texts
    assert "script-src" not in render("t", facts={}, metrics=with_edge["metrics"])


def test_the_vendored_library_is_the_published_one():
    """Version 1.6.32 of uPlot from npm, byte for byte; docs/decisions/0030 says where from."""
    for name, known in {
        "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
        "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
        "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    }.items():
        assert sha256((files("foldsmith.report") / "vendor" / name).read_bytes()).hexdigest() == known


def test_every_chart_shows_the_numbers_of_its_table(with_edge):
    page = full(with_edge)
    data = json.loads(re.search(r'id="chart-data">(.*?)</script>', page)[1])
    places = re.findall(r'data-chart="([^"]+)"', page)
    assert set(data) == set(places) == {"equity", "costs", "thresholds", "reliability", "by-word"}
    daily = with_edge["backtest"].daily
    by_label = {one["label"]: one["values"] for one in data["equity"]["series"]}
    assert by_label["after costs"] == pytest.approx(daily["equity_net"].to_list(), abs=0.006)
    assert by_label["before costs"] == pytest.approx(daily["equity_gross"].to_list(), abs=0.006)
    fall = -min(by_label["fall from the peak, after costs"])
    assert fall == pytest.approx(with_edge["backtest"].summary["max_drawdown"], abs=0.006)
    assert data["costs"]["series"][1]["values"] == by_label["after costs"]
    assert data["by-word"]["names"] == ["word *", "other"]
    for chart in data.values():
        assert all(len(one["values"]) == len(chart["x"]) for one in chart["series"])
        assert chart["x"] == sorted(chart["x"])
    for name, found in with_edge["calibration"].items():
        dots = [v for one in data["reliability"]["series"] if one["label"] == name for v in one["values"]]
        assert [v for v in dots if v is not None] == pytest.approx(
            [part["frequency"] for part in found["bins"]], abs=1e-6
        )


def test_ids_are_unique_and_bytes_repeat(with_edge):
    page = full(with_edge)
    ids = [value for name, value in Checker(page).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert full(with_edge) == page


def test_verdict_claims_only_what_is_borne_out(with_edge, without_edge):
    seen, blind = words(full(with_edge)), words(full(without_edge))
    assert "It tells long from short" in seen
    assert "beat the base rate" in seen
    assert "Trades earn before costs" in seen
    assert "not shown to tell long from short" in blind
    assert "beat the base rate of the training rows by more" not in blind
    assert "Trades earn" not in blind


def test_without_intervals_nothing_is_claimed(with_edge):
    text = words(render("t", facts={}, metrics=with_edge["metrics"]))
    assert "not shown to be better" in text
    assert "not shown to tell long from short" in text


def test_scores_that_are_not_defined(without_edge):
    metrics = score([1, 1, 0], [[0.2, 0.3, 0.5]] * 3, [1.0, 2.0, 1.0])
    text = words(render("t", facts={}, metrics=metrics, members={"a": metrics}, looks={"run": 1}))
    assert "has no yardstick" in text
    assert "weighted" in text
    assert "nan" not in text.lower().split()
    assert "This is look number" not in text


def test_no_trades(without_edge):
    test = without_edge["backtest"]
    summary = dict(
        test.summary, trades=0, gross_t=None, gross_p=None, gross_per_trade=None, sharpe_annual=None
    )
    none = type(test)(test.trades.clear(), test.daily, summary)
    text = words(render("t", facts={}, metrics=without_edge["metrics"], backtest=none))
    assert "never traded" in text


@pytest.mark.parametrize("block", [1, 3])
def test_says_how_the_interval_was_made(with_edge, block):
    parts = dict(with_edge, intervals=dict(with_edge["intervals"], block_days=block))
    assert ("blocks of 3 trading days" in words(full(parts))) == (block == 3)


def test_paths_are_shown_each_by_itself_or_by_their_spread(with_edge):
    spread = {"median": 1.25, "low": -0.5, "high": 2.0, "below_0": 0.25, "days": 400}
    idle = {**dict.fromkeys(("median", "low", "high", "below_0")), "sharpe": [None] * 4, "days": 400}
    found = {
        "groups": 5, "tested": 2, "splits": 10, "paths": 4, "periods_per_year": 252, "missing": ["run <b> is gone"],
        "models": {"stacking (ensemble)": {**spread, "sharpe": [1.5, -0.5, 1.0, 2.0]}, "idle": idle},
        "statement": "This is no standard error.",
    }  # fmt: skip

    def page(paths):
        shown = render("title", facts={}, **with_edge, significance={**SIGNIFICANCE, "paths": paths})
        return words(shown)

    text = page(found)
    assert "stacking (ensemble) 1.25 −0.50 2.00 25.0% 1.50 −0.50 1.00 2.00" in text
    assert "idle – – – – – – – –" in text
    assert "5 groups, 2 of them tested in each of 10 splits, joined to 4 paths" in text
    assert "This is no standard error. Not read: run <b> is gone." in text
    assert "path 4" in text
    many = {**found, "paths": 13}
    assert "path 1" not in page(many)
    assert "stacking (ensemble) 1.25 −0.50 2.00 25.0%" in page(many)
