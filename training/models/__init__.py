"""Networks: a trunk, heads on it, and the graph layer over AU nodes."""
