"""Models of several stages, with a memory for each face and audio as a second input."""
