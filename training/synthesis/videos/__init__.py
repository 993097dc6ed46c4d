"""Writes RenderWild, a data set of synthetic videos in the layout of Aff-Wild2."""
