"""Export of rows to the formats of annotation tools: ELAN, Praat, BORIS and OpenFace's columns."""
