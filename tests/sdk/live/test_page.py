"""The live page in Chromium: its own camera is fed with the demo clip."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pandas
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

import faceaffect as fa
from faceaffect.live.run_server import LiveServer
from faceaffect.live.settings import LiveSettings
from faceaffect.sinks.columns import COLUMN_NAMES
from faceaffect.summary.summarize import summarize_files
from tests.sdk.live.live_server import CHROMIUM, serve

REQUIRES = ("fastapi", "uvicorn", "prometheus_client", "websockets")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=LocalNetworkAccessChecks",  # the server itself keeps other sites out
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
TIMEOUT_MS = 20_000
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: chromium)")


@pytest.fixture(scope="module")
def camera(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg, which makes the file of the camera")
    path = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    command = ["ffmpeg", "-loglevel", "error", "-i", str(demo), "-pix_fmt", "yuvj420p", "-q:v", "3"]
    subprocess.run([*command, str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def browser(camera: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        with playwright.chromium.launch(executable_path=CHROMIUM, args=flags) as opened:
            yield opened


class Visit:
    """A page, what it complains about and which hosts it asks."""

    def __init__(self, context: BrowserContext) -> None:
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.page: Page = context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self._ask(request.url))
        self.page.on("websocket", lambda socket: self._ask(socket.url))

    def _note(self, message: object) -> None:
        if message.type in ("error", "warning"):  # type: ignore[attr-defined]
            self.problems.append(message.text)  # type: ignore[attr-defined]

    def _ask(self, url: str) -> None:
        if not url.startswith("blob:"):
            self.hosts.add(urlsplit(url).netloc)


@pytest.fixture
def visit(browser: Browser, server: LiveServer) -> Iterator[Visit]:
    with browser.new_context() as context:
        one = Visit(context)
        one.page.goto(server.address)
        yield one
        assert one.problems == []
        assert one.hosts == {urlsplit(server.address).netloc}


def wait_for_live(page: Page) -> None:
    expect(page.locator("#status")).to_have_text("live", timeout=TIMEOUT_MS)
    expect(page.locator("#stage")).to_have_attribute(
        "aria-label", "Frame with 1 face", timeout=TIMEOUT_MS
    )


def test_the_source_of_the_server_is_shown(visit: Visit) -> None:
    page = visit.page
    wait_for_live(page)
    expect(page.locator("#source")).to_have_text(re.compile(r"demo\.mp4 . 640.360"))
    expect(page.locator("#expressions .is-on")).to_have_text(re.compile("happiness"))
    expect(page.locator("#aus .is-on b", has_text="AU12")).to_be_visible()
    expect(page.locator("#plane")).to_have_attribute("aria-label", re.compile(r"Valence \+0\.\d\d"))
    expect(page.locator("#latency")).to_have_text(re.compile(r"[\d.]+ ms p50 · [\d.]+ ms p99"))
    # The image is drawn: the stage holds many colors, and brackets of the face.
    colors = page.evaluate(
        """() => { const c = document.getElementById('stage'), set = new Set();
        const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        for (let i = 0; i < data.length; i += 4000) set.add(data.slice(i, i + 3).join());
        return set.size }"""
    )
    assert colors > 50


def test_the_camera_of_the_browser_shows_changing_action_units(visit: Visit) -> None:
    page = visit.page
    wait_for_live(page)
    page.keyboard.press("c")
    expect(page.locator("#source")).to_have_text(
        re.compile("my camera . 640.360"), timeout=TIMEOUT_MS
    )
    seen = set()
    for _ in range(120):
        seen |= set(page.locator("#aus .is-on b").all_inner_texts())
        if {"AU12", "AU1", "AU15"} <= seen:
            break
        page.wait_for_timeout(100)
    assert {"AU12", "AU1", "AU15"} <= seen
    page.keyboard.press("c")
    expect(page.locator("#source")).to_have_text(re.compile(r"demo\.mp4 . 640.360"))


def test_a_recording_holds_rows_and_events(visit: Visit, demo: Path, tmp_path: Path) -> None:
    page = visit.page
    wait_for_live(page)
    page.click("#record")
    page.check("#record-video")
    page.click("#record-start")
    expect(page.locator("#record")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(800)
    page.keyboard.press("e")
    page.click("#mark")
    page.wait_for_timeout(1200)
    page.keyboard.press("r")
    links = page.locator("#save-links a")
    expect(links).to_have_count(3)
    files = []
    for index in range(3):
        with page.expect_download() as download:
            links.nth(index).click()
        files.append(tmp_path / download.value.suggested_filename)
        download.value.save_as(files[-1])
    page.click("#save-dialog button")
    rows, events = pandas.read_csv(files[0]), pandas.read_csv(files[1])
    assert tuple(rows.columns) == COLUMN_NAMES
    assert np.diff(rows["frame"]).max() == 1  # also frames that were not shown have rows
    assert len(rows) > 20
    assert events["number"].tolist() == [1, 2]
    assert rows["time_s"].min() <= events["time_s"].min() <= rows["time_s"].max()
    # The rows are those of the file analyzed at once; its six seconds are played in a loop.
    whole = fa.analyze(str(demo), progress=False).to_pandas()
    position = np.rint(rows["time_s"] * 30).astype(int) % len(whole)
    error = np.abs(rows["valence"].to_numpy() - whole["valence"].to_numpy()[position])
    assert np.median(error) < 0.02
    (person,) = summarize_files([files[0]], None, [])
    assert person["covered_s"] > 1
    import av

    with av.open(str(files[2])) as video:
        assert sum(1 for _ in video.decode(video=0)) >= 3


def test_pause_baseline_theme_and_cursor(visit: Visit) -> None:
    page = visit.page
    wait_for_live(page)
    page.wait_for_timeout(900)
    page.keyboard.press("b")
    expect(page.locator("#baseline")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#baseline")).to_have_text(re.compile(r"Neutral \d s"))
    page.keyboard.press("b")
    expect(page.locator("#baseline")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Space")
    expect(page.locator("#status")).to_have_text("paused")
    page.wait_for_timeout(200)
    before = page.locator("#aus").inner_text()
    page.wait_for_timeout(700)
    assert page.locator("#aus").inner_text() == before
    page.locator("#strip").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#readout")).to_have_text(re.compile(r"^.0\.8 s . \w+ \d+ %"))
    page.keyboard.press("Escape")
    page.keyboard.press("Space")
    expect(page.locator("#status")).to_have_text("live")
    page.keyboard.press("t")
    theme = page.evaluate("document.documentElement.dataset.theme")
    page.keyboard.press("t")
    assert {theme, page.evaluate("document.documentElement.dataset.theme")} == {"dark", "light"}


def test_two_viewers_see_the_same_source(visit: Visit, server: LiveServer) -> None:
    second = visit.page.context.new_page()
    second.goto(server.address)
    wait_for_live(visit.page)
    wait_for_live(second)
    for _ in range(100):  # those of earlier pages may still be leaving
        if server.service.viewers == 2:
            break
        second.wait_for_timeout(50)
    assert server.service.viewers == 2
    second.close()


def test_pages_fit_a_phone_and_controls_have_names(browser: Browser, server: LiveServer) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        visit = Visit(context)
        visit.page.goto(server.address)
        wait_for_live(visit.page)
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        assert width == 390
        for button in visit.page.get_by_role("button").all():
            assert button.is_visible()
            box = button.bounding_box()
            assert box is not None
            assert min(box["height"], box["width"]) >= 40, button
        assert visit.problems == []


def test_the_page_comes_back_after_a_restart(browser: Browser, demo: Path) -> None:
    with browser.new_context() as context:
        visit = Visit(context)
        with serve(LiveSettings(source=str(demo), loops=True, port=0)) as first:
            visit.page.goto(first.address)
            wait_for_live(visit.page)
            port = urlsplit(first.address).port
        expect(visit.page.locator("#status")).to_have_text("reconnecting")
        assert port is not None
        with serve(LiveSettings(source=str(demo), loops=True, port=port)):
            wait_for_live(visit.page)
        unexpected = [one for one in visit.problems if "WebSocket" not in one]
        assert unexpected == []


def test_the_page_asks_for_the_token(browser: Browser, demo: Path) -> None:
    token = "0123456789abcdef0123"
    settings = LiveSettings(source=str(demo), loops=True, port=0, token=token)
    with serve(settings) as server, browser.new_context() as context:
        visit = Visit(context)
        visit.page.goto(server.address)
        visit.page.fill("#token", "something else")
        visit.page.keyboard.press("Enter")
        expect(visit.page.locator("#token-error")).to_have_text("That is not the token.")
        visit.page.fill("#token", token)
        visit.page.keyboard.press("Enter")
        wait_for_live(visit.page)
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert token not in cookie["value"]
        with browser.new_context() as other:
            page = other.new_page()
            page.goto(f"{server.address}#token={token}")
            wait_for_live(page)
            assert token not in page.url


def test_other_sites_get_nothing(browser: Browser, server: LiveServer) -> None:
    """A page of another origin can neither read, nor post, nor open the WebSocket."""
    script = f"""async () => {{
        const address = "{server.address}";
        const socket = new WebSocket(address.replace("http", "ws") + "v1/watch");
        const opened = await new Promise((done) => {{
            socket.onopen = () => done(true);
            socket.onerror = () => done(false);
        }});
        const get = await fetch(address + "v1/model").then(() => true, () => false);
        const post = {{ method: "POST", body: "x", mode: "no-cors" }};
        await fetch(address + "v1/videos", post).catch(() => null);
        return [opened, get];
    }}"""
    jobs = httpx.get(f"{server.address}v1/videos").json()
    with browser.new_context() as context:
        page = context.new_page()
        page.route("http://evil.test/", lambda route: route.fulfill(body="<p>evil</p>"))
        page.goto("http://evil.test/")
        assert page.evaluate(script) == [False, False]
    assert httpx.get(f"{server.address}v1/videos").json() == jobs


def test_the_api_page_lists_all_requests(visit: Visit) -> None:
    wait_for_live(visit.page)
    visit.page.goto(f"{visit.page.url}docs")
    expect(visit.page.locator("#requests article")).to_have_count(12)
    expect(visit.page.locator("#stream")).to_be_visible()


def test_the_client_script_analyzes_images(visit: Visit) -> None:
    wait_for_live(visit.page)
    count = visit.page.evaluate(
        """async () => { const { FaceAffect } = await import("/static/client.js");
        const canvas = document.getElementById("stage");
        const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
        const images = await new FaceAffect().images(blob, blob);
        return images.map((image) => image.faces.length) }"""
    )
    assert count == [1, 1]


def test_pages_load_nothing_else(server: LiveServer) -> None:
    answer = httpx.get(server.address)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for path in ("live.js", "live.css", "client.js", "theme.css"):
        text = httpx.get(f"{server.address}static/{path}").text
        assert re.findall(r"https?://[\w.]+", text) == []
    assert httpx.get(f"{server.address}static/../settings.py").status_code == 404
    lines = httpx.get(f"{server.address}static/client.js").text.splitlines()
    assert len(lines) <= 45
