"""What an absent label becomes: nothing, a stored prediction, or what a teacher says of the same picture."""
