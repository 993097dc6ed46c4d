"""Losses of all models: (prediction, target, mask or weight) -> scalar.

Without labels the loss and its gradient are 0.
"""
