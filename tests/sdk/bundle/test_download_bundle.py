"""Downloads from a local web server that drops connections, stalls and serves wrong content."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from faceaffect.bundle import resumable_download
from faceaffect.bundle.bundle import find_bundle, list_bundles, open_bundle
from faceaffect.bundle.download_bundle import download_bundle
from faceaffect.bundle.model_spec import BundleError, ModelSpec
from faceaffect.bundle.resumable_download import DownloadError, download_file
from faceaffect.cli import main
from tests.sdk.tiny_bundle import write_tiny_bundle


class Server(ThreadingHTTPServer):
    """Serves a folder. Connections end after `break_after` bytes; each item of `status` is answered
    once as an error.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.break_after, self.supports_ranges = folder, 0, True
        self.status: list[int] = []
        self.stall_s = 0.0
        self.redirect = ""
        self.requests: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, span = self.server, self.headers.get("Range", "")
        server.requests.append((self.path, span))
        if server.status:
            self.send_error(server.status.pop())
            return
        path = server.folder / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start = (
            int(span.removeprefix("bytes=").rstrip("-")) if span and server.supports_ranges else 0
        )
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        time.sleep(server.stall_s)
        self.wfile.write(body[: server.break_after] if server.break_after else body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    with Server(folder) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(resumable_download, "RETRY_DELAYS_S", (0.0, 0.0))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home" / "faceaffect" / "models"


def serve_bundle(server: Server) -> str:
    """Put a bundle onto the server; returns the SHA-256 of its spec."""
    folder = write_tiny_bundle(server.folder / "tiny")
    return hashlib.sha256((folder / "spec.json").read_bytes()).hexdigest()


def test_download_bundle_verifies_and_lists_it(server: Server, models_dir: Path) -> None:
    digest = serve_bundle(server)
    folder, found = download_bundle(f"{server.url}/tiny/spec.json", digest, "mine")
    assert (folder, found) == (models_dir / "mine", digest)
    assert find_bundle("mine") == folder
    assert open_bundle("mine").onnx == (server.folder / "tiny" / "model.onnx").read_bytes()
    assert sorted(path.name for path in models_dir.iterdir()) == [".partial", "mine"]
    assert {path.suffix for path in (models_dir / ".partial").iterdir()} <= {".lock"}
    assert download_bundle(f"{server.url}/tiny", digest, "mine")[0] == folder, "a repeated download"


def test_download_bundle_over_broken_connections_resumes(server: Server, models_dir: Path) -> None:
    digest = serve_bundle(server)
    server.break_after = max(1, (server.folder / "tiny" / "model.onnx").stat().st_size // 7)
    folder, _ = download_bundle(f"{server.url}/tiny", digest, "mine")
    assert open_bundle(folder).spec == ModelSpec.load(server.folder / "tiny")
    starts = [
        int(span[6:-1]) for path, span in server.requests if path.endswith("model.onnx") and span
    ]
    assert starts == sorted(starts)
    assert len(starts) >= 5, "nothing is transferred twice"


def test_download_bundle_after_failure_resumes(server: Server, models_dir: Path) -> None:
    digest = serve_bundle(server)
    network = server.folder / "tiny" / "model.onnx"
    content = network.read_bytes()
    network.rename(network.with_name("away"))
    with pytest.raises(DownloadError, match=r"model\.onnx: the server answered 404"):
        download_bundle(f"{server.url}/tiny", digest, "mine")
    assert not any(path.name == "mine" for path in list_bundles()), (
        "an incomplete bundle is not listed"
    )
    network.write_bytes(content)
    server.requests.clear()
    download_bundle(f"{server.url}/tiny", digest, "mine")
    assert len([path for path, _ in server.requests if path.endswith("graph.safetensors")]) <= 1


def test_download_file_resumes_part_or_restarts_without_ranges(
    server: Server, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 500
    (server.folder / "file").write_bytes(content)
    digest, path = hashlib.sha256(content).hexdigest(), tmp_path / "file"
    (tmp_path / "file.part").write_bytes(content[:1000])
    download_file(f"{server.url}/file", path, digest, 1 << 20)
    assert server.requests == [("/file", "bytes=1000-")]
    assert path.read_bytes() == content
    server.supports_ranges = False
    (tmp_path / "file.part").write_bytes(content[:1000])
    download_file(f"{server.url}/file", path, digest, 1 << 20)
    assert path.read_bytes() == content


def test_download_file_with_part_of_another_version_restarts(
    server: Server, tmp_path: Path
) -> None:
    content = b"new" * 1000
    (server.folder / "file").write_bytes(content)
    (tmp_path / "file.part").write_bytes(b"old" * 10)
    download_file(
        f"{server.url}/file", tmp_path / "file", hashlib.sha256(content).hexdigest(), 1 << 20
    )
    assert (tmp_path / "file").read_bytes() == content


def test_download_bundle_with_changed_file_raises_and_removes_it(
    server: Server, models_dir: Path
) -> None:
    digest = serve_bundle(server)
    graph = server.folder / "tiny" / "graph.safetensors"
    graph.write_bytes(graph.read_bytes()[:-1] + b"!")
    with pytest.raises(
        DownloadError, match=r"graph\.safetensors: expected SHA-256 .* do not use it"
    ):
        download_bundle(f"{server.url}/tiny", digest, "mine")
    assert not (models_dir / "mine").exists()
    assert not list(models_dir.rglob("graph.safetensors*"))


def test_download_bundle_with_unpinned_spec_raises(server: Server) -> None:
    serve_bundle(server)
    with pytest.raises(DownloadError, match=r"spec\.json: expected SHA-256 0000"):
        download_bundle(f"{server.url}/tiny", "0" * 64)


def test_download_file_retries_temporary_server_errors(server: Server, tmp_path: Path) -> None:
    (server.folder / "file").write_bytes(b"there")
    server.status = [503, 500]
    download_file(f"{server.url}/file", tmp_path / "file", "", 100)
    assert (tmp_path / "file").read_bytes() == b"there"
    server.status = [503] * 9
    with pytest.raises(DownloadError, match="503"):
        download_file(f"{server.url}/file", tmp_path / "file", "", 100)
    assert len(server.requests) == 3 + 3


def test_download_file_from_stalled_server_raises(server: Server, tmp_path: Path) -> None:
    (server.folder / "file").write_bytes(b"there")
    server.stall_s = 1.0
    with pytest.raises(DownloadError, match="timed out; 0 bytes are kept"):
        download_file(f"{server.url}/file", tmp_path / "file", "", 100, timeout_s=0.1)


def test_download_file_over_size_limit_raises(server: Server, tmp_path: Path) -> None:
    (server.folder / "file").write_bytes(b"x" * 1000)
    with pytest.raises(DownloadError, match="at most 999 bytes"):
        download_file(f"{server.url}/file", tmp_path / "file", "", 999)


def test_download_bundle_offline_opens_no_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = serve_bundle(server)
    monkeypatch.setenv("FACEAFFECT_OFFLINE", "1")
    with pytest.raises(DownloadError, match="FACEAFFECT_OFFLINE is set"):
        download_bundle(f"{server.url}/tiny", digest)
    assert server.requests == []
    folder, _ = download_bundle(str(server.folder / "tiny"), digest, "copied")
    assert open_bundle(folder).spec.name == ModelSpec.load(server.folder / "tiny").name


@pytest.mark.parametrize(
    ("source", "sha256", "name", "message"),
    [
        ("http://127.0.0.1:9/x", "", "", "use https:// or give --sha256"),
        ("ftp://127.0.0.1/x", "", "", "begins with https://"),
        ("file:///etc", "", "", "begins with https://"),
        ("{folder}", "abc", "", "64 hexadecimal digits"),
        ("{folder}", "", "default", "another bundle of this name"),
        ("{folder}", "", "../up", "letters, digits"),
        ("{folder}/none", "", "", "no such file"),
    ],
)
def test_download_bundle_with_invalid_argument_raises(
    server: Server, source: str, sha256: str, name: str, message: str
) -> None:
    folder = write_tiny_bundle(server.folder / "tiny")
    with pytest.raises(DownloadError, match=message):
        download_bundle(source.format(folder=folder), sha256, name)


@pytest.mark.parametrize("file", ["../evil", "/etc/evil", "a/b", "spec.json", ".hidden"])
def test_download_bundle_with_path_in_spec_raises(
    server: Server, models_dir: Path, file: str
) -> None:
    folder = write_tiny_bundle(server.folder / "tiny")
    text = (folder / "spec.json").read_text().replace('"graph.safetensors"', f'"{file}"')
    (folder / "spec.json").write_text(text)
    with pytest.raises(BundleError, match="plain names"):
        download_bundle(str(folder), "", "mine")


def test_models_command_downloads_and_lists_bundle(
    server: Server, models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = serve_bundle(server)
    with pytest.raises(SystemExit) as exited:
        main(["models", "download", f"{server.url}/tiny", "--sha256", digest, "--name", "mine"])
    assert not exited.value.code
    assert "use it with --model mine" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exited:
        main(["models"])
    assert str(models_dir / "mine") in capsys.readouterr().out
