"""Signals that stop a run are told as such, whatever they interrupt."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from faceaffect.cli.signals import Terminated, raise_if_stopped, stop_signals_raise

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
SIGNALS = [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]


def interrupted_import(number: int) -> None:
    """What a module in C does that is interrupted while it is imported."""
    try:
        send(number)
    except BaseException:
        raise ImportError("initialization failed") from None


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.sigtimedwait([], 0.2)


def import_within_handler_of_errors(number: int) -> None:
    try:
        interrupted_import(number)
    except ImportError:
        raise_if_stopped()


def fail_without_signal() -> None:
    raise_if_stopped()
    raise ImportError


@pytest.mark.parametrize("action", [send, interrupted_import, import_within_handler_of_errors])
@pytest.mark.parametrize(("number", "raised"), SIGNALS)
def test_signal_raises_whatever_it_interrupts(
    number: int, raised: type[BaseException], action: Callable[[int], None]
) -> None:
    with pytest.raises(raised), stop_signals_raise():
        action(number)


@pytest.mark.parametrize(("number", "raised"), SIGNALS)
def test_signal_during_an_import_waits_for_its_end(
    number: int, raised: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = f"import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(0.1); is_whole = 1"
    (tmp_path / f"slow_module_{int(number)}.py").write_text(program)
    monkeypatch.syspath_prepend(str(tmp_path))

    def import_and_wait() -> None:
        module = importlib.import_module(f"slow_module_{int(number)}")
        assert module.is_whole == 1
        time.sleep(5)

    with pytest.raises(raised), stop_signals_raise():
        import_and_wait()
    assert sys.modules.pop(f"slow_module_{int(number)}").is_whole == 1


def test_errors_without_signal_stay_and_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(ImportError), stop_signals_raise():
        fail_without_signal()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
