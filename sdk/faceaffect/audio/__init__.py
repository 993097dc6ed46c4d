"""Sound of files and microphones in step with frames, and log-mel of it. Reading sound needs the extra `audio`."""
