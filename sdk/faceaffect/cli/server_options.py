"""Options of `faceaffect live` and `faceaffect serve`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from faceaffect.cli.shared_options import (
    backend_option,
    check_detector_model,
    detector_model_option,
    detector_option,
    device_option,
    max_faces_option,
    min_face_size_option,
    min_quality_option,
    model_option,
    no_smoothing_option,
    precision_option,
    rotate_option,
)

if TYPE_CHECKING:
    from faceaffect.live.settings import Limits, LiveSettings

Command = TypeVar("Command", bound=Callable[..., Any])
SECTIONS: Final = {
    "Server": (
        "--host",
        "--port",
        "--token-file",
        "--allow-host",
        "--tls-cert",
        "--tls-key",
        "--workers",
    ),
    "Model": ("--model", "--backend", "--device", "--precision"),
    "Faces": (
        "--max-faces",
        "--min-face-size",
        "--rotate",
        "--detector",
        "--detector-model",
        "--no-smoothing",
        "--min-quality",
    ),
}
TOKEN_VARIABLE: Final = "FACEAFFECT_TOKEN"
_MAX_TOKEN_BYTES: Final = 4096
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_SERVER_OPTIONS: Final = (
    click.option(
        "--host",
        default="127.0.0.1",
        show_default=True,
        metavar="ADDRESS",
        help="Address to listen on. Any other than loopback needs a token.",
    ),
    click.option(
        "--port",
        default=8750,
        type=click.IntRange(0, 65535),
        show_default=True,
        help="Port to listen on; 0 for any free one.",
    ),
    click.option(
        "--token-file",
        type=_FILE,
        metavar="FILE",
        help=f"File with the token that clients must know, at least 16 characters; or set"
        f" {TOKEN_VARIABLE}.",
    ),
    click.option(
        "--allow-host",
        multiple=True,
        metavar="NAME",
        help="Name under which browsers may reach the server; may be repeated.",
    ),
    click.option("--tls-cert", type=_FILE, metavar="FILE", help="Certificate (PEM), for https."),
    click.option("--tls-key", type=_FILE, metavar="FILE", help="Its key (PEM)."),
    click.option(
        "--workers",
        type=click.IntRange(1),
        metavar="N",
        help="Threads that analyze frames.  [default: one per core]",
    ),
    model_option,
    backend_option,
    device_option,
    precision_option,
    max_faces_option,
    min_face_size_option,
    rotate_option,
    detector_option,
    detector_model_option,
    no_smoothing_option,
    min_quality_option,
)


def server_options(command: Command) -> Command:
    """Add the options that both commands have."""
    for option in reversed(_SERVER_OPTIONS):
        command = option(command)
    return command


def live_settings(
    options: Mapping[str, Any],
    source: str | None = None,
    loops: bool = False,
    limits: Limits | None = None,
) -> LiveSettings:
    """Return the settings of the server; raises UsageError or LiveError."""
    require_packages()
    from faceaffect.live.settings import Limits, LiveSettings

    check_detector_model([options["detector"]], options["detector_model"])
    pipeline: Any = {
        "backend": options["backend"],
        "device": options["device"],
        "precision": options["precision"],
        "max_faces": options["max_faces"],
        "min_face_size_px": options["min_face_size"],
        "rotate": options["rotate"],
        "smooth": not options["no_smoothing"],
        "min_quality": options["min_quality"],
        "detector": options["detector_model"] or options["detector"],
    }
    return LiveSettings(
        source=source,
        loops=loops,
        model=options["model"],
        pipeline=pipeline,
        host=options["host"],
        port=options["port"],
        token=_read_token(options["token_file"]),
        host_names=options["allow_host"],
        tls_cert=str(options["tls_cert"] or ""),
        tls_key=str(options["tls_key"] or ""),
        workers=options["workers"] or 0,
        limits=limits or Limits(),
    )


def require_packages() -> None:
    """Raise ClickException if the extra `live` is not installed."""
    from faceaffect.system.install_command import install_command

    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        raise click.ClickException(
            f"expected the packages of the server, {error.name} is missing; run"
            f" `{install_command('live')}`"
        ) from None


def _read_token(path: Path | None) -> str:
    if path is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip()
    try:
        with path.open("rb") as file:
            return file.read(_MAX_TOKEN_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path}: expected a token in ASCII, got {error}") from None


def announce(settings: LiveSettings, address: str) -> None:
    """Print where the page and the API are, and what is open to others."""
    click.echo(f"page: {address}", err=True)
    click.echo(f"API:  {address}docs", err=True)
    if settings.token:
        click.echo(f"log in: {address}#token=TOKEN (with your token), or type it there", err=True)
        if not settings.tls_cert:
            click.echo(
                "note: without --tls-cert, token and images cross the network unencrypted, and"
                " browsers give no page their camera",
                err=True,
            )
    click.echo("Ctrl-C stops", err=True)
