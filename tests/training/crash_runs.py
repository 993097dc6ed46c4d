"""Runs of the command line that are killed and resumed, each in a forked child process.

Called by tests as `python -m tests.training.crash_runs OUT COMMAND ...`; a command is one
argument, whose words have no spaces. Each runs once to the end, into OUT/k/uninterrupted, and once
into OUT/k/resumed, where it is killed after its first save and run again with --resume.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import torch

from training.__main__ import main

WAIT_S = 240


def child(arguments: list[str], log: Path) -> int:
    """Start the process of a command; returns its id."""
    process = os.fork()
    if process:
        return process
    with log.open("a") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        try:
            main(arguments, standalone_mode=True)
        except SystemExit as end:
            os._exit(int(end.code or 0))
        finally:
            os._exit(1)


def wait(process: int, log: Path) -> None:
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status:
        sys.exit(f"ended with {status}: {log.read_text()[-3000:]}")


def kill_after_first_save(process: int, folder: Path, log: Path) -> None:
    """Kill the process once any stage has saved; it must not have ended by then."""
    until = time.monotonic() + WAIT_S
    while not any(folder.glob("**/state.pt")):
        if os.waitpid(process, os.WNOHANG)[0] or time.monotonic() > until:
            sys.exit(f"saved nothing: {log.read_text()[-3000:]}")
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != -signal.SIGKILL:
        sys.exit("the command had ended before it was killed")


def run(number: int, arguments: list[str], out: Path) -> None:
    folder = out / str(number)
    log = out / f"{number}.log"
    wait(child([*arguments, "--out", str(folder / "uninterrupted")], log), log)
    kill_after_first_save(
        child([*arguments, "--out", str(folder / "resumed")], log), folder / "resumed", log
    )
    wait(child([*arguments, "--out", str(folder / "resumed"), "--resume"], log), log)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for number, command in enumerate(sys.argv[2:]):
        run(number, command.split(), Path(sys.argv[1]))
