"""Public packages that a user would otherwise pick, each run by an interpreter of its own
environment.
"""
