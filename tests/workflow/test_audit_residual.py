"""`foldsmith audit residual`: the curve on a screen, a page and as JSON; it changes nothing."""

from __future__ import annotations

import json

from tests.workflow.conftest import Desk
from tests.workflow.test_flags import covers


@covers(
    "audit residual", "--dataset", "--symbol", "--horizon", "--model", "--n-splits", "--seed", "--json", "--html",
    "--workspace",
)  # fmt: skip
def test_the_curve_is_drawn_and_nothing_is_changed(tiny: Desk) -> None:
    (dataset,) = (tiny.path / "data" / "datasets").iterdir()
    before = tiny.everything()
    told = tiny.call(
        "audit", "residual", "--dataset", dataset.name, "--symbol", "MES", "--horizon", 10, "--model", "ridge",
        "--n-splits", 3, "--seed", 5, "--json", "r.json", "--html", "r.html", "--workspace", tiny.path,
    ).stdout  # fmt: skip
    found = json.loads((tiny.path / "r.json").read_text())
    assert [point["embargo"] for point in found["points"]] == [0, 2, 5, 10, 20, 40, 80]
    assert (found["model"], found["n_splits"], found["seed"], found["horizon"]) == ("ridge", 3, 5, 10)
    assert found["points"][0]["log_loss"]["difference"] == 0
    assert found["suggested_embargo"] in (0, 2, 5, 10, 20, 40, 80)
    assert "embargo   80 bars: log loss" in told
    assert "A diagnosis, not a proof" in told or "falls to the longest" in told
    page = (tiny.path / "r.html").read_text()
    assert "<svg" in page
    assert "no proof" in page
    assert {name: size for name, size in tiny.everything().items() if not name.startswith("r.")} == before
    again = tiny.call("audit", "residual", "--json", "s.json", "--n-splits", 3, "--horizon", 10).stdout
    assert "logistic" in (tiny.path / "s.json").read_text()
    assert again != told
    assert "is no page" in tiny.denied("audit", "residual", "--html", "a.txt")
    assert "unknown model" in tiny.denied("audit", "residual", "--model", "nope")
