"""A client of the server for programs.

Examples:
    >>> from faceaffect.live.client import LiveClient
    >>> with LiveClient("http://127.0.0.1:8750") as client:  # doctest: +SKIP
    ...     client.analyze_image("face.jpg")["faces"][0]["expression"]
    'happiness'
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, Literal, cast
from urllib.parse import quote, urlsplit

from faceaffect.live.results import FrameResult, ImageResult, JobResult, ModelResult
from faceaffect.live.settings import LiveError
from faceaffect.live.stream_messages import pack_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = str | PathLike[str] | bytes | NDArray[np.uint8]

_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.25
_BOUNDARY: Final = "faceaffect-5e1c7a"


class LiveClient:
    """Requests to one server; every request has a connection of its own."""

    def __init__(
        self, address: str = "http://127.0.0.1:8750", token: str = "", *, ca_file: str | None = None
    ) -> None:
        """Remember where the server is; nothing is sent.

        Args:
            address: `http://` or `https://`, host and port.
            token: What the server was started with, if with one.
            ca_file: PEM file of the authority that signed its certificate, unless the system
                knows it.

        Raises:
            LiveError: `address` is none.
        """
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise LiveError(f"expected an address such as http://127.0.0.1:8750, got {address!r}")
        self._host, self._is_secure = parts.netloc, parts.scheme == "https"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._tls = ssl.create_default_context(cafile=ca_file) if self._is_secure else None

    def model(self) -> ModelResult:
        """Describe the model and the limits of the server."""
        return cast(ModelResult, self._json("GET", "/v1/model"))

    def analyze_image(self, image: Image) -> ImageResult:
        """Analyze an image: a path, encoded bytes, or an array BGR [H, W, 3] or gray [H, W]."""
        return self.analyze_images([image])[0]

    def analyze_images(self, images: Iterable[Image]) -> list[ImageResult]:
        """Analyze unrelated images in one request; results are in their order.

        Raises:
            LiveError: The server refuses them.
        """
        parts = []
        for number, image in enumerate(images):
            head = (
                f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{number}"'
            )
            parts.append(f"{head}\r\n\r\n".encode() + _encoded(image) + b"\r\n")
        body = b"".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])
        content_type = f"multipart/form-data; boundary={_BOUNDARY}"
        answer = self._json("POST", "/v1/images", body, content_type)
        return cast("list[ImageResult]", answer["images"])

    def submit_video(
        self, path: str | PathLike[str], *, report: bool = False, overlay: bool = False
    ) -> JobResult:
        """Upload a video; returns the job that analyzes it."""
        file = Path(path)
        query = f"name={quote(file.name)}&report={_flag(report)}&overlay={_flag(overlay)}"
        with file.open("rb") as body:
            answer = self._json("POST", f"/v1/videos?{query}", body, "application/octet-stream")
        return cast(JobResult, answer)

    def job(self, identifier: str) -> JobResult:
        """Return the state of a job."""
        return cast(JobResult, self._json("GET", f"/v1/videos/{identifier}"))

    def wait(self, job: JobResult, timeout_s: float = 3600.0) -> JobResult:
        """Wait for the end of a job.

        Raises:
            LiveError: It failed or was canceled, or the time is up.
        """
        deadline_s = time.monotonic() + timeout_s
        while job["state"] in ("queued", "running"):
            if time.monotonic() > deadline_s:
                raise LiveError(f"job {job['id']} is not done after {timeout_s:g} seconds")
            time.sleep(_POLL_S)
            job = self.job(job["id"])
        if job["state"] != "done":
            raise LiveError(job["error"] or f"the job was {job['state']}")
        return job

    def output(self, job: JobResult, name: Literal["rows", "report", "overlay"] = "rows") -> bytes:
        """Return an output of a job that is done."""
        return self._request("GET", f"/v1/videos/{job['id']}/{name}")

    def delete(self, job: JobResult) -> None:
        """Cancel a job or delete its results."""
        self._request("DELETE", f"/v1/videos/{job['id']}")

    def events(self, count: int | None = None) -> Iterator[FrameResult]:
        """Yield the results of the server's own source as they come."""
        query = "" if count is None else f"?count={count}"
        connection, response = self._open("GET", f"/v1/events{query}")
        try:
            kind = b""
            for line in response:
                if line.startswith(b"event: "):
                    kind = line[7:].strip()
                elif line.startswith(b"data: ") and kind == b"result":
                    yield cast(FrameResult, json.loads(line[6:]))
        finally:
            connection.close()

    def stream(self, *, drops: bool = False) -> LiveStream:
        """Open a stream of frames.

        Args:
            drops: Whether the server drops frames that it has no time for, as a camera needs it.
        """
        scheme = "wss" if self._is_secure else "ws"
        policy = "newest" if drops else "all"
        address = f"{scheme}://{self._host}/v1/stream?policy={policy}"
        return LiveStream(address, self._headers, self._tls)

    def _json(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None = None,
        content_type: str = "",
    ) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self._request(method, path, body, content_type)))

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None = None,
        content_type: str = "",
    ) -> bytes:
        connection, response = self._open(method, path, body, content_type)
        try:
            return response.read()
        except (OSError, HTTPException) as error:
            raise LiveError(f"{self._host}: the answer broke off ({error})") from None
        finally:
            connection.close()

    def _open(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None = None,
        content_type: str = "",
    ) -> tuple[HTTPConnection, HTTPResponse]:
        headers = {**self._headers, **({"Content-Type": content_type} if content_type else {})}
        connection: HTTPConnection
        if self._is_secure:
            connection = HTTPSConnection(self._host, timeout=_TIMEOUT_S, context=self._tls)
        else:
            connection = HTTPConnection(self._host, timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            if response.status >= 400:
                content = response.read()
                raise LiveError(f"{self._host}: {_message(content, response.status)}")
        except (OSError, HTTPException) as error:
            connection.close()
            raise LiveError(f"{self._host}: no answer ({error}); is the server running?") from None
        except LiveError:
            connection.close()
            raise
        return connection, response

    def __enter__(self) -> LiveClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is open between requests."""


class LiveStream:
    """A stream of frames that follow each other; use `LiveClient.stream`."""

    def __init__(self, address: str, headers: dict[str, str], tls: ssl.SSLContext | None) -> None:
        """Connect."""
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        self._stack = ExitStack()
        try:
            connection = connect(
                address,
                additional_headers=headers,
                ssl=tls,
                compression=None,
                max_size=None,
                proxy=None,
            )
            self._socket = self._stack.enter_context(connection)
        except (OSError, WebSocketException) as error:
            raise LiveError(f"{address}: cannot connect ({error})") from None
        self.hello: dict[str, Any] = self.receive()
        """The first message: the model and the limits."""

    def send(self, image: Image, *, id: int | None = None, time_s: float | None = None) -> None:
        """Send a frame: a path, encoded bytes, or an array BGR [H, W, 3], which is sent as it is.

        Args:
            image: The frame.
            id: Comes back with the result; by default the number of the frame.
            time_s: Its time; by default the time at which it arrives.
        """
        header: dict[str, Any] = {}
        if id is not None:
            header["id"] = id
        if time_s is not None:
            header["time_s"] = time_s
        if isinstance(image, (str, PathLike, bytes)):
            data = _encoded(image)
        else:
            header |= {"width": image.shape[1], "height": image.shape[0]}
            header["pixel_format"] = "GRAY" if image.ndim == 2 else "BGR"
            data = image.tobytes()
        self._socket.send(pack_frame(header, data))

    def command(self, name: Literal["reset", "baseline", "rows"], is_on: bool = True) -> None:
        """Forget all faces, or switch the neutral baseline or rows of CSV on or off."""
        self._socket.send(json.dumps({"type": name, "on": is_on}))

    def receive(self) -> dict[str, Any]:
        """Return the next message of the server.

        Raises:
            LiveError: It has closed the stream.
        """
        from websockets.exceptions import ConnectionClosed

        try:
            return cast("dict[str, Any]", json.loads(self._socket.recv(_TIMEOUT_S)))
        except (ConnectionClosed, TimeoutError) as error:
            raise LiveError(f"the stream has ended ({error})") from None

    def analyze(self, image: Image, *, time_s: float | None = None) -> FrameResult:
        """Send a frame and wait for its result.

        Raises:
            LiveError: The server refuses it.
        """
        self.send(image, time_s=time_s)
        while (message := self.receive())["type"] not in ("result", "error"):
            pass
        if message["type"] == "error":
            raise LiveError(message["message"])
        return cast(FrameResult, message)

    def close(self) -> None:
        """End the stream."""
        self._stack.close()

    def __enter__(self) -> LiveStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _encoded(image: Image) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, (str, PathLike)):
        return Path(image).read_bytes()
    from faceaffect.system.import_opencv import import_opencv

    ok, encoded = import_opencv().imencode(".png", image)
    if not ok:
        raise LiveError(f"expected an image uint8 [H, W, 3] or [H, W], got {image.shape}")
    return cast(bytes, encoded.tobytes())


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _message(content: bytes, status: int) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return f"status {status}"
