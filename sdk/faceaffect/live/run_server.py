"""Runs the server until Ctrl-C or SIGTERM."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import uvicorn

from faceaffect.live.app import create_app
from faceaffect.live.settings import LiveError, LiveSettings

_SHUTDOWN_S: Final = 3
_BACKLOG: Final = 256
_WS_QUEUE: Final = 4
_SOCKETS_PER_REQUEST: Final = 4


class LiveServer(uvicorn.Server):
    """A server that has its port and its model, and does not run yet.

    Attributes:
        address: Of the page, with a slash at its end.
    """

    def __init__(
        self, settings: LiveSettings, on_start: Callable[[str], None] = lambda address: None
    ) -> None:
        """Listen, and open the model.

        Args:
            settings: See `LiveSettings`.
            on_start: Called with the address of the page once it can be opened.

        Raises:
            LiveError: The port is taken, or certificate and key are none.
            BundleError: The model is missing or damaged.
            BackendError: The backend cannot run.
        """
        self._socket = _listen(settings)
        self._on_start = on_start
        self._idle_s = settings.limits.idle_s
        self._silent_since: dict[Any, float] = {}
        self.address = _address(settings, self._socket.getsockname()[1])
        with ExitStack() as stack:
            stack.callback(self._socket.close)
            app, self.service = create_app(settings)
            stack.callback(self.service.close)
            super().__init__(_config(app, settings))
            try:
                self.config.load()
            except OSError as error:
                raise LiveError(f"expected a PEM certificate and its key, got: {error}") from None
            stack.pop_all()  # from here on they are closed when the server stops

    def serve_until_stopped(self) -> None:
        """Serve; returns after `should_exit` was set, Ctrl-C or SIGTERM."""
        self.run([self._socket])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell where the page is."""
        await super().startup(sockets)
        if not self.should_exit:
            self._on_start(self.address)

    async def on_tick(self, counter: int) -> bool:
        """Close connections that never send a request, ten times a second."""
        now_s = time.monotonic()
        silent = [
            one for one in self.server_state.connections if getattr(one, "scope", one) is None
        ]
        self._silent_since = {one: self._silent_since.get(one, now_s) for one in silent}
        for connection, since_s in self._silent_since.items():
            if now_s - since_s > self._idle_s:
                connection.transport.close()
        return await super().on_tick(counter)


def run_server(settings: LiveSettings, on_start: Callable[[str], None]) -> None:
    """Open the model, listen, and serve; see `LiveServer`."""
    LiveServer(settings, on_start).serve_until_stopped()


def _config(app: Any, settings: LiveSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        limit_concurrency=_SOCKETS_PER_REQUEST * settings.limits.connections,
        ws_max_size=settings.limits.image_bytes,
        ws_max_queue=_WS_QUEUE,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )


def _listen(settings: LiveSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise LiveError(
            f"expected to listen on {settings.host} port {settings.port}, got"
            f" '{error.strerror}'; choose another --port"
        ) from None
    listening.listen(_BACKLOG)
    return listening


def _address(settings: LiveSettings, port: int) -> str:
    host = settings.host_names[0] if settings.host_names else settings.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
