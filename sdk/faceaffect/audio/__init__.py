"""Audio of files and microphones in step with frames, and log-mel of it. Reading audio needs the
extra `audio`.
"""
