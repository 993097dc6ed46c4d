"""Runs the server in a thread for tests, and finds Chromium."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from faceaffect.live.run_server import LiveServer
from faceaffect.live.settings import LiveSettings

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None
)


@contextmanager
def serve(settings: LiveSettings) -> Iterator[LiveServer]:
    started = threading.Event()
    server = LiveServer(settings, lambda address: started.set())
    thread = threading.Thread(target=server.serve_until_stopped, daemon=True)
    thread.start()
    assert started.wait(20), "the server did not start"
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server did not stop"
