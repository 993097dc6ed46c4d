"""Opens HTTP addresses: which ones are allowed, redirects, and a limit on the wait for headers."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.request
from email.message import Message
from typing import IO, Any, Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from faceaffect.errors import FaceAffectError
from faceaffect.system.path_text import printable_text

SCHEMES: Final = ("http", "https")


class DownloadError(FaceAffectError, ValueError):
    """A download that failed: what was expected, what happened, what to do."""


def split_url(url: str) -> SplitResult | None:
    """Parts of an HTTP address; None if `url` is no address but a path.

    Raises:
        DownloadError: It is an address of another scheme, has no host, or holds a password.
    """
    try:
        parts = urlsplit(url.strip())
        host, has_user = parts.hostname, "@" in parts.netloc
        _ = parts.port
    except ValueError:
        raise DownloadError(
            "expected a URL that begins with https://, got one that is not valid"
        ) from None
    if parts.scheme not in SCHEMES:
        if "://" in url:
            raise DownloadError(
                f"{shown_url(url)}: expected a URL that begins with https://, or a folder"
            )
        return None
    if has_user:
        raise DownloadError(
            f"{shown_url(url)}: expected a URL without user name and password; "
            "download the folder with another tool and give its path"
        )
    if not host:
        raise DownloadError(f"{shown_url(url)}: expected a URL with a host, got none")
    return parts


def shown_url(url: str) -> str:
    """`url` for messages: without user name, password and query, which may be secrets."""
    try:
        parts = urlsplit(url.strip())
        netloc = parts.netloc.rpartition("@")[2]
        query = "..." if parts.query else ""
        return printable_text(urlunsplit((parts.scheme, netloc, parts.path, query, "")))
    except ValueError:
        return "the URL"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects that stay encrypted; the next address is checked before it is asked."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        parts = split_url(newurl)
        if parts is None or (req.type == "https" and parts.scheme != "https"):
            raise DownloadError(
                f"{shown_url(req.full_url)}: redirected to {shown_url(newurl)}, "
                "which is not encrypted; ask the provider"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _getresponse(
    connection: http.client.HTTPConnection, wait: Any, timeout_s: float | None
) -> http.client.HTTPResponse:
    """Wait for all headers within the time limit, which otherwise holds for each byte of them."""
    tcp_socket = connection.sock
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        # The method of the base class: the one of TLS would discard what the reader uses.
        socket.socket.shutdown(tcp_socket, socket.SHUT_RDWR)

    timer = threading.Timer(timeout_s or 0.0, end)
    timer.daemon = True
    timer.start()
    try:
        response: http.client.HTTPResponse = wait()
    finally:
        timer.cancel()
    if is_late.is_set():  # headers that were cut off look like complete ones
        response.close()
        raise TimeoutError("the headers timed out")
    return response


class _Connection(http.client.HTTPConnection):
    def getresponse(self) -> http.client.HTTPResponse:
        return _getresponse(self, super().getresponse, self.timeout)


class _SecureConnection(http.client.HTTPSConnection):
    def getresponse(self) -> http.client.HTTPResponse:
        return _getresponse(self, super().getresponse, self.timeout)


class _Handler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_SecureConnection, req)


def open_url(url: str, first_byte: int, timeout_s: float) -> Any:
    """Request an address, from `first_byte` on; returns the response, a context manager.

    Raises:
        DownloadError: The address, or the one of a redirect, is not allowed.
        OSError: There is no connection, or the server answers with an error.
    """
    if split_url(url) is None:
        raise DownloadError(f"{shown_url(url)}: expected a URL that begins with https://")
    headers = {"User-Agent": "faceaffect", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers)
    if first_byte:
        request.add_header("Range", f"bytes={first_byte}-")
    opener = urllib.request.build_opener(_Handler, _SecureHandler, _Redirects)
    return opener.open(request, timeout=timeout_s)
