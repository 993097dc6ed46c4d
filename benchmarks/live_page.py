"""How smoothly the live page runs beside the analysis, in Chromium; part of `benchmarks live`."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live_server import start_server

FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
SIZE = {"width": 1280, "height": 880}
WARM_UP_MS = 3000
RECORD_STEPS = """seconds => new Promise((done) => {
    const times = [];
    const step = (now) => {
        times.push(now);
        if (now - times[0] < 1000 * seconds) requestAnimationFrame(step);
        else done(times);
    };
    requestAnimationFrame(step);
})"""


def missing_browser() -> str:
    """What is missing to run the page; empty if nothing is."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright"
    return "" if shutil.which("chromium") else "chromium"


def page_lines(clip: Path, seconds: float) -> list[str]:
    """Open the page over a clip and report frames shown and steps of the display."""
    if missing := missing_browser():
        return ["## Page", "", f"Not measured: needs {missing}.", ""]
    from playwright.sync_api import sync_playwright

    received: list[int] = []
    with start_server("live", str(clip), "--loop") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=[*FLAGS]
        )
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        page.on(
            "websocket",
            lambda socket: socket.on("framereceived", lambda data: received.append(len(data))),
        )
        page.goto(server.address)
        page.wait_for_timeout(WARM_UP_MS)
        before, cpu_s = len(received), server.cpu_s()
        times_ms: list[Any] = page.evaluate(RECORD_STEPS, seconds)
        shown, cpu_s = len(received) - before, server.cpu_s() - cpu_s
        badge = page.inner_text("#rate")
        browser.close()
    steps_ms = np.diff(times_ms)
    return [
        f"## Page of {SIZE['width']} x {SIZE['height']} in Chromium, without a GPU, {seconds:g} s",
        "",
        "| | |",
        "|---|---|",
        f"| results and images shown per second | {shown / seconds:.1f} |",
        f"| what the page says of itself | {badge} |",
        "| time between two display frames p50 / p99 / max, ms | "
        + " / ".join(f"{np.percentile(steps_ms, part):.1f}" for part in (50, 99, 100))
        + " |",
        f"| cores used by the server | {cpu_s / seconds:.2f} |",
        "",
    ]
