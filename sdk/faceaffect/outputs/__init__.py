"""From the heads of the network to `Affect`: decoding, per-person baseline, temporal smoothing."""
