"""Audio of files and microphones in step with frames, and log-mel features of it.

Import from the modules of this package.
"""
