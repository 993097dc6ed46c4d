"""Backbones of the eight methods, with the parameter names of their public weights.

They are written out rather than taken from torchvision or timm: they must export to ONNX in
streaming form, frame by frame, and torchvision does not import beside this build of torch.
"""
