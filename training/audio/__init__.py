"""Sound of videos and sound files: read, timed against the frames, turned into log-mel."""
