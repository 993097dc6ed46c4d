"""Renders faces whose action units are known, from CC0 and LGPL head models."""
