"""Temporal modules; a forward pass over a sequence equals stepping with carried state."""
