"""Other public packages for comparison, each run by the interpreter of its own environment."""
