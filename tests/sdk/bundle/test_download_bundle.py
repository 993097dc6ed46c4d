"""Bundles fetched from a web server of this machine that breaks, stalls and lies."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from faceaffect.bundle import resumable_download as resumable_file
from faceaffect.bundle.bundle import find_bundle, list_bundles, open_bundle
from faceaffect.bundle.download_bundle import get_bundle
from faceaffect.bundle.model_spec import BundleError, ModelSpec
from faceaffect.bundle.resumable_download import DownloadError, fetch
from faceaffect.cli import main
from tests.sdk.tiny_bundle import write_tiny_bundle


class Server(ThreadingHTTPServer):
    """Serves a folder; `break_after` bytes of each answer the connection ends, `status` answers
    with an error once each.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.break_after, self.knows_ranges = folder, 0, True
        self.status: list[int] = []
        self.stall_s = 0.0
        self.redirect = ""
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, span = self.server, self.headers.get("Range", "")
        server.asked.append((self.path, span))
        if server.status:
            self.send_error(server.status.pop())
            return
        path = server.folder / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and server.knows_ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        time.sleep(server.stall_s)
        self.wfile.write(body[: server.break_after] if server.break_after else body)

    def log_message(self, *_given: object) -> None:
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
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(resumable_file, "_WAITS_S", (0.0, 0.0))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home" / "faceaffect" / "models"


def serve_bundle(server: Server) -> str:
    """Puts a bundle onto the server; returns the SHA-256 of its spec."""
    folder = write_tiny_bundle(server.folder / "tiny")
    return hashlib.sha256((folder / "spec.json").read_bytes()).hexdigest()


def test_a_bundle_is_fetched_verified_and_listed(server: Server, at_home: Path) -> None:
    digest = serve_bundle(server)
    folder, found = get_bundle(f"{server.url}/tiny/spec.json", digest, "mine")
    assert (folder, found) == (at_home / "mine", digest)
    assert find_bundle("mine") == folder
    assert open_bundle("mine").onnx == (server.folder / "tiny" / "model.onnx").read_bytes()
    assert sorted(path.name for path in at_home.iterdir()) == [".partial", "mine"]
    assert list((at_home / ".partial").iterdir()) == []
    assert get_bundle(f"{server.url}/tiny", digest, "mine")[0] == folder, "the same once more"


