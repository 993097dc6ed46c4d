"""Networks over log-mel pictures of sound."""
