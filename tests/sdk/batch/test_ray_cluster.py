"""Tests of RayCluster, on two simulated machines, one of which is lost."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceaffect.batch import open_store
from faceaffect.batch.output_store import WORK
from faceaffect.system.install_command import install_command
from tests.sdk.batch.conftest import SDK, Analyze, children, make_video, wait_for

REQUIRES = ("pyarrow",)

VIDEOS, FRAMES = 6, 1500
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without cores and two machines of one core each."""
    pytest.importorskip("ray", reason="needs ray: pip install 'faceaffect[ray]'")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(SDK))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv(
        "RAY_worker_niceness", "0"
    )  # the default of 15 starves the workers on a busy machine
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    small = {"object_store_memory": 80 << 20}
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small}
    )
    try:
        yield cluster, [cluster.add_node(num_cpus=1, **small) for _ in range(2)]
    finally:
        cluster.shutdown()


def output_files(out: Path) -> dict[str, int]:
    return {name: (out / name).stat().st_mtime_ns for name in open_store(str(out)).names()}


def lose(ray_cluster: Any, node: Any) -> None:
    """Kill all processes of a machine; `remove_node` alone would let a worker finish its file."""
    raylet = node.all_processes["raylet"][0].process.pid
    workers = children(raylet)
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    ray_cluster.remove_node(node, allow_graceful=False)


def test_run_lost_machine_loses_and_duplicates_nothing(
    cluster: Any, analyze: Analyze, tmp_path: Path
) -> None:
    from pyarrow import dataset

    ray_cluster, nodes = cluster
    videos, out = tmp_path / "videos", tmp_path / "results"
    for number in range(VIDEOS):
        make_video(videos / f"v{number % 3}" / f"{number}.mp4", FRAMES)
    (videos / "late.mp4").write_text("no video")
    arguments = (f"{videos}/**/*.mp4", "--out", out, "--ray", ray_cluster.address)
    process = analyze(*arguments)
    wait_for(
        lambda: len(output_files(out)) >= 1 and len(list((out / WORK).iterdir())) == 2,
        process,
        seconds=300,
    )
    lose(ray_cluster, nodes[0])
    assert len(output_files(out)) < VIDEOS
    _, error = process.communicate(timeout=300)
    assert process.returncode == 3, error
    assert f"{VIDEOS} inputs (0 more by previous runs)" in error
    assert "late.mp4: expected a video or image" in error
    kept = output_files(out)
    assert len(kept) == VIDEOS
    make_video(videos / "late.mp4", FRAMES)
    process = analyze(*arguments, "--retry-failed")
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert {name: output_files(out)[name] for name in kept} == kept
    rows = dataset.dataset(out, format="parquet").to_table(columns=["source", "frame"]).to_pydict()
    frames = sorted(zip(rows["source"], rows["frame"], strict=True))
    assert frames == sorted(
        (str(path), frame) for path in videos.rglob("*.mp4") for frame in range(FRAMES)
    )
    assert not (out / ".faceaffect" / "work").exists()


def test_run_unreachable_address_raises(analyze: Analyze, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs ray: pip install 'faceaffect[ray]'")
    os.environ.pop("RAY_ADDRESS", None)
    make_video(tmp_path / "videos" / "a.mp4", 3)
    process = analyze(tmp_path / "videos", "--out", tmp_path / "results", "--ray", "auto")
    _, error = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "--ray must be local, auto, host:port" in error
    assert "Traceback" not in error


def test_require_ray_missing_names_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from faceaffect.batch import BatchError
    from faceaffect.batch.ray_cluster import require_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BatchError, match=re.escape(install_command("ray"))):
        require_ray()