def test_a_transfer_that_breaks_again_and_again_is_gone_on_with(
    server: Server, at_home: Path
) -> None:
    digest = serve_bundle(server)
    server.break_after = max(1, (server.folder / "tiny" / "model.onnx").stat().st_size // 7)
    folder, _ = get_bundle(f"{server.url}/tiny", digest, "mine")
    assert open_bundle(folder).spec == ModelSpec.load(server.folder / "tiny")
    starts = [
        int(span[6:-1]) for path, span in server.asked if path.endswith("model.onnx") and span
    ]
    assert starts == sorted(starts)
    assert len(starts) >= 5, "nothing is fetched twice"


def test_the_same_command_goes_on_where_it_failed(server: Server, at_home: Path) -> None:
    digest = serve_bundle(server)
    network = server.folder / "tiny" / "model.onnx"
    content = network.read_bytes()
    network.rename(network.with_name("away"))
    with pytest.raises(DownloadError, match=r"model\.onnx: the server says 404"):
        get_bundle(f"{server.url}/tiny", digest, "mine")
    assert not any(path.name == "mine" for path in list_bundles()), "half a bundle is none"
    network.write_bytes(content)
    server.asked.clear()
    get_bundle(f"{server.url}/tiny", digest, "mine")
    assert len([path for path, _ in server.asked if path.endswith("graph.safetensors")]) <= 1


def test_what_came_before_is_kept_over_calls_and_a_server_without_ranges_starts_anew(
    server: Server, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 500
    (server.folder / "file").write_bytes(content)
    digest, path = hashlib.sha256(content).hexdigest(), tmp_path / "file"
    (tmp_path / "file.part").write_bytes(content[:1000])
    fetch(f"{server.url}/file", path, digest, 1 << 20)
    assert server.asked == [("/file", "bytes=1000-")]
    assert path.read_bytes() == content
    server.knows_ranges = False
    (tmp_path / "file.part").write_bytes(content[:1000])
    fetch(f"{server.url}/file", path, digest, 1 << 20)
    assert path.read_bytes() == content


def test_a_part_of_another_version_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    content = b"new" * 1000
    (server.folder / "file").write_bytes(content)
    (tmp_path / "file.part").write_bytes(b"old" * 10)
    fetch(f"{server.url}/file", tmp_path / "file", hashlib.sha256(content).hexdigest(), 1 << 20)
    assert (tmp_path / "file").read_bytes() == content


def test_a_changed_file_is_refused_and_not_kept(server: Server, at_home: Path) -> None:
    digest = serve_bundle(server)
    graph = server.folder / "tiny" / "graph.safetensors"
    graph.write_bytes(graph.read_bytes()[:-1] + b"!")
    with pytest.raises(
        DownloadError, match=r"graph\.safetensors: SHA-256 must be .* do not use it"
    ):
        get_bundle(f"{server.url}/tiny", digest, "mine")
    assert not (at_home / "mine").exists()
    assert not list(at_home.rglob("graph.safetensors*"))


def test_another_spec_than_the_pinned_one_is_refused(server: Server) -> None:
    serve_bundle(server)
    with pytest.raises(DownloadError, match=r"spec\.json: SHA-256 must be 0000"):
        get_bundle(f"{server.url}/tiny", "0" * 64)


def test_errors_of_a_server_that_pass_are_waited_out(server: Server, tmp_path: Path) -> None:
    (server.folder / "file").write_bytes(b"there")
    server.status = [503, 500]
    fetch(f"{server.url}/file", tmp_path / "file", "", 100)
    assert (tmp_path / "file").read_bytes() == b"there"
    server.status = [503] * 9
    with pytest.raises(DownloadError, match="503"):
        fetch(f"{server.url}/file", tmp_path / "file", "", 100)
    assert len(server.asked) == 3 + 3


def test_a_silent_server_ends_in_an_error(server: Server, tmp_path: Path) -> None:
    (server.folder / "file").write_bytes(b"there")
    server.stall_s = 1.0
    with pytest.raises(DownloadError, match="timed out; the 0 bytes so far are kept"):
        fetch(f"{server.url}/file", tmp_path / "file", "", 100, silence_s=0.1)


def test_endless_files_are_cut_off(server: Server, tmp_path: Path) -> None:
    (server.folder / "file").write_bytes(b"x" * 1000)
    with pytest.raises(DownloadError, match="at most 999 bytes"):
        fetch(f"{server.url}/file", tmp_path / "file", "", 999)


def test_no_connection_where_offline_is_wanted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = serve_bundle(server)
    monkeypatch.setenv("FACEAFFECT_OFFLINE", "1")
    with pytest.raises(DownloadError, match="FACEAFFECT_OFFLINE is set"):
        get_bundle(f"{server.url}/tiny", digest)
    assert server.asked == []
    folder, _ = get_bundle(str(server.folder / "tiny"), digest, "copied")
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
def test_what_cannot_be_is_said(
    server: Server, source: str, sha256: str, name: str, message: str
) -> None:
    folder = write_tiny_bundle(server.folder / "tiny")
    with pytest.raises(DownloadError, match=message):
        get_bundle(source.format(folder=folder), sha256, name)


@pytest.mark.parametrize("file", ["../evil", "/etc/evil", "a/b", "spec.json", ".hidden"])
def test_a_spec_cannot_write_outside_its_folder(server: Server, at_home: Path, file: str) -> None:
    folder = write_tiny_bundle(server.folder / "tiny")
    text = (folder / "spec.json").read_text().replace('"graph.safetensors"', f'"{file}"')
    (folder / "spec.json").write_text(text)
    with pytest.raises(BundleError, match="plain names"):
        get_bundle(str(folder), "", "mine")


def test_the_command(server: Server, at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = serve_bundle(server)
    with pytest.raises(SystemExit) as left:
        main(["models", "download", f"{server.url}/tiny", "--sha256", digest, "--name", "mine"])
    assert not left.value.code
    assert "use it with --model mine" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        main(["models"])
    assert str(at_home / "mine") in capsys.readouterr().out
