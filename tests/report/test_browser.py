"""A whole report in a real browser: no error, every chart drawn, and it fits a phone; skipped where there is none."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from tests.report.test_html import full

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
PROBE = """<script>
const told = {};
addEventListener("error", (e) => { told.error = e.message; });
addEventListener("securitypolicyviolation", (e) => { told.error = e.violatedDirective; });
addEventListener("load", () => {
  const places = [...document.querySelectorAll(".chart[data-chart]")];
  const drawn = (canvas) => canvas && canvas.clientWidth > 0 && canvas.clientHeight > 0 &&
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((one) => one);
  told.charts = places.map((one) => one.dataset.chart + ":" + !!drawn(one.querySelector("canvas"))).join(" ");
  told.width = document.documentElement.scrollWidth + " of " + innerWidth;
  told.still = [...document.querySelectorAll(".still")].filter((one) => one.offsetHeight > 0).length;
  parent.postMessage(told, "*");
});
</script>"""
# A window of chromium is never as narrow as a phone; a frame in it is.
PHONE = """<!DOCTYPE html><html><body><script>
addEventListener("message", (e) => { Object.assign(document.documentElement.dataset, e.data); });
</script><iframe src="probed.html" style="width: 390px; height: 844px; border: 0"></iframe></body></html>"""


@pytest.mark.skipif(not CHROMIUM, reason="no chromium to show the page in")
def test_a_report_works_in_a_browser(with_edge, tmp_path):
    page = full(with_edge)
    # The probe is no part of the page, so the page's policy has to let it pass; in a frame of a phone's width.
    probed = re.sub(r"script-src ", "script-src 'unsafe-inline' ", page)
    probed = re.sub(r"'sha256-[^']+'", "", probed).replace("<title>", PROBE + "<title>", 1)
    (tmp_path / "probed.html").write_text(probed)
    (tmp_path / "phone.html").write_text(PHONE)
    (tmp_path / "real.html").write_text(page)
    found = dumped(tmp_path, "phone.html", "--window-size=800,900")
    told = dict(re.findall(r'data-(\w+)="([^"]*)"', re.search(r"<html[^>]*>", found.stdout)[0]))
    assert "error" not in told, told
    assert told["charts"].split() == [f"{name}:true" for name in re.findall(r'data-chart="([^"]+)"', page)]
    wide, view = map(int, told["width"].split(" of "))
    assert wide <= view == 390  # a bar to scroll by may take some of it
    assert told["still"] == "0"
    # As it is, under its own policy.
    real = dumped(tmp_path, "real.html", "--window-size=1100,900")
    assert re.search(r'<html[^>]*class="live"', real.stdout)
    assert real.stdout.count("<canvas") == len(re.findall(r'data-chart="', page))
    assert not re.findall(r"CONSOLE.*", real.stderr)


def dumped(folder, name, *flags):
    """The page as the browser has it once all is drawn."""
    return subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0",
         f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", *flags, "--dump-dom",
         f"file://{folder / name}"],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
