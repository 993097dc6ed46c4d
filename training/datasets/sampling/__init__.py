"""Which rows enter a step: samplers by label availability, windows, pairs, weights, thinning."""
