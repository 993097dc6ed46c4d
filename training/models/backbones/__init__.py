"""Backbones of the eight methods, each with the parameter names of the public weights that exist
for it.
"""
