"""A trained agent as one file that decides without rlkit: ONNX, TorchScript or torch.export."""
