"""One file per source of pictures; each gives a `FaceTable`."""
