"""A cluster of two machines, as Ray plays them on one; one of them is lost on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceaffect.batch import open_store
from faceaffect.batch.output_store import WORK
from tests.sdk.batch.conftest import SDK, Analyze, children, make_video, wait_for

REQUIRES = ("pyarrow",)

VIDEOS, FRAMES = 6, 1500
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that computes nothing and two machines of one core each."""
    pytest.importorskip("ray", reason="needs ray: pip install 'faceaffect[ray]'")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(SDK))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv(
        "RAY_worker_niceness", "0"
    )  # 15 without it: hardly anything where others are at work
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    small = {"object_store_memory": 80 << 20}
    made = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small}
    )
    try:
        yield made, [made.add_node(num_cpus=1, **small) for _ in range(2)]
    finally:
        made.shutdown()


def parts(out: Path) -> dict[str, int]:
    return {name: (out / name).stat().st_mtime_ns for name in open_store(str(out)).names()}


def lose(ray_cluster: Any, node: Any) -> None:
    """Its processes end at once, as those of a machine without power; Ray alone would let a worker
    finish its file.
    """
    raylet = node.all_processes["raylet"][0].process.pid
    workers = children(raylet)
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    ray_cluster.remove_node(node, allow_graceful=False)


def test_a_lost_machine_loses_nothing_and_leaves_nothing_twice(
    cluster: Any, analyze: Analyze, tmp_path: Path
) -> None:
    from pyarrow import dataset

    ray_cluster, nodes = cluster
    archive, out = tmp_path / "archive", tmp_path / "parts"
    for number in range(VIDEOS):
        make_video(archive / f"v{number % 3}" / f"{number}.mp4", FRAMES)
    (archive / "late.mp4").write_text("no video")
    arguments = (f"{archive}/**/*.mp4", "--out", out, "--ray", ray_cluster.address)
    process = analyze(*arguments)
    wait_for(
        lambda: len(parts(out)) >= 1 and len(list((out / WORK).iterdir())) == 2,
        process,
        seconds=300,
    )
    lose(ray_cluster, nodes[0])
    assert len(parts(out)) < VIDEOS
    _, error = process.communicate(timeout=300)
    assert process.returncode == 1, error
    assert f"{VIDEOS} inputs (0 more were there already)" in error
    assert "late.mp4: expected a video or image" in error
    kept = parts(out)
    assert len(kept) == VIDEOS
    make_video(archive / "late.mp4", FRAMES)
    process = analyze(*arguments, "--retry")
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert {name: parts(out)[name] for name in kept} == kept
    rows = dataset.dataset(out, format="parquet").to_table(columns=["source", "frame"]).to_pydict()
    found = sorted(zip(rows["source"], rows["frame"], strict=True))
    assert found == sorted(
        (str(path), frame) for path in archive.rglob("*.mp4") for frame in range(FRAMES)
    )
    assert not (out / ".faceaffect" / "work").exists()


def test_an_address_that_nobody_answers_at_is_a_clear_error(
    analyze: Analyze, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="needs ray: pip install 'faceaffect[ray]'")
    os.environ.pop("RAY_ADDRESS", None)
    make_video(tmp_path / "archive" / "a.mp4", 3)
    process = analyze(tmp_path / "archive", "--out", tmp_path / "parts", "--ray", "auto")
    _, error = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "--ray must be local, auto, host:port" in error
    assert "Traceback" not in error


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from faceaffect.batch import BatchError
    from faceaffect.batch.ray_cluster import require_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BatchError, match=r"pip install \"faceaffect\[ray\]\""):
        require_ray()
