"""Recipes, one a file; each has the presets `PUBLISHED` and `COMPACT`."""
