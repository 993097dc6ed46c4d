"""Downloads from servers and folders that mean harm."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from faceaffect.bundle import download_bundle as module
from faceaffect.bundle import http_request, resumable_download
from faceaffect.bundle.download_bundle import download_bundle
from faceaffect.bundle.http_request import DownloadError, open_url, shown_url, split_url
from faceaffect.bundle.model_spec import BundleError
from faceaffect.bundle.resumable_download import download_file
from faceaffect.system.interprocess_lock import hold_lock
from tests.sdk.tiny_bundle import write_tiny_bundle

Answer = Callable[[socket.socket], None]


@pytest.fixture(autouse=True)
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(resumable_download, "RETRY_DELAYS_S", (0.0, 0.0))
    for name in (
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home" / "faceaffect" / "models"


class RawServer:
    """Answers every connection with a function over the socket."""

    def __init__(self, answer: Answer) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/file"
        self.connections = 0
        self._answer = answer
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._guarded, args=(connection,), daemon=True).start()

    def _guarded(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._answer(connection)
        except OSError:
            pass

    def close(self) -> None:
        self._socket.close()


def drip(connection: socket.socket, head: bytes, unit: bytes) -> None:
    connection.recv(4096)
    connection.sendall(head)
    for _ in range(400):
        connection.sendall(unit)
        time.sleep(0.05)


@pytest.mark.parametrize(
    "url",
    [
        "HTTP://127.0.0.1:9/x",
        " http://127.0.0.1:9/x",
        "hTTp://127.0.0.1:9/x",
        "\thttp://127.0.0.1:9",
    ],
)
def test_unencrypted_address_in_any_spelling_needs_a_checksum(url: str) -> None:
    with pytest.raises(DownloadError, match="use https:// or give --sha256"):
        download_bundle(url)


def test_redirect_out_of_encryption_is_refused_before_it_is_requested() -> None:
    handler = http_request._Redirects()
    request = urllib.request.Request("https://host/spec.json")
    headers = Message()
    for target in ("http://host/spec.json", "ftp://host/x", "file:///etc/passwd"):
        with pytest.raises(DownloadError, match=r"not encrypted|begins with https"):
            handler.redirect_request(request, None, 302, "Found", headers, target)  # type: ignore[arg-type]
    followed = handler.redirect_request(
        request,
        None,
        302,
        "Found",
        headers,
        "https://other/spec.json",  # type: ignore[arg-type]
    )
    assert followed is not None
    assert followed.full_url == "https://other/spec.json"


def test_redirect_to_another_scheme_opens_no_connection(tmp_path: Path) -> None:
    target = RawServer(lambda connection: None)

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n")

    server = RawServer(answer)
    with pytest.raises(DownloadError, match="is not allowed"):
        download_file(server.url, tmp_path / "file", "", 1 << 20)
    assert target.connections == 0
    assert server.connections == 1
    server.close()
    target.close()


def test_dripping_body_ends_with_the_least_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable_download, "RATE_WINDOW_S", 0.5)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    server = RawServer(lambda connection: drip(connection, head, b"x"))
    with pytest.raises(DownloadError, match="expected at least 2048 bytes a second"):
        download_file(server.url, tmp_path / "file", "", 1 << 21)
    server.close()


def test_dripping_headers_end_with_the_timeout(tmp_path: Path) -> None:
    server = RawServer(lambda connection: drip(connection, b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"))
    start_s = time.monotonic()
    with pytest.raises(DownloadError, match="0 bytes are kept"):
        download_file(server.url, tmp_path / "file", "", 1 << 21, timeout_s=0.3)
    assert time.monotonic() - start_s < 10.0
    server.close()


def test_one_byte_a_connection_does_not_go_on_for_ever(tmp_path: Path) -> None:
    def answer(connection: socket.socket) -> None:
        request = connection.recv(4096).decode()
        first = int(request.partition("bytes=")[2].partition("-")[0] or 0)
        connection.sendall(
            b"HTTP/1.1 206 Partial\r\nContent-Length: 100000\r\n"
            + f"Content-Range: bytes {first}-99999/100000\r\n\r\nx".encode()
        )

    server = RawServer(answer)
    with pytest.raises(DownloadError, match="run the same command to resume"):
        download_file(server.url, tmp_path / "file", "", 1 << 21)
    assert server.connections <= 25
    server.close()


def test_total_time_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable_download, "MAX_TOTAL_S", -1.0)
    server = RawServer(lambda connection: None)
    with pytest.raises(DownloadError):
        download_file(server.url, tmp_path / "file", "", 1 << 21)
    assert server.connections == 1
    server.close()


def test_permanent_tls_error_is_not_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def refuse(*_: object) -> None:
        attempts.append(1)
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        raise urllib.error.URLError(error)

    monkeypatch.setattr(resumable_download, "open_url", refuse)
    with pytest.raises(DownloadError, match=r"https://host/x: no secure connection"):
        download_file("https://host/x", tmp_path / "file", "", 100)
    assert len(attempts) == 1


def test_server_without_tls_is_not_retried(tmp_path: Path) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = RawServer(answer)
    with pytest.raises(DownloadError, match="no secure connection"):
        download_file(server.url.replace("http:", "https:"), tmp_path / "file", "", 100)
    assert server.connections == 1
    server.close()


def test_password_in_address_is_neither_used_nor_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("name was resolved"))
    for url in ("https://user:secret@host/spec.json", "ftp://user:secret@host/x"):
        with pytest.raises(DownloadError) as caught:
            download_bundle(url)
        assert "secret" not in str(caught.value)
        assert "user" not in str(caught.value).replace("user name", "")
    assert shown_url("https://user:secret@host/a?token=abc#x") == "https://host/a?..."
    assert split_url("folder/model") is None


def test_files_of_a_bundle_are_bounded_in_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tiny_bundle(tmp_path / "tiny")
    sizes = [path.stat().st_size for path in folder.iterdir() if path.name != "spec.json"]
    monkeypatch.setattr(module, "MAX_BUNDLE_BYTES", sum(sizes) - 1)
    with pytest.raises(DownloadError, match="expected at most"):
        download_bundle(str(folder), "", "mine")
    monkeypatch.setattr(module, "MAX_BUNDLE_BYTES", sum(sizes))
    download_bundle(str(folder), "", "mine")


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and pipes")
@pytest.mark.parametrize("kind", ["link", "pipe", "device"])
def test_local_copy_takes_plain_files_only(kind: str, tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "tiny")
    (folder / "model.onnx").rename(tmp_path / "original")
    if kind == "pipe":
        os.mkfifo(folder / "model.onnx")
    else:
        target = "/dev/zero" if kind == "device" else str(tmp_path / "original")
        (folder / "model.onnx").symlink_to(target)
    with pytest.raises(DownloadError, match=r"model\.onnx: expected a plain file"):
        download_bundle(str(folder), "", "mine")


def test_refused_bundle_leaves_nothing(tmp_path: Path, models_dir: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "tiny")
    (folder / "spec.json").write_text('{"version": 99}')
    with pytest.raises(BundleError):
        download_bundle(str(folder), "", "mine")
    assert [path for path in (models_dir / ".partial").iterdir() if path.is_dir()] == []


def test_two_downloads_of_one_source_take_turns(tmp_path: Path, models_dir: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "tiny")
    source = f"{folder}/spec.json"
    digest = hashlib.sha256(f"{source} ".encode()).hexdigest()[:16]
    (models_dir / ".partial").mkdir(parents=True)
    done = threading.Event()

    def work() -> None:
        download_bundle(source, "", "mine")
        done.set()

    with hold_lock(models_dir / ".partial" / f"{digest}.lock"):
        threading.Thread(target=work, daemon=True).start()
        assert not done.wait(0.5), "the lock was not taken"
    assert done.wait(20.0)
    assert (models_dir / "mine" / "model.onnx").is_file()


class Signed:
    """A bundle that is signed by one of two keys."""

    def __init__(self, folder: Path) -> None:
        minisign = pytest.importorskip("minisign", reason="needs py-minisign")
        self.pair, self.other = minisign.KeyPair.generate(), minisign.KeyPair.generate()
        self.folder = write_tiny_bundle(folder)
        self.sign()

    def sign(self) -> None:
        signature = self.pair.secret_key.sign((self.folder / "spec.json").read_bytes())
        (self.folder / "spec.json.minisig").write_bytes(bytes(signature))

    @property
    def key(self) -> str:
        return str(self.pair.public_key.to_base64().decode())


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path / "tiny")


def test_signed_bundle_with_its_key_is_stored(signed: Signed, tmp_path: Path) -> None:
    folder, _ = download_bundle(str(signed.folder), "", "mine", public_key=signed.key)
    assert (folder / "spec.json.minisig").is_file()
    key_file = tmp_path / "author.pub"
    key_file.write_text(f"untrusted comment: minisign public key\n{signed.key}\n")
    download_bundle(str(signed.folder), "", "mine", public_key=str(key_file))


def test_signature_of_another_key_or_file_is_refused(signed: Signed, models_dir: Path) -> None:
    other = signed.other.public_key.to_base64().decode()
    with pytest.raises(DownloadError, match="not of this file and key"):
        download_bundle(str(signed.folder), "", "mine", public_key=other)
    spec = signed.folder / "spec.json"
    spec.write_text(spec.read_text().replace('"tiny"', '"evil"'))
    with pytest.raises(DownloadError, match="not of this file and key"):
        download_bundle(str(signed.folder), "", "mine", public_key=signed.key)
    (signed.folder / "spec.json.minisig").unlink()
    with pytest.raises(DownloadError, match=r"spec\.json\.minisig: no such file"):
        download_bundle(str(signed.folder), "", "mine", public_key=signed.key)
    with pytest.raises(DownloadError, match="--public-key: expected a minisign key"):
        download_bundle(str(signed.folder), "", "mine", public_key="abc")
    assert not (models_dir / "mine").exists()


def test_open_url_of_a_path_raises() -> None:
    with pytest.raises(DownloadError, match="expected a URL"):
        open_url("/etc/passwd", 0, 1.0)


class _Quiet(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"whole")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def plain_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/file"
        server.shutdown()


def test_plain_download_still_works(plain_server: str, tmp_path: Path) -> None:
    download_file(plain_server, tmp_path / "file", hashlib.sha256(b"whole").hexdigest(), 100)
    assert (tmp_path / "file").read_bytes() == b"whole"
