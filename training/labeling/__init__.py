"""Runs teachers over pictures that carry no labels of their own and keeps what they say as .npz files."""
