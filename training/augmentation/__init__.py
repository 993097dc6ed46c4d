"""Augmentation of training images and clips."""
