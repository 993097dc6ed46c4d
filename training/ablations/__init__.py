"""Ablation studies of the eight methods on RenderWild.

Each method is trained on a scenario in which its distinctive component should matter, with and
without that component.
"""
