"""Losses of all models: (prediction, target, mask or weight) -> a number; 0 with a gradient of 0 where
nothing is labeled.
"""
