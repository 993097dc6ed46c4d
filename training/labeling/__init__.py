"""Pseudo-labels unlabeled images with teacher models and stores the outputs as .npz files."""
