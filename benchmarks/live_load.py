"""Load and soak of the server: `python -m benchmarks live`.

The server runs in a process of its own. Clients send JPEG images of a clip, as cameras do: at 30
frames per second each, the newest frame wins. Latency is from sending a frame to receiving its
result. The queue is read from /metrics four times a second. In the soak, the clients send the next
frame with each result instead. Server and clients share the cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from websockets.asyncio.client import connect

import faceaffect as fa
from benchmarks.live_page import page_lines
from benchmarks.live_server import Server, start_server
from faceaffect.bench.machine import describe_machine
from faceaffect.bench.machine_load import SystemLoadMonitor
from faceaffect.live.stream_messages import pack_frame

ROOT = Path(__file__).resolve().parents[1]
FPS = 30
POLL_S = 0.25
JPEG_QUALITY = 85
SETTLE_S = 0.5
SOAK_POLL_S = 5.0


@dataclass
class Client:
    """What one client saw."""

    sent: int = 0
    dropped: int = 0
    latency_ms: list[float] = field(default_factory=list)
    analyze_ms: list[float] = field(default_factory=list)


def read_jpegs(clip: Path) -> list[bytes]:
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    with fa.open_source(clip) as source:
        return [cv2.imencode(".jpg", fa.to_bgr(frame), quality)[1].tobytes() for frame in source]


async def run_camera(server: Server, jpegs: list[bytes], seconds: float, phase: float) -> Client:
    """Send frames at 30 per second, whether or not they are answered."""
    client = Client()
    sent_s: dict[int, float] = {}
    async with connect(server.stream, compression=None, max_size=None) as stream:
        await stream.recv()

        async def receive() -> None:
            async for text in stream:
                result = json.loads(text)
                client.latency_ms.append(1000 * (time.perf_counter() - sent_s[result["id"]]))
                client.analyze_ms.append(result["timing"]["analyze_ms"])
                client.dropped = result["dropped"]

        receiver = asyncio.create_task(receive())
        start_s = time.perf_counter() + phase / FPS
        for number in range(round(seconds * FPS)):
            await asyncio.sleep(max(0.0, start_s + number / FPS - time.perf_counter()))
            sent_s[number] = time.perf_counter()
            header = {"id": number, "time_s": number / FPS}
            await stream.send(pack_frame(header, jpegs[number % len(jpegs)]))
            client.sent += 1
        await asyncio.sleep(SETTLE_S)
        receiver.cancel()
    return client


async def run_cameras(
    server: Server, jpegs: list[bytes], count: int, seconds: float
) -> tuple[list[Client], list[float]]:
    """Run the clients; returns them and the queue over time."""
    queue: list[float] = []

    async def watch() -> None:
        while True:
            queue.append(await asyncio.to_thread(server.metric, "faceaffect_queue"))
            await asyncio.sleep(POLL_S)

    watcher = asyncio.create_task(watch())
    cameras = (run_camera(server, jpegs, seconds, one / count) for one in range(count))
    clients = await asyncio.gather(*cameras)
    watcher.cancel()
    return list(clients), queue


async def run_soak(
    server: Server, jpegs: list[bytes], count: int, frames: int
) -> list[tuple[int, float]]:
    """Send frames as fast as they are answered; returns frames and memory over time."""
    done = 0
    memory: list[tuple[int, float]] = []

    async def client() -> None:
        nonlocal done
        async with connect(f"{server.stream}?policy=all", compression=None) as stream:
            await stream.recv()
            number = 0
            while done < frames:
                await stream.send(pack_frame({"time_s": number / FPS}, jpegs[number % len(jpegs)]))
                await stream.recv()
                number += 1
                done += 1

    async def watch() -> None:
        while True:
            await asyncio.sleep(SOAK_POLL_S)
            memory.append((done, server.memory_mb()))

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(client() for _ in range(count)))
    watcher.cancel()
    return [*memory, (done, server.memory_mb())]


def drop_connections(server: Server, count: int) -> None:
    """Open connections and drop them in the middle of a request."""
    host, _, port = server.address.removeprefix("http://").rstrip("/").partition(":")
    request = f"POST /v1/images HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 99\r\n\r\nx"
    for _ in range(count):
        with socket.create_connection((host, int(port))) as one:
            one.sendall(request.encode())


def percentiles(values: list[float]) -> str:
    """Median, 99th percentile and maximum in milliseconds, with one decimal."""
    return " / ".join(f"{np.percentile(values, part):.1f}" for part in (50, 99, 100))


def load_lines(
    clients: list[Client], queue: list[float], cpu_s: float, seconds: float
) -> list[str]:
    """Report of the load."""
    latency = [one for client in clients for one in client.latency_ms]
    analysis = [one for client in clients for one in client.analyze_ms]
    half = len(queue) // 2
    answered = [len(client.latency_ms) for client in clients]
    return [
        f"## {len(clients)} clients at {FPS} frames per second for {seconds:.0f} s",
        "",
        "| | |",
        "|---|---|",
        f"| frames sent | {sum(client.sent for client in clients)} |",
        f"| answered, in all; least and most of a client | {sum(answered)}; {min(answered)},"
        f" {max(answered)} |",
        f"| dropped for newer ones | {sum(client.dropped for client in clients)} |",
        f"| latency p50 / p99 / max, ms | {percentiles(latency)} |",
        f"| analysis of a frame p50 / p99 / max, ms | {percentiles(analysis)} |",
        f"| queue, mean of the first and the second half; max | {np.mean(queue[:half]):.2f},"
        f" {np.mean(queue[half:]):.2f}; {max(queue):.0f} |",
        f"| cores used by the server | {cpu_s / seconds:.2f} |",
        "",
    ]


def soak_lines(memory: list[tuple[int, float]], seconds: float) -> list[str]:
    """Report of the soak: memory at fifths of the frames."""
    total = memory[-1][0]
    fifths = [next(one for one in memory if one[0] >= part * total / 5) for part in range(1, 6)]
    return [
        f"## Soak: {total} frames in {seconds:.0f} s, {total / FPS / 3600:.2f} hours of one camera",
        "",
        "| frames | resident memory, MB |",
        "|---|---|",
        *(f"| {frames} | {megabytes:.1f} |" for frames, megabytes in fifths),
        "",
    ]


def measure(
    clip: Path,
    clients: int,
    seconds: float,
    soak_frames: int,
    drops: int,
    page_seconds: float = 0.0,
) -> str:
    """Run all parts, and return the record."""
    load = SystemLoadMonitor()
    jpegs = read_jpegs(clip)
    with start_server("serve") as server:
        asyncio.run(run_cameras(server, jpegs, clients, min(2.0, seconds)))  # opens the pipelines
        cpu_s, started_s = server.cpu_s(), time.perf_counter()
        seen, queue = asyncio.run(run_cameras(server, jpegs, clients, seconds))
        elapsed_s = time.perf_counter() - started_s
        lines = load_lines(seen, queue, server.cpu_s() - cpu_s, elapsed_s)
        files, memory_mb = server.open_files(), server.memory_mb()
        drop_connections(server, drops)
        time.sleep(SETTLE_S)
        lines += [
            f"## {drops} connections dropped in mid-request",
            "",
            f"- open files before and after: {files}, {server.open_files()}",
            f"- resident memory before and after: {memory_mb:.1f}, {server.memory_mb():.1f} MB",
            f"- connections that the server still has: {server.connections()}",
            "",
        ]
        started_s = time.perf_counter()
        memory = asyncio.run(run_soak(server, jpegs, clients, soak_frames))
        lines += soak_lines(memory, time.perf_counter() - started_s)
    lines += page_lines(clip, page_seconds) if page_seconds else []
    head = [
        f"# Live server: {clip.name}, {len(jpegs)} frames as JPEG",
        "",
        *(f"- {name}: {fact}" for name, fact in describe_machine().items()),
        f"- load during the run: {'; '.join(load.stop().warnings()) or 'quiet'}",
        f"- load average at the end: {os.getloadavg()[0]:.1f}",
        "",
        "Written by `python -m benchmarks live`. Server and clients share the cores.",
        "",
    ]
    return "\n".join([*head, *lines]).rstrip() + "\n"


def main(argv: list[str] | None = None) -> None:
    """Run `python -m benchmarks live`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks live", description=__doc__)
    parser.add_argument("--clip", type=Path, default=ROOT / "assets" / "demo.mp4")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0, help="of the load")
    parser.add_argument("--soak-frames", type=int, default=3600 * FPS)
    parser.add_argument("--drops", type=int, default=200, help="connections that are dropped")
    parser.add_argument("--page-seconds", type=float, default=10.0, help="0 leaves out the page")
    parser.add_argument("--record", type=Path, default=None)
    options = parser.parse_args(argv)
    if not options.clip.is_file():
        parser.error(f"--clip must be a video file, got {options.clip}")
    text = measure(
        options.clip,
        options.clients,
        options.seconds,
        options.soak_frames,
        options.drops,
        options.page_seconds,
    )
    sys.stdout.write(text)
    if options.record:
        options.record.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
