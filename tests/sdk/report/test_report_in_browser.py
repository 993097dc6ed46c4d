"""The report in a real browser: plots are made, react, and the console stays empty."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from faceaffect.report.write_report import write_report
from tests.sdk.report.synthetic_rows import one_face, write_rows

REQUIRES = ("jinja2", "playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TIMEOUT_MS = 60_000
PROBE = """
<script>
const timer = setInterval(() => {
  const section = document.querySelector(".source");
  if (!section.section) return;
  clearInterval(timer);
  const pixels = (canvas) => new Set(new Uint32Array(
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size;
  const result = {
    charts: section.querySelectorAll(".uplot").length,
    colors: [...section.querySelectorAll("canvas")].map(pixels),
    width: document.documentElement.scrollWidth - innerWidth,
  };
  const charts = section.section.charts;
  const axes = charts.map((chart) => chart.bbox.left + "," + chart.bbox.width);
  result.aligned = new Set(axes).size;
  section.querySelector(".moments button").click();
  result.readout = section.querySelector(".readout").textContent;
  charts[0].setScale("x", { min: 1, max: 2 });
  setTimeout(() => finish(section, charts, result), 300);
}, 50);
function finish(section, charts, result) {
  result.zoom = charts.map((chart) => [chart.scales.x.min, chart.scales.x.max]);
  section.querySelectorAll("[data-track]")[1].click();
  result.chosen = section.section.track.id;
  section.section.show(2.5);
  result.gap = section.querySelector(".readout").textContent;
  document.getElementById("theme").click();
  result.theme = document.documentElement.dataset.theme;
  document.title = JSON.stringify(result);
}
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_report_in_browser_is_interactive_without_errors(tmp_path: Path) -> None:
    frames = [
        ("a.mp4", i, i / 25, [1] if 50 <= i < 75 else [1, 2]) for i in range(125)
    ]  # face 2 is away from 2 to 3 s
    rows = write_rows(tmp_path / "a.csv", [*frames, *one_face("b.mp4", 1.0)])
    page = tmp_path / "page.html"
    write_report([rows], page)
    page.write_text(page.read_text().replace("</body>", PROBE + "</body>"))
    messages: list[str] = []
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        with playwright.chromium.launch(executable_path=CHROMIUM, args=flags) as browser:
            view = browser.new_page(viewport={"width": 1280, "height": 900})
            view.on("console", lambda message: messages.append(message.text))
            view.on("pageerror", lambda error: messages.append(str(error)))
            view.goto(page.as_uri())
            expect(view).to_have_title(re.compile(r"^\{"), timeout=TIMEOUT_MS)
            result: dict[str, Any] = json.loads(view.title())
    assert messages == []
    assert result["charts"] == 3, "valence and arousal, expression, action units"
    assert min(result["colors"]) >= 3, "nothing is empty"
    assert result["aligned"] == 1
    assert result["width"] <= 0, "no sideways scrolling"
    assert "neutral" in result["readout"] or "happiness" in result["readout"]
    assert result["zoom"] == [[1, 2]] * 3
    assert result["chosen"] == 2
    assert "the face is not seen" in result["gap"]
    assert result["theme"] in ("dark", "light")
