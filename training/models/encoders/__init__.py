"""Encoders beyond plain backbones: what of a face each method looks at."""
