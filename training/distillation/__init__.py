"""Distillation of trained methods and bundles into the default model."""
