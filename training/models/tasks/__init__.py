"""Heads: features to action units, expression, valence and arousal."""
