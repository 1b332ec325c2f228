"""onnxruntime sessions, all opened the same way."""

from __future__ import annotations

from pathlib import Path

import onnxruntime


def open_session(model: Path, threads: int | None) -> onnxruntime.InferenceSession:
    """A session on the CPU; `threads` is how many cores a run uses, all by default. Its log level is raised to errors:
    warnings on optimisation are noise here."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # Every page has another length, so plans for memory are never used again: 5% of the fast model's time.
    options.enable_mem_pattern = False
    # Its kernel took six times as long as the sum and the normalisation that it replaces: 9 ms of 40 that the accurate
    # model needs for a window of 500 tokens, a tenth of the fast one's page network.
    slow = ["SkipLayerNormFusion"]
    return onnxruntime.InferenceSession(
        str(model), options, providers=["CPUExecutionProvider"], disabled_optimizers=slow
    )
