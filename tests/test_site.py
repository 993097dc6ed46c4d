"""The documentation: README, Python blocks that run, and the site built strictly."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import cv2
import pytest

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "assets" / "demo.mp4"
OVERLAY = ROOT / "assets" / "overlay.webp"
MAX_README_LINES = 120
MAX_IMAGE_BYTES = 3_000_000
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
PRINT = re.compile(r"^\s*print\(.*?\)\s+# (.+)$", re.M)  # behind it, or on the next line
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if PYTHON_BLOCK.search(page.read_text(encoding="utf-8"))
]
SERVER = "http://127.0.0.1:8750"
REQUIRES = ("pandas", "matplotlib", "jinja2")


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: None) -> Path:
    """A folder with the inputs that the pages name."""
    copyfile(DEMO, tmp_path / "clip.mp4")
    capture = cv2.VideoCapture(str(DEMO))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 55)
    cv2.imwrite(str(tmp_path / "face.jpg"), capture.read()[1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected_lines(code: str) -> Iterator[str]:
    """What the comments behind `print(...)` say is printed."""
    for match in PRINT.finditer(code):
        yield match.group(1)


@contextlib.contextmanager
def server_of(code: str) -> Iterator[str]:
    """Run a server for code that uses one, at any free port."""
    if SERVER not in code:
        yield SERVER
        return
    pytest.importorskip("fastapi", reason="needs the extra live")
    from faceaffect.live.settings import LiveSettings
    from tests.sdk.live.live_server import serve

    with serve(LiveSettings(port=0)) as server:
        yield server.address.rstrip("/")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_print_what_their_comments_say(page: Path, inputs: Path) -> None:
    blocks = PYTHON_BLOCK.findall(page.read_text(encoding="utf-8"))
    code = "\n".join(blocks)
    printed = io.StringIO()
    names: dict[str, object] = {"__name__": "page"}
    with server_of(code) as address, contextlib.redirect_stdout(printed):
        exec(compile(code.replace(SERVER, address), str(page), "exec"), names)
    assert printed.getvalue().splitlines() == list(expected_lines(code))
    assert code.count("print(") == len(list(expected_lines(code))), "each print shows its output"


def test_pages_with_python_are_found() -> None:
    assert {"README.md", "python.md", "index.md", "columns.md"} <= {page.name for page in PAGES}


def test_readme_is_short_and_shows_the_overlay() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_README_LINES
    first_screen = "\n".join(text.splitlines()[:12])
    assert "assets/overlay.webp" in first_screen


def test_image_of_the_readme_shows_six_seconds() -> None:
    image_module = pytest.importorskip("PIL.Image")
    assert OVERLAY.stat().st_size <= MAX_IMAGE_BYTES
    with image_module.open(OVERLAY) as image:
        durations_ms = []
        for index in range(image.n_frames):
            image.seek(index)
            image.load()
            durations_ms.append(image.info["duration"])
        assert image.info["loop"] == 0
    assert 5900 <= sum(durations_ms) <= 6100


def test_image_of_the_readme_is_made_by_its_script(trained: None) -> None:
    """A frame of the image is what the script draws, apart from its compression."""
    image_module = pytest.importorskip("PIL.Image")
    import numpy as np

    path = ROOT / "assets" / "make_readme_image.py"
    spec = importlib.util.spec_from_file_location("make_readme_image", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    images, duration_ms = script.annotated_frames(DEMO)
    assert duration_ms == pytest.approx(66.7, abs=0.1)
    with image_module.open(OVERLAY) as stored:
        assert stored.n_frames == len(images) == 90
        for index in (0, 28, 50, 75):
            stored.seek(index)
            got = np.asarray(stored.convert("RGB"), np.float32)
            expected = np.asarray(images[index], np.float32)
            assert np.abs(got - expected).mean() < 3


def test_site_is_built_without_a_warning(tmp_path: Path) -> None:
    for package in ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers"):
        if importlib.util.find_spec(package) is None:
            pytest.skip("needs the extra docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    reference = (tmp_path / "api" / "index.html").read_text(encoding="utf-8")
    for name in ("analyze", "astream", "Result", "FaceView", "FaceAnnotator", "SinkError"):
        assert re.search(rf'<h3 id="faceaffect\.[\w.]*{name}"', reference), name
    assert (tmp_path / "assets" / "overlay.webp").is_file()
    assert "blob/main/benchmarks/results" in (tmp_path / "limits" / "index.html").read_text()
    for page in tmp_path.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert re.findall(r'(?:src|href)="(https?://(?!github\.com)[^"]+\.(?:js|css))', text) == []
