"""Trains the networks of faceaffect: `python -m training train default --out runs/default`."""
