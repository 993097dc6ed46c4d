"""Makes model bundles out of training runs: `python -m export RUN_DIR --to BUNDLE_DIR`."""
