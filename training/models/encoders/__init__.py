"""Encoders beyond plain backbones: deviation, AU attention, patches, feature pyramid."""
