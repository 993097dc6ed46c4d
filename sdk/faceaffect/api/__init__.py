"""Front door for Python: whole inputs in, results with a view per face out.

Import these names from `faceaffect`.
"""
