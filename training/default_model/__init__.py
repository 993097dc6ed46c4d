"""Training of the default model: one network for all tasks on single faces."""
