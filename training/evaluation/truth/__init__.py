"""Measures whether action units are true of real people, where no FACS-coded faces exist."""
