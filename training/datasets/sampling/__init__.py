"""Sampling of training rows: multi-task samplers, windows, pairs, weights, subsampling."""
