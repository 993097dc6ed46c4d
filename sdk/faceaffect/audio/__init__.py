"""Audio of files and microphones in step with frames, and log-mel features of it.

Reading audio needs the extra `audio`. Import from the modules of this package.
"""
