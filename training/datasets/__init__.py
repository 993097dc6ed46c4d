"""Datasets: readers, frame and face tables, caches and samplers."""
