"""Model bundles: `spec.json`, the files that it lists, and how they are found and downloaded."""
