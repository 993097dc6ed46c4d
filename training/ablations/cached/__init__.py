"""Ablations on features of a frozen trunk: many splits of people, paired within each split."""
