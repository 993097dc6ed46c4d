from __future__ import annotations

import os
import threading

import pytest

from faceaffect.system.thread_priority import lower_thread_priority

pytestmark = pytest.mark.skipif(
    not hasattr(os, "SCHED_BATCH"), reason="batch scheduling is Linux's"
)


def policy_after(begin: int) -> int:
    """The policy of a thread that began with `begin` and became patient."""
    found: list[int] = []

    def run() -> None:
        os.sched_setscheduler(0, begin, os.sched_param(0))
        lower_thread_priority()
        found.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_a_usual_thread_becomes_patient_alone() -> None:
    before = os.sched_getscheduler(0)
    assert policy_after(os.SCHED_OTHER) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == before


def test_another_policy_stays() -> None:
    assert policy_after(os.SCHED_IDLE) == os.SCHED_IDLE


def test_a_refusal_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: os.SCHED_OTHER)
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    lower_thread_priority()
