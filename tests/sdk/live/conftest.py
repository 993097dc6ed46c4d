"""One server over the demo clip for the tests of a file that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from faceaffect.live.run_server import LiveServer

DEMO = Path(__file__).resolve().parents[3] / "assets" / "demo.mp4"


@pytest.fixture(scope="session")
def demo(trained: None) -> Path:
    return DEMO


@pytest.fixture(scope="module")
def server(demo: Path) -> Iterator[LiveServer]:
    from faceaffect.live.settings import LiveSettings
    from tests.sdk.live.live_server import serve

    with serve(LiveSettings(source=str(demo), loops=True, port=0)) as running:
        yield running
