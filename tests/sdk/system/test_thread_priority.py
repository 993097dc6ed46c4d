"""Background threads run under batch scheduling."""

from __future__ import annotations

import os
import threading

import pytest

from faceaffect.system.thread_priority import lower_thread_priority

pytestmark = pytest.mark.skipif(
    not hasattr(os, "SCHED_BATCH"), reason="batch scheduling needs Linux"
)


def policy_after(begin: int) -> int:
    """Policy of a thread with policy `begin` after lowering its priority."""
    policies: list[int] = []

    def run() -> None:
        os.sched_setscheduler(0, begin, os.sched_param(0))
        lower_thread_priority()
        policies.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return policies[0]


def test_lower_priority_changes_only_the_calling_thread() -> None:
    before = os.sched_getscheduler(0)
    assert policy_after(os.SCHED_OTHER) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == before


def test_lower_priority_with_other_policy_keeps_it() -> None:
    assert policy_after(os.SCHED_IDLE) == os.SCHED_IDLE


def test_lower_priority_without_permission_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: os.SCHED_OTHER)
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    lower_thread_priority()
