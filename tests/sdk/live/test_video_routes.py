"""Uploaded videos: rows as `analyze` writes them, limits, cancellation, nothing left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from faceaffect.cli.command_line import faceaffect as command
from faceaffect.live.client import LiveClient
from faceaffect.live.run_server import LiveServer
from faceaffect.live.settings import Limits, LiveError, LiveSettings
from tests.sdk.live.live_server import serve

REQUIRES = ("fastapi", "uvicorn", "prometheus_client", "websockets", "jinja2", "matplotlib")


@pytest.fixture
def http(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address) as opened:
        yield opened


def folders(server: LiveServer) -> list[str]:
    return [path.name for path in server.service.jobs._folder.path.iterdir()]


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + 10
    while not is_so() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return is_so()


def without_source(text: str) -> list[str]:
    return [line.partition(",")[2] for line in text.splitlines()]


def test_outputs_are_those_of_analyze(server: LiveServer, demo: Path, tmp_path: Path) -> None:
    client = LiveClient(server.address)
    job = client.wait(client.submit_video(demo, report=True, overlay=True), 60)
    assert (job["frames"], job["faces"], job["progress"]) == (180, 180, 1.0)
    rows = tmp_path / "rows.csv"
    ran = CliRunner().invoke(command, ["analyze", str(demo), "--out", str(rows), "--quiet"])
    assert ran.exit_code == 0, ran.output
    received = client.output(job).decode()
    assert without_source(received) == without_source(rows.read_text())
    assert received.splitlines()[1].startswith("demo.mp4,0,")
    report = client.output(job, "report").decode()
    assert "demo.mp4" in report
    assert str(server.service.jobs._folder.path) not in report
    (tmp_path / "overlay.mp4").write_bytes(client.output(job, "overlay"))
    import av

    with av.open(str(tmp_path / "overlay.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 180
    client.delete(job)
    assert folders(server) == []
    with pytest.raises(LiveError, match="no such job"):
        client.job(job["id"])


def test_reports_cannot_reach_the_api(http: httpx.Client, server: LiveServer, demo: Path) -> None:
    client = LiveClient(server.address)
    job = client.wait(client.submit_video(demo, report=True), 60)
    answer = http.get(f"v1/videos/{job['id']}/report")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in policy
    assert http.get(f"v1/videos/{job['id']}/overlay").json()["code"] == "no_output"
    assert not (server.service.jobs.find(job["id"]).folder / "upload").exists()  # type: ignore[union-attr]
    client.delete(job)


def test_uploads_that_are_no_video_fail_without_telling_paths(http: httpx.Client) -> None:
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    for content in (b"junk" * 100, playlist, b"ffconcat version 1.0\nfile /etc/passwd\n"):
        job = http.post("v1/videos?name=../../x.mp4", content=content).json()
        assert job["name"] == "_.._x.mp4"
        while job["state"] in ("queued", "running"):
            time.sleep(0.05)
            job = http.get(f"v1/videos/{job['id']}").json()
        assert job["state"] == "failed"
        assert "/tmp" not in job["error"]
        assert job["error"]
        assert http.get(f"v1/videos/{job['id']}/rows").status_code == 409
        assert http.delete(f"v1/videos/{job['id']}").status_code == 204
    assert http.post("v1/videos").json()["code"] == "empty"


def test_jobs_are_limited_canceled_and_expire(demo: Path) -> None:
    limits = Limits(jobs=2, keep_s=2.0, video_bytes=demo.stat().st_size)
    with (
        serve(LiveSettings(port=0, limits=limits)) as server,
        httpx.Client(base_url=server.address) as http,
    ):
        content = demo.read_bytes()
        assert http.post("v1/videos", content=content + b"x").status_code == 413
        answers = [http.post("v1/videos", content=content).json() for _ in range(6)]
        jobs = [answer for answer in answers if "id" in answer]
        assert len(jobs) >= 2
        assert {answer["code"] for answer in answers if "code" in answer} == {"busy"}
        for job in jobs:  # one runs, or is done, and one waits
            assert http.delete(f"v1/videos/{job['id']}").status_code == 204
        assert http.get("v1/videos").json() == []
        assert eventually(lambda: folders(server) == [])
        client = LiveClient(server.address)
        job = client.wait(client.submit_video(demo), 30)
        assert 0 < job["expires_s"] <= 2
        assert eventually(lambda: http.get(f"v1/videos/{job['id']}").status_code == 404)
        assert folders(server) == []
        root = server.service.jobs._folder.path
        client.submit_video(demo)
    assert not root.exists()


def test_long_videos_are_refused(demo: Path) -> None:
    with serve(LiveSettings(port=0, limits=Limits(video_s=2.0))) as server:
        client = LiveClient(server.address)
        with pytest.raises(LiveError, match="at most 2 seconds"):
            client.wait(client.submit_video(demo), 30)
