"""Times as people write them."""

from __future__ import annotations


def clock_time(time_s: float, last_s: float) -> str:
    """Format a time as 12.5, 3:07 or 1:02:33, in the form that `last_s` needs."""
    if last_s < 60:
        return f"{round(time_s, 2):g}"
    seconds = round(time_s)
    if last_s < 3600:
        return f"{seconds // 60}:{seconds % 60:02d}"
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def clock_text(time_s: float) -> str:
    """Format a time on its own, with its unit below a minute."""
    return clock_time(time_s, time_s) + (" s" if time_s < 60 else "")
