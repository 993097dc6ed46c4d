"""The `faceaffect live` command."""

from __future__ import annotations

from typing import Any, Final

import click

from faceaffect.cli.grouped_help import sections
from faceaffect.cli.server_options import SECTIONS, announce, live_settings, server_options

_EXAMPLES: Final = """\b
Examples:
  faceaffect live              the camera of the browser that opens the page
  faceaffect live 0            the first camera of this machine
  faceaffect live clip.mp4 --loop --open"""


@click.command(
    short_help="Show faces live in the browser.",
    epilog=_EXAMPLES,
    **sections({"Page": ("--loop", "--open"), **SECTIONS}),
)
@click.argument("source", required=False, type=click.Path(), metavar="[SOURCE]")
@click.option("--loop", is_flag=True, help="Start a file again at its end.")
@click.option("--open", "is_opened", is_flag=True, help="Open the page in the browser.")
@server_options
def live(source: str | None, loop: bool, is_opened: bool, **options: Any) -> None:
    """Show action units, expression, valence and arousal live on a page.

    SOURCE is a camera (0, v4l2:///dev/video0, csi://0), a video, or a stream (rtsp://, http://).
    Without it the page uses the camera of the browser. The page is for this machine only, unless
    --host and a token open it to others. It also has the API of `faceaffect serve`.
    """
    settings = live_settings(options, source, loop)
    from faceaffect.live.run_server import run_server

    def started(address: str) -> None:
        announce(settings, address)
        if is_opened:
            click.launch(address)

    run_server(settings, started)
