"""Rows as one HTML page with plots."""
