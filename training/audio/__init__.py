"""Audio of videos and audio files: read, timed against the frames, turned into log-mel."""
