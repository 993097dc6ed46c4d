"""Speaks the protocol of a process that analyzes stretches, without a video: one face that walks to
the right.

The video's name says what happens: `frames=N` is how long it is, `dies`, `backend`, `source` and
`broken` happen in a stretch that begins at frame `at=N` or later, `shift=N` is by how much
sought frames are counted wrongly, `late=N` how much later than was asked they begin, `breaks=N`
where a decoder stops that came from before, `slow=S` how many seconds the first stretch waits,
`stop` ends all.
"""

import json
import os
import signal
import sys
import time

from faceaffect.segments.frame_result import pack
from tests.sdk.segments.results import result

FPS = 25.0


def say(kind: str, value: object, content: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps({kind: value}).encode() + b"\n" + content)
    sys.stdout.buffer.flush()


def main() -> None:
    name = json.loads(sys.stdin.readline())["uri"]
    what = {word.partition("=")[0]: word.partition("=")[2] for word in name.split()}
    if "stop" in what:
        say("stop", "no such model")
        return
    for line in sys.stdin:
        task = json.loads(line)
        shift = int(what.get("shift", 0)) if task["seek_s"] else 0
        begin = task["start"] + int(what.get("late", 0)) * bool(task["seek_s"])
        end = int(what["frames"])
        if task["end"] is not None:
            end = min(end, task["end"] + 2 * bool(task["seek_s"]) - shift)
        if "breaks" in what and begin <= int(what["breaks"]):
            end = min(end, int(what["breaks"]))
        frames = [result(i, (1, 0.1 * i), fps=FPS) for i in range(begin, end)]
        frames = [one.at(one.index + shift, one.faces.track_id) for one in frames]
        time.sleep(float(what.get("slow", 0)) * (task["start"] == 0))
        for at in range(0, len(frames), 64):
            content = pack(frames[at : at + 64])
            say("frames", len(content), content)
        if task["start"] >= int(what.get("at", 0)):
            for kind in ("source", "backend"):
                if kind in what:
                    say(kind, f"{name}: {kind} fails")
                    break
            else:
                if "broken" in what:
                    say("frames", 10_000, b"cut short")
                if "dies" in what or "broken" in what:
                    print("assertion of the decoder failed", file=sys.stderr, flush=True)
                    os.kill(os.getpid(), signal.SIGKILL)
                say("end", ["a note"])
        else:
            say("end", ["a note"])


if __name__ == "__main__":
    main()
