"""The eight networks, composed of backbones, encoders, temporal parts and heads."""
