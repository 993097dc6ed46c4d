"""Audio of videos and audio files: decoding, alignment with the frames, log-mel features."""
