"""Losses of the eight methods: (prediction, target, mask) -> a number, 0 with a gradient of 0 where
nothing is labeled.
"""
