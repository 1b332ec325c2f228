"""The torch network as an ONNX graph, in fp32 and in int8."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from pagelabel.model.features import FEATURE_NAMES
from pagelabel.model.network import PageNetwork

# onnxruntime's fused BERT graph was slower in int8 on a CPU than this plain one.
_OPSET = 18


class _Window(torch.nn.Module):
    """One window without padding: the attention mask is not an input of the graph."""

    def __init__(self, network: PageNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(input_ids, features)
        return logits


def write_fp32(network: PageNetwork, file: Path) -> None:
    """Export `network` (built with eager attention): ids [1, T] and features [1, T, F] to logits [1, T, labels]."""
    ids = torch.ones(1, 12, dtype=torch.long)
    features = torch.zeros(1, 12, len(FEATURE_NAMES))
    tokens = torch.export.Dim("tokens", min=2, max=512)
    shapes = {"input_ids": {1: tokens}, "features": {1: tokens}}
    write_graph(_Window(network), (ids, features), file, "logits", shapes)


def write_graph(
    module: torch.nn.Module, example: tuple[torch.Tensor, ...], file: Path, output: str, shapes: dict[str, Any]
) -> None:
    """Export `module` in fp32: `shapes` has the dynamic dimensions of each input by name, in the order of `example`."""
    # It logs a warning for every operator of torchvision where that is not installed.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with torch.no_grad(), warnings.catch_warnings():
        # torch's exporter trips over its own deprecations.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            example,
            str(file),
            input_names=list(shapes),
            output_names=[output],
            dynamic_shapes=shapes,
            opset_version=_OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    model = onnx.load(file)
    strip_traces(model)
    onnx.save(model, file)
    onnx.checker.check_model(str(file))


def strip_traces(message: Any) -> None:
    """Take out of a graph (a protobuf message) what the exporter notes beside every node: the source lines that it came
    from, with the paths of the machine that they were on. What the graph computes stays as it is."""
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                strip_traces(part)


def write_int8(fp32: Path, file: Path) -> None:
    """Weights to int8 a channel, activations to uint8 a run.

    `reduce_range` keeps weights to 7 bits: CPUs without VNNI multiply in 16-bit lanes that saturate at 8 bits, and
    would give other labels than those with it.
    """
    # The quantizer's advice to pre-process the graph (shape inference) changes nothing for this one.
    logging.getLogger().addFilter(_no_advice)
    try:
        quantize_dynamic(fp32, file, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    finally:
        logging.getLogger().removeFilter(_no_advice)


def _no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
