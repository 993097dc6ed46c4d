"""The `faceaffect serve` command."""

from __future__ import annotations

from typing import Any, Final

import click

from faceaffect.cli.grouped_help import sections
from faceaffect.cli.server_options import (
    SECTIONS,
    announce,
    live_settings,
    require_packages,
    server_options,
)

_EXAMPLES: Final = """\b
Examples:
  faceaffect serve
  curl --data-binary @face.jpg http://127.0.0.1:8750/v1/images
  faceaffect serve --host 0.0.0.0 --token-file token.txt --tls-cert cert.pem --tls-key key.pem"""


@click.command(
    short_help="Analyze images, videos and streams of other programs.",
    epilog=_EXAMPLES,
    **sections(
        {
            **SECTIONS,
            "Limits": (
                "--max-streams",
                "--max-connections",
                "--max-jobs",
                "--max-upload",
                "--max-duration",
                "--keep",
            ),
        }
    ),
)
@server_options
@click.option(
    "--max-streams",
    default=8,
    type=click.IntRange(1),
    show_default=True,
    help="Streams that are analyzed at the same time; each takes about 10 MB.",
)
@click.option(
    "--max-connections",
    default=64,
    type=click.IntRange(1),
    show_default=True,
    help="Open requests and WebSockets.",
)
@click.option(
    "--max-jobs",
    default=4,
    type=click.IntRange(1),
    show_default=True,
    help="Uploaded videos that wait or run.",
)
@click.option(
    "--max-upload",
    default=1024,
    type=click.IntRange(1),
    show_default=True,
    metavar="MB",
    help="Largest video.",
)
@click.option(
    "--max-duration",
    default=3600.0,
    type=click.FloatRange(0, min_open=True),
    show_default=True,
    metavar="SECONDS",
    help="Longest video.",
)
@click.option(
    "--keep",
    default=3600.0,
    type=click.FloatRange(0, min_open=True),
    show_default=True,
    metavar="SECONDS",
    help="How long the results of a video are kept.",
)
def serve(
    max_streams: int,
    max_connections: int,
    max_jobs: int,
    max_upload: int,
    max_duration: float,
    keep: float,
    **options: Any,
) -> None:
    """Serve an API: images, videos and streams in, results out.

    ADDRESS/docs lists the requests. The server is for this machine only, unless --host and a token
    open it to others. Nothing is kept but the results of videos, for a time; their uploads are
    deleted when they are analyzed.
    """
    require_packages()
    from faceaffect.live.run_server import run_server
    from faceaffect.live.settings import Limits

    limits = Limits(
        streams=max_streams,
        connections=max_connections,
        jobs=max_jobs,
        video_bytes=max_upload << 20,
        video_s=max_duration,
        keep_s=keep,
    )
    settings = live_settings(options, limits=limits)
    run_server(settings, lambda address: announce(settings, address))
