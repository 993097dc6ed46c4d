"""Training of the eight methods: recipes, losses, pseudo-targets and streaming inference."""
