"""State, metrics, TLS, connections, and requests made from the server's own description."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

import faceaffect as fa
from faceaffect.live.access import HEADERS
from faceaffect.live.client import LiveClient
from faceaffect.live.run_server import LiveServer
from faceaffect.live.settings import Limits, LiveError, LiveSettings
from tests.sdk.live.live_server import serve

REQUIRES = ("fastapi", "uvicorn")
ADDRESS = tuple[str, int]
HALF_A_REQUEST = b"POST /v1/images HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nx"
CERTIFICATE = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"


def address_of(server: LiveServer) -> ADDRESS:
    parts = urlsplit(server.address)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def samples(server: LiveServer) -> dict[tuple[str, ...], float]:
    text = httpx.get(f"{server.address}metrics").text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_answers_have_the_headers_that_protect_them(server: LiveServer) -> None:
    for path in ("", "docs", "static/live.js", "v1/model", "healthz", "nowhere"):
        answer = httpx.get(f"{server.address}{path}")
        for name in HEADERS:
            assert name in answer.headers, (path, name)
    assert httpx.get(f"{server.address}readyz").text == "ready\n"
    assert httpx.get(f"{server.address}nowhere").status_code == 404


def test_metrics_count_what_was_done(server: LiveServer) -> None:
    image = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    before = samples(server)
    LiveClient(server.address).analyze_images([image] * 3)
    httpx.post(f"{server.address}v1/images", content=b"junk")
    after = samples(server)

    def grown(*key: str) -> float:
        return after[key] - before.get(key, 0)

    assert grown("faceaffect_frames_total", "image") == 3
    assert grown("faceaffect_refused_total", "unsupported_image") == 1
    assert grown("faceaffect_stage_seconds_count", "decode") >= 3
    assert after["faceaffect_stage_seconds_sum", "total"] > 0
    assert after["faceaffect_queue",] >= 0


def test_requests_made_from_the_description_get_answers_that_it_names(demo: Path) -> None:
    """Schemathesis makes valid and invalid requests for each operation, but for the endless one."""
    limits = Limits(jobs=1000, jobs_kept=1000, keep_s=600)
    with serve(LiveSettings(source=str(demo), loops=True, port=0, limits=limits)) as server:
        schema = schemathesis.openapi.from_url(f"{server.address}openapi.json")
        tested = set()
        for operation in schema.get_all_operations():
            case_of = operation.ok()
            if case_of.path == "/v1/events":
                continue
            tested.add((case_of.method.upper(), case_of.path))

            @given(case=case_of.as_strategy())
            @settings(
                max_examples=12,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def check(case: schemathesis.Case) -> None:
                case.call_and_validate(timeout=10)

            check()
        assert {("POST", "/v1/images"), ("POST", "/v1/videos"), ("GET", "/v1/model")} <= tested
        assert len(tested) == 11


def test_connections_are_limited_and_silent_ones_closed(trained: None) -> None:
    limits = Limits(connections=2, idle_s=0.5)
    with serve(LiveSettings(port=0, limits=limits)) as server:
        address = f"{server.address.replace('http', 'ws')}v1/stream"
        with connect(address) as first, connect(address) as second:
            first.recv(5)
            second.recv(5)
            answer = httpx.get(f"{server.address}v1/model")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        silent = socket.create_connection(address_of(server))
        silent.settimeout(10)
        started_s = time.monotonic()
        assert silent.recv(1) == b""
        assert 0.3 < time.monotonic() - started_s < 10
        silent.close()
        assert httpx.get(f"{server.address}healthz").status_code == 200


def test_two_hundred_connections_leave_nothing_behind(server: LiveServer) -> None:
    address = f"{server.address.replace('http', 'ws')}v1/stream"
    image = np.zeros((48, 48, 3), np.uint8)
    for number in range(200):
        if number % 20 == 0:
            with connect(address, compression=None) as stream:
                stream.send(cv2.imencode(".png", image)[1].tobytes())
        else:  # dropped in mid-request, without a good-bye
            with socket.create_connection(address_of(server)) as raw:
                raw.sendall(
                    b"POST /v1/images HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nx"
                )
    deadline_s = time.monotonic() + 10
    while samples(server)["faceaffect_connections",] > 1 and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert samples(server)["faceaffect_connections",] == 1  # this request
    assert server.service.pool.lent == 0


def test_tls_and_a_token_protect_an_open_server(
    tmp_path: Path, trained: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(cert)]
    command = ["openssl", *CERTIFICATE.split(), *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    token = "0123456789abcdef"
    options = LiveSettings(
        host="0.0.0.0", port=0, token=token, tls_cert=str(cert), tls_key=str(key)
    )
    with serve(options) as server:
        assert server.address.startswith("https://127.0.0.1:")
        client = LiveClient(server.address, token, ca_file=str(cert))
        assert client.model()["model"] == fa.open_pipeline().spec.name
        with client.stream() as stream:
            assert stream.analyze(np.zeros((64, 64, 3), np.uint8))["faces"] == []
        with pytest.raises(LiveError, match="Bearer TOKEN"):
            LiveClient(server.address, "wrong", ca_file=str(cert)).model()
        with pytest.raises(LiveError, match="cannot connect"):
            LiveClient(server.address, "wrong", ca_file=str(cert)).stream()
        with pytest.raises(LiveError, match="no answer"):
            LiveClient(server.address, token).model()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(LiveError, match="PEM certificate"):
        LiveServer(LiveSettings(port=0, tls_cert=str(key), tls_key=str(key)))
    assert list(tmp_path.glob("faceaffect-uploads-*")) == []


def test_a_taken_port_is_told(server: LiveServer) -> None:
    with pytest.raises(LiveError, match="choose another --port"):
        LiveServer(LiveSettings(port=address_of(server)[1]))
