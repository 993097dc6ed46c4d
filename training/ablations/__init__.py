"""Trials of the eight methods on rendered videos: each on a setting where its own part should
matter, with and without it.
"""
