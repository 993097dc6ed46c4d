"""Settings and limits of the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from faceaffect.errors import FaceAffectError
from faceaffect.sources.source import SourceOptions
from faceaffect.system.cpu_count import cpu_count

if TYPE_CHECKING:
    from faceaffect.api.options import PipelineOptions

DEFAULT_PORT: Final = 8750
MIN_TOKEN_LENGTH: Final = 16
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class LiveError(FaceAffectError, ValueError):
    """Settings that the server refuses, or an answer of the server that is an error."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all together, may ask for.

    Attributes:
        image_bytes: Largest encoded image, and message of a WebSocket.
        image_pixels: Largest image.
        images: Images of one request.
        request_bytes: Largest request with images.
        video_bytes: Largest uploaded video.
        video_s: Longest uploaded video.
        connections: Open HTTP requests and WebSockets.
        streams: Streams that are analyzed at the same time, each with a pipeline.
        jobs: Videos that wait or run.
        jobs_kept: Videos whose results are kept.
        keep_s: How long the results of a video are kept.
        idle_s: How long a connection may send nothing in mid-request.
    """

    image_bytes: int = 16 << 20
    image_pixels: int = 24_000_000
    images: int = 32
    request_bytes: int = 64 << 20
    video_bytes: int = 1 << 30
    video_s: float = 3600.0
    connections: int = 64
    streams: int = 8
    jobs: int = 4
    jobs_kept: int = 32
    keep_s: float = 3600.0
    idle_s: float = 30.0


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """How the server runs.

    Attributes:
        source: Camera, file or stream that it shows; None for none.
        loops: Whether a file starts again at its end.
        model: A folder, the name of an installed bundle, or None for the default one.
        pipeline: Keyword arguments of `open_pipeline`.
        source_options: How the source is read.
        host: Address to listen on.
        port: 0 for any free one.
        token: What clients must know; empty for none, on loopback only.
        host_names: Names besides `host` under which browsers reach the server.
        tls_cert: PEM file of the certificate; empty for no TLS.
        tls_key: PEM file of its key.
        workers: Threads that analyze frames; 0 for the number of cores.
        limits: See `Limits`.

    Raises:
        LiveError: The address can be reached from other machines and there is no token.
    """

    source: str | None = None
    loops: bool = False
    model: str | None = None
    pipeline: PipelineOptions = field(default_factory=lambda: _no_options())
    source_options: SourceOptions = field(default_factory=SourceOptions)
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str = ""
    host_names: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""
    workers: int = 0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and not self.token:
            raise LiveError(
                f"expected a token for an address that other machines reach, got --host {self.host}"
                " without one; add --token-file FILE, or listen on 127.0.0.1"
            )
        if self.token and len(self.token) < MIN_TOKEN_LENGTH:
            raise LiveError(
                f"expected a token of at least {MIN_TOKEN_LENGTH} characters, got"
                f" {len(self.token)}; make one with `openssl rand -hex 24`"
            )
        if bool(self.tls_cert) != bool(self.tls_key):
            raise LiveError("expected --tls-cert and --tls-key together, got one; add the other")

    @property
    def worker_count(self) -> int:
        """Threads that analyze frames."""
        return self.workers or cpu_count()

    @property
    def scheme(self) -> str:
        """Of the page's address."""
        return "https" if self.tls_cert else "http"


def _no_options() -> Any:
    return {}
