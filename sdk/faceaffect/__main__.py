"""`python -m faceaffect` is the command line."""

from faceaffect.cli import main

main()
