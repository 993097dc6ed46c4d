"""Priority of background threads, which have buffers between them and the analysis."""

from __future__ import annotations

import os
from contextlib import suppress


def lower_thread_priority() -> None:
    """Run the calling thread under SCHED_BATCH, so that waking up preempts no other thread.

    Its share of the CPU is unchanged. No-op outside Linux, and where the process has another
    scheduling policy.
    """
    if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with suppress(OSError):  # forbidden in some containers
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
