"""Recipes, one a file; each has `recipe()`."""
