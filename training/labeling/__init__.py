"""Runs teachers over images that carry no labels of their own and keeps what they say as .npz
files.
"""
