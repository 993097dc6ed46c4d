"""Parts with memory: each gives the same over a whole sequence as step by step with carried state."""
