"""Figures of a model bundle, measured on its ONNX file and the graph kernel; nothing here needs
torch.
"""
