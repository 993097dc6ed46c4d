"""Methods trained in several stages, whose earlier ones prepare another network, targets or
features.
"""
