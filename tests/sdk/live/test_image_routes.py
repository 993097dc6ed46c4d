"""Images over HTTP: the same faces as `faceaffect.analyze`, and requests that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

import faceaffect as fa
from faceaffect.live.client import LiveClient
from faceaffect.live.results import face_results
from faceaffect.live.run_server import LiveServer
from faceaffect.live.settings import Limits, LiveSettings
from tests.sdk.live.live_server import serve

REQUIRES = ("fastapi", "uvicorn", "prometheus_client", "websockets")


@pytest.fixture(scope="module")
def images(demo: Path) -> list[np.ndarray]:
    with fa.open_source(demo) as source:
        chosen = [fa.to_bgr(frame) for frame in source if frame.index in (0, 60, 100)]
    return [*chosen, np.zeros((90, 120), np.uint8)]


@pytest.fixture
def http(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address) as opened:
        yield opened


def test_faces_are_those_of_analyze(server: LiveServer, images: list[np.ndarray]) -> None:
    results = LiveClient(server.address).analyze_images(images)
    expected = fa.analyze(images, progress=False)
    assert len(results) == len(expected) == 4
    for result, frame in zip(results, expected, strict=True):
        faces = face_results(frame.face_arrays, frame.affect_arrays)
        for face in faces:
            face["track_id"] = 1  # each image is analyzed on its own
        assert result["faces"] == faces
        assert result["error"] == ""
    assert [result["width"] for result in results] == [640, 640, 640, 120]
    assert results[3]["faces"] == []


def test_one_raw_image_is_analyzed(http: httpx.Client, images: list[np.ndarray]) -> None:
    content = cv2.imencode(".webp", images[1])[1].tobytes()
    answer = http.post("v1/images", content=content, headers={"content-type": "image/webp"})
    assert answer.status_code == 200
    (image,) = answer.json()["images"]
    assert image["faces"][0]["expression"] == "happiness"


def test_a_broken_file_of_a_form_spoils_no_other(
    http: httpx.Client, images: list[np.ndarray]
) -> None:
    good = cv2.imencode(".jpg", images[0])[1].tobytes()
    files = [("file", ("a.jpg", good)), ("file", ("../\x1b\nb", b"junk")), ("file", ("c", good))]
    first, second, third = http.post("v1/images", files=files).json()["images"]
    assert len(first["faces"]) == len(third["faces"]) == 1
    assert second["error"].startswith("expected a JPEG, PNG or WebP")
    assert (first["name"], second["name"]) == (
        "a.jpg",
        "../%0Ab" if "%" in second["name"] else "../b",
    )


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", {}, 400, "bad_image"),
        (b"junk", {"content-type": "image/jpeg"}, 400, "bad_image"),
        (b"junk", {"content-type": "multipart/form-data"}, 400, "bad_form"),
        (b"junk", {"content-type": "multipart/form-data; boundary=b"}, 400, "bad_form"),
    ],
)
def test_what_is_no_image_is_refused(
    http: httpx.Client, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = http.post("v1/images", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_limits_hold_with_and_without_a_declared_length(trained: None) -> None:
    limits = Limits(image_bytes=1000, request_bytes=3000, images=2, idle_s=0.4)
    with (
        serve(LiveSettings(port=0, limits=limits)) as server,
        httpx.Client(base_url=server.address) as http,
    ):

        def post(content: object, **options: object) -> tuple[int, str]:
            answer = http.post("v1/images", content=content, **options)  # type: ignore[arg-type]
            return answer.status_code, answer.json()["code"]

        assert post(bytes(2000)) == (413, "too_large")
        assert post(iter([bytes(600), bytes(600)])) == (413, "too_large")
        many = [("file", ("x", b"x"))] * 3
        answer = http.post("v1/images", files=many)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_many")

        def slowly() -> Iterator[bytes]:
            import time

            yield b"x"
            time.sleep(1)
            yield b"y"

        assert post(slowly()) == (408, "too_slow")
