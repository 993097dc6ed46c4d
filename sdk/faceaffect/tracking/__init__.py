"""Face tracking: detection when needed, and the network's own landmarks from frame to frame."""
