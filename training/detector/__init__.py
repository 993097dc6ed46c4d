"""A small face detector of our own: distilled from YuNet on web faces, rendered people and scenes
made of both.
"""
