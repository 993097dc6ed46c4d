"""Command line entry point of `python -m faceaffect`."""

from faceaffect.cli import main

main()
