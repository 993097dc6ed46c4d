"""Exports training runs as model bundles: `python -m export RUN_DIR --to BUNDLE_DIR`."""
