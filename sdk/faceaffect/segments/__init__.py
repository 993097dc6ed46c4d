"""One video shared out to processes: each follows the faces of a stretch of it, and the seams are
closed afterwards.

A stretch is begun some seconds early, so that at its first row of its own the faces are
followed, the scores are smoothed and the looks are under way, as they would be in one run. Rows
of later stretches differ from those of one run by what those seconds have not yet forgotten:
next to nothing in float32; in int8 rounding keeps the paths of a face apart by a fraction of a
pixel.
"""
