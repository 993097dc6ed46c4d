"""Renders synthetic faces with known action units from CC0 and LGPL head models."""
