"""Speaks the protocol of a worker without a model: a part is the input's name; what happens lies in
the name.

`dies` kills the process, `dies-once` only the first time (a file beside the input remembers),
`stop` ends the run.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def say(**message: object) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    if settings["model"] == "none":
        say(stop="no such model")
        return
    say(ready=os.getpid())
    for line in sys.stdin:
        task = json.loads(line)
        seen = Path(task["uri"] + ".seen")
        if "dies" in task["name"] and not ("once" in task["name"] and seen.exists()):
            seen.touch()
            print("assertion of the decoder failed", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if "stop" in task["name"]:
            say(stop="the disk is full")
            return
        time.sleep(0.01)
        say(frames=5)
        say(outcome={"uri": task["uri"], "name": task["name"], "frames": 5, "cpu_s": os.getpid()})


if __name__ == "__main__":
    main()
