"""The command line."""

from faceaffect.cli.command_line import main

__all__ = ["main"]
