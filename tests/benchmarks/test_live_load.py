from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.live_load import Client, load_lines, measure, soak_lines

REQUIRES = ("fastapi", "uvicorn", "websockets", "prometheus_client")
DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"


def test_lines_report_percentiles_queue_and_memory() -> None:
    clients = [Client(100, 1, [float(one) for one in range(1, 100)], [2.0] * 99), Client(100, 0)]
    text = "\n".join(load_lines(clients, [0, 2, 1, 3], 3.0, 10.0))
    assert "| frames sent | 200 |" in text
    assert "| answered, in all; least and most of a client | 99; 0, 99 |" in text
    assert "| latency p50 / p99 / max, ms | 50.0 / 98.0 / 99.0 |" in text
    assert "first and the second half; max | 1.00, 2.00; 3 |" in text
    assert "| cores used by the server | 0.30 |" in text
    soak = soak_lines([(100, 50.0), (300, 51.0), (400, 52.0), (500, 53.0)], 10.0)
    assert "| 100 | 50.0 |" in soak
    assert "| 500 | 53.0 |" in soak


def test_a_short_run_measures_all_parts(trained: None) -> None:
    text = measure(DEMO, clients=2, seconds=1.0, soak_frames=60, drops=5)
    assert "| frames sent | 60 |" in text
    assert "connections that the server still has: 0" in text
    frames = int(text.split("## Soak: ")[1].split()[0])
    assert frames == pytest.approx(60, abs=2)
