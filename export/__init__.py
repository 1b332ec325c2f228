"""Checkpoint to bundle: ONNX, int8, calibration, parity."""
