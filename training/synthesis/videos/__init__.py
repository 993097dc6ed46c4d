"""RenderWild: rendered videos of known faces, written in the layout of Aff-Wild2."""
