"""Threads that work beside the one that analyzes and have time: there are buffers between them."""

from __future__ import annotations

import os
from contextlib import suppress


def lower_thread_priority() -> None:
    """Keep the calling thread from taking a core away from a running thread each time that it
    wakes; its share stays.

    Linux knows this as batch scheduling. Elsewhere, and where another policy was chosen for the
    process, nothing changes.
    """
    if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with suppress(OSError):  # forbidden in some containers
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
