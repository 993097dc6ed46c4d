"""Evaluates model bundles with the ONNX file and the graph kernel of the SDK."""
