"""Segment worker without a video: one face that moves to the right.

The name of the video controls it:

- `frames=N`: number of frames,
- `dies`, `backend`, `source`, `truncated`: how segments from frame `at=N` on fail,
- `shift=N`: error of the frame numbers after seeking,
- `late=N`: frames by which seeking overshoots,
- `corrupt=N`: frame that cannot be decoded,
- `slow=S`: seconds that the first segment takes,
- `stop`: the worker fails to start.
"""

import json
import os
import signal
import sys
import time

from faceaffect.segments.frame_result import pack
from tests.sdk.segments.results import result

FPS = 25.0


def send(kind: str, value: object, content: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps({kind: value}).encode() + b"\n" + content)
    sys.stdout.buffer.flush()


def main() -> None:
    name = json.loads(sys.stdin.readline())["uri"]
    options = {word.partition("=")[0]: word.partition("=")[2] for word in name.split()}
    if "stop" in options:
        send("stop", "no such model")
        return
    for line in sys.stdin:
        task = json.loads(line)
        shift = int(options.get("shift", 0)) if task["seek_s"] else 0
        begin = task["start"] + int(options.get("late", 0)) * bool(task["seek_s"])
        end = int(options["frames"])
        if task["end"] is not None:
            end = min(end, task["end"] + 2 * bool(task["seek_s"]) - shift)
        if "corrupt" in options and begin <= int(options["corrupt"]):
            end = min(end, int(options["corrupt"]))
        frames = [result(i, (1, 0.1 * i), fps=FPS) for i in range(begin, end)]
        frames = [one.renumbered(one.index + shift, one.faces.track_id) for one in frames]
        time.sleep(float(options.get("slow", 0)) * (task["start"] == 0))
        for at in range(0, len(frames), 64):
            content = pack(frames[at : at + 64])
            send("frames", len(content), content)
        if task["start"] >= int(options.get("at", 0)):
            for kind in ("source", "backend"):
                if kind in options:
                    send(kind, f"{name}: {kind} fails")
                    break
            else:
                if "truncated" in options:
                    send("frames", 10_000, b"too few")
                if "dies" in options or "truncated" in options:
                    print("assertion of the decoder failed", file=sys.stderr, flush=True)
                    os.kill(os.getpid(), signal.SIGKILL)
                send("end", ["a note"])
        else:
            send("end", ["a note"])


if __name__ == "__main__":
    main()
