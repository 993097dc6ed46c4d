"""Annotation of faces in images, and matplotlib figures as SVG.

Import from the modules of this package: they need OpenCV or matplotlib.
"""
