"""Known facial actions added to photographs of faces at rest, as training and test images."""
