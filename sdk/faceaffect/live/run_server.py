"""Runs the server until Ctrl-C or SIGTERM."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from faceaffect.live.app import create_app
from faceaffect.live.settings import LiveError, LiveSettings

_SHUTDOWN_S: Final = 3
_BACKLOG: Final = 256
_WS_QUEUE: Final = 4


def run_server(settings: LiveSettings, on_start: Callable[[str], None]) -> None:
    """Open the model, listen, and serve.

    Args:
        settings: See `LiveSettings`.
        on_start: Called with the address of the page once it can be opened.

    Raises:
        LiveError: The port is taken.
        BundleError: The model is missing or damaged.
        BackendError: The backend cannot run.
    """
    import uvicorn

    listening = _listen(settings)
    try:
        app, _ = create_app(settings)
    except BaseException:
        listening.close()
        raise
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        ws_max_size=settings.limits.image_bytes,
        ws_max_queue=_WS_QUEUE,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not self.should_exit:
                on_start(_address(settings, listening.getsockname()[1]))

    Server(config).run([listening])


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
    listening.set_inheritable(False)
    return listening


def _address(settings: LiveSettings, port: int) -> str:
    host = settings.host_names[0] if settings.host_names else settings.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
