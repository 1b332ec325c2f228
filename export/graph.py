"""The torch network as an ONNX graph, in fp32 and in int8."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import BertModel
from transformers.models.bert.modeling_bert import BertLayer

from pagelabel.model.network import PageNetwork

# From 20 on Gelu is one operator. onnxruntime's fused attention (that of 23, too) was no faster in int8 on a CPU than
# this plain graph.
_OPSET = 20


class _Window(torch.nn.Module):
    """One window without padding: the attention mask is not an input of the graph. For an encoder of any kind."""

    def __init__(self, network: PageNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(input_ids, features)
        return logits


class _BertWindow(torch.nn.Module):
    """The same for BERT, with less to compute: no mask at all, and in the last layer only what is read of it, the
    markers (their feature `one` is 1); all other logits are 0. 43 ms a window of 500 tokens became 31."""

    def __init__(self, network: PageNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        encoder = self.network.encoder
        hidden = encoder.get_input_embeddings()(input_ids) + self.network.features(features)
        hidden = encoder.embeddings(inputs_embeds=hidden)
        *layers, last = encoder.encoder.layer
        for layer in layers:
            hidden = layer(hidden)
        markers = torch.nonzero(features[0, :, 0])[:, 0]
        logits = self.network.head(_read(last, hidden[:, markers], hidden))[0]
        out = torch.zeros(input_ids.shape[1], logits.shape[1]).index_put((markers,), logits)
        return out[None]


def _read(layer: BertLayer, queries: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """The layer's output [1, K, H] at the tokens of `queries` [1, K, H], which are some of `hidden` [1, T, H]."""
    attention = layer.attention.self

    def heads(states: torch.Tensor) -> torch.Tensor:
        return states.view(1, -1, attention.num_attention_heads, attention.attention_head_size).transpose(1, 2)

    query, key, value = heads(attention.query(queries)), heads(attention.key(hidden)), heads(attention.value(hidden))
    weights = (query @ key.transpose(2, 3) * attention.scaling).softmax(-1)
    mixed = (weights @ value).transpose(1, 2).reshape(queries.shape)
    out: torch.Tensor = layer.feed_forward_chunk(layer.attention.output(mixed, queries))
    return out


def write_fp32(network: PageNetwork, file: Path) -> None:
    """Export `network` (built with eager attention): ids [1, T] and features [1, T, F] to logits [1, T, labels], which
    mean something at markers."""
    ids = torch.ones(1, 12, dtype=torch.long)
    features = torch.zeros(1, 12, network.feature_count)
    features[0, [1, 6], 0] = 1
    tokens = torch.export.Dim("tokens", min=2, max=512)
    shapes = {"input_ids": {1: tokens}, "features": {1: tokens}}
    window = _BertWindow if isinstance(network.encoder, BertModel) else _Window
    write_graph(window(network), (ids, features), file, "logits", shapes)


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
    # The quantizer's advice to pre-process the graph (shape inference) changes nothing for this one, nor does it matter
    # that it does not know what two attention products of the last layer multiply: neither is a weight.
    logging.getLogger().addFilter(_no_advice)
    try:
        quantize_dynamic(fp32, file, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    finally:
        logging.getLogger().removeFilter(_no_advice)


def _no_advice(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return "pre-processing" not in message and "unsupported type to quantize" not in message
