"""Worker process without a model, controlled by the names of its inputs.

`dies` kills the process, `dies-once` only the first time (recorded in a file beside the input),
`stop` ends the run. The model `none` does not exist; any other names a file, and as long as that
does not exist a process creates it and is killed while it starts.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def send(**message: object) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    if settings["model"] == "none":
        send(stop="no such model")
        return
    first = Path(settings["model"]) if settings["model"] else None
    if first is not None and not first.exists():
        first.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    send(ready=os.getpid())
    for line in sys.stdin:
        task = json.loads(line)
        marker = Path(task["uri"] + ".marker")
        if "dies" in task["name"] and not ("once" in task["name"] and marker.exists()):
            marker.touch()
            print("assertion of the decoder failed", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if "stop" in task["name"]:
            send(stop="the disk is full")
            return
        time.sleep(0.01)
        send(frames=5)
        send(result={"uri": task["uri"], "name": task["name"], "frames": 5, "cpu_s": os.getpid()})


if __name__ == "__main__":
    main()
