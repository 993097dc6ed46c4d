"""Small face detector, distilled from YuNet on web faces, rendered people and scenes
made of both.
"""
