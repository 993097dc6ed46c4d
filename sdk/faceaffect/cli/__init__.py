"""Command line interface."""

from faceaffect.cli.command_line import main

__all__ = ["main"]
