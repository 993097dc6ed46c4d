"""Who may use the server: checks of host, origin and token, and the headers of every answer."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import urlsplit

from faceaffect.live.metrics import Metrics
from faceaffect.live.settings import LOOPBACK, LiveSettings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE: Final = "faceaffect_session"
API_PREFIX: Final = "/v1/"
_PROTECTED: Final = ("/metrics", "/openapi.json")
_OPEN: Final = ("/v1/session",)  # checks the token by itself
CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
    " media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
_POLICY_VIOLATION: Final = 1008
_TRY_AGAIN: Final = 1013


class Access:
    """Decides about requests by their headers.

    Other pages in the user's browser are kept out by the `Origin` that browsers send, and by the
    `Host` when they point a name of theirs at this machine (DNS rebinding). Other people are kept
    out by the token.
    """

    def __init__(self, settings: LiveSettings) -> None:
        """Take host names and token from the settings."""
        self._is_loopback = settings.host in LOOPBACK
        self._names = {"localhost", settings.host.lower(), *map(str.lower, settings.host_names)}
        self._token = settings.token

    def refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Return status, code and message for a request that is refused; None if it may pass."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        host = headers.get("host", "")
        if not self._is_own_host(host):
            return 421, "wrong_host", "this server does not go by that name; add --allow-host NAME"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "wrong_origin", "pages of other sites may not use this server"
        path = scope["path"]
        is_api = path.startswith(API_PREFIX) or path in _PROTECTED
        if is_api and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "wrong_origin", "pages of other sites may not use this server"
        if is_api and path not in _OPEN and not self.is_known(headers):
            return 401, "no_token", "expected `Authorization: Bearer TOKEN`"
        return None

    def _is_own_host(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # An address cannot be rebound; a name can.
        return address.is_loopback or not self._is_loopback

    def is_known(self, headers: dict[str, str]) -> bool:
        """Whether the headers hold the token, or the cookie of somebody who had it."""
        if not self._token:
            return True
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(value.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(
            cookie.value.encode(), self.session().encode()
        )

    def is_token(self, value: str) -> bool:
        """Whether `value` is the token; takes the same time for any."""
        return hmac.compare_digest(value.encode(), self._token.encode())

    def session(self) -> str:
        """Return the value of the cookie: it proves the token, which it does not contain."""
        return hmac.new(self._token.encode(), b"faceaffect session", hashlib.sha256).hexdigest()


class Gate:
    """ASGI middleware: checks requests, limits their number, adds headers."""

    def __init__(self, app: App, access: Access, settings: LiveSettings, metrics: Metrics) -> None:
        """Guard `app`."""
        self._app = app
        self._access = access
        self._limit = settings.limits.connections
        self._metrics = metrics
        self.open = 0
        """Requests and WebSockets that are being answered."""
        metrics.gauge("connections", "Open requests and WebSockets.", lambda: self.open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._access.refusal(scope)
        if refusal is None and self.open >= self._limit:
            refusal = (503, "busy", "too many connections; try again later")
        if refusal is not None:
            self._metrics.refused.labels(refusal[1]).inc()
            await _refuse(scope, receive, send, *refusal)
            return
        self.open += 1
        try:
            await self._app(scope, receive, _with_headers(send))
        finally:
            self.open -= 1


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", [])}
            message["headers"] = [
                *message.get("headers", []),
                *(
                    (name.encode(), value.encode())
                    for name, value in HEADERS.items()
                    if name.encode() not in present
                ),
            ]
        await send(message)

    return send_with_headers


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, code: str, message: str
) -> None:
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        close = _TRY_AGAIN if status == 503 else _POLICY_VIOLATION
        await send({"type": "websocket.close", "code": close, "reason": message})
        return
    body = json.dumps({"code": code, "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 503:
        headers.append((b"retry-after", b"1"))
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await _with_headers(send)(start)
    await send({"type": "http.response.body", "body": body})
