"""One file per source of images; each gives a `FaceTable`."""
