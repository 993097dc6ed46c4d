"""Statistics of rows: how long and how often each face showed what."""
