"""Conversion of network heads to `Affect`: decoding, per-person baseline, temporal smoothing."""
