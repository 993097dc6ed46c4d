"""Networks over log-mel images of audio."""
