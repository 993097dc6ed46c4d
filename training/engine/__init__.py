"""Training engine of all models: trainer, EMA, optimizer, checkpoints, data-parallel processes."""
