"""Splits one video into segments that processes analyze in parallel, and stitches the results.

A segment starts some seconds of warm-up frames early, so that at its first row the faces are
tracked, the scores are smoothed and detection is scheduled as in a single run. Rows of later
segments differ from those of a single run by what the warm-up has not forgotten yet: next to
nothing in float32; in int8, rounding keeps face positions apart by a fraction of a pixel.
"""
