"""How the eight methods are trained: recipes, losses, targets for what has no label, and running
them frame by frame.
"""
