"""Training loops: the order of an epoch, blocks read ahead, PyTorch."""
