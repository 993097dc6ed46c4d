"""A failed call whose error was raised must not be raised again by the next kernel launch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from faceaffect.kernels.native import native
from tests.native.cuda_standin import standin

pixels = native.DeviceBuffer(16).view([1, 1, 1, 3], "|u1")
planes = native.DeviceBuffer(64).view([1, 3, 1, 1], "<f4")
problems: list[str] = []
checked: list[str] = []


def launch_after(what: str) -> None:
    checked.append(what)
    try:
        native.normalize_cuda(pixels, (0, 0, 0), (1, 1, 1), planes, None)
    except RuntimeError as error:
        problems.append(f"the launch after {what} failed ({error})")


def must_fail(what: str, call: Callable[[], Any]) -> None:
    try:
        call()
    except RuntimeError:
        launch_after(what)
    else:
        problems.append(f"{what} did not fail")


launch_after("nothing")
must_fail("an allocation that is too large", lambda: native.DeviceBuffer(1 << 40))
must_fail("choosing a missing GPU", lambda: native.use_device(5))
stream, event = native.Stream(), native.Event()
kept = standin.delay(stream, lambda _: time.sleep(0.05))
event.record(stream)
if event.is_done:
    problems.append("an event is done before its stream")
launch_after("asking an event that is not done")
stream.synchronize()
standin.finish(f"{len(checked) - 1} failures, each followed by a launch", problems)
