"""A checkpoint from a bundle, so that training can go on from a shipped model: its int8 weights, as numbers again.

The weights are those that the bundle computes with (8-bit integers times their scales), not those of before it was
quantised, so the checkpoint labels as the bundle does.

All of them stand on the steps of 8 bits, and what a short training changes is less than half a step: it would be lost
when the result is quantised again. Of a run of 13 steps from the shipped fast model all was (logits of the network and
of its int8 graph were .19 apart, root mean square; .015 is usual). With `dither`, each weight is moved by up to half a
step at random, as sound is before it is quantised (Gray and Stockham 1993, https://doi.org/10.1109/18.256489), so that
of many small changes as many steps are taken as belong to them; the bundle of such a checkpoint is the same."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from pagelabel.model.bundle import MODEL, PAGE, PARAGRAPHS, TOKENIZER, WORDS, BundleError, read_bundle
from pagelabel.model.checkpoint import Checkpoint
from pagelabel.model.encoding import EncodingConfig
from pagelabel.model.hierarchical import HierarchicalConfig, HierarchicalNetwork
from pagelabel.model.network import from_config
from pagelabel.model.pair import Pair
from pagelabel.model.words import WordConfig, Words

_GRAPH, _PAGE_GRAPH = "network.", "reader."
_KEPT = ("config.json", "tokenizer.json")
_QUANTISED = "_quantized"
# Layers without a bias, which the weights of the others are named after; in the order that the graph computes them.
_WITHOUT_BIAS = ("features.0", "features.2")


Dither = np.random.Generator | None
"""Where the random half steps come from; None for weights as they are in the bundle."""


def restored(folder: str | Path, dither: Dither = None) -> Checkpoint:
    """The checkpoint that the flat bundle in `folder`, or the flat one of a pair, is worth. Raises BundleError where it
    cannot be made: for a bundle of the fast model, or one that does not name its encoder."""
    folder = Path(folder)
    config = read_bundle(folder)
    if isinstance(config.encoding, Pair):
        folder /= config.encoding.parts[0]
        config = read_bundle(folder)
    if not isinstance(config.encoding, EncodingConfig):
        raise BundleError(f"{folder}: a {config.network} model; training goes on from flat ones, as 'accurate', alone")
    info = dict(config.provenance.get("checkpoint") or {})
    if "encoder" not in info:
        raise BundleError(f"{folder}: does not name its encoder's settings; export it anew, or start from another base")
    network = from_config(info["encoder"], len(config.labels), len(config.encoding.features))
    weights = graph_weights(onnx.load(folder / MODEL).graph, dither=dither)
    try:
        network.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    except RuntimeError as error:
        raise BundleError(f"{folder / MODEL}: does not fit the encoder that it names: {error}") from error
    network.eval()
    info |= {"labels": list(config.labels), "encoding": config.encoding.to_dict()}
    return Checkpoint(network, Tokenizer.from_file(str(folder / TOKENIZER)), info)


def restored_fast(folder: str | Path, dither: Dither = None) -> tuple[HierarchicalNetwork, Words, dict[str, Any]]:
    """The network, vocabulary and checkpoint's `info` that the bundle of a fast model in `folder` is worth, or that of
    a pair's second. Raises BundleError for another bundle."""
    folder = Path(folder)
    config = read_bundle(folder)
    if isinstance(config.encoding, Pair):
        return restored_fast(folder / config.encoding.parts[1], dither)
    if not isinstance(config.encoding, WordConfig):
        raise BundleError(f"{folder}: a {config.network} model; the fast model goes on from bundles of its own kind")
    info: dict[str, Any] = config.provenance.get("checkpoint") or {}
    if "sizes" not in info:
        raise BundleError(f"{folder}: does not name its network's sizes; export it anew, or start from another base")
    network = HierarchicalNetwork(HierarchicalConfig(**info["sizes"]))
    page = graph_weights(onnx.load(folder / PAGE).graph, _PAGE_GRAPH, dither)
    network.page.load_state_dict({name: torch.from_numpy(x) for name, x in page.items()})
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(folder / PARAGRAPHS).graph.initializer}
    reader = {
        "words.weight": _moved(stored["table"], dither, axis=1) * stored["scale"],
        "neighbours.weight": np.concatenate([stored[part].T for part in ("before", "own", "behind")], axis=1),
        "neighbours.bias": stored["bias"],
        "out.weight": stored["out.weight"],
        "out.bias": stored["out.bias"],
    }
    network.paragraphs.load_state_dict({name: torch.from_numpy(np.array(x)) for name, x in reader.items()})
    return network.eval(), Words.read(folder / WORDS, config.encoding), info


def dequantised(folder: Path) -> Path:
    """A pretrained encoder that transformers can load, of the int8 graph in `folder`, in a folder of its own that lasts
    as long as this process."""
    place = Path(tempfile.mkdtemp(prefix="pagelabel-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    save_file(
        graph_weights(onnx.load(folder / MODEL).graph, prefix=""),
        place / "model.safetensors",
        metadata={"format": "pt"},
    )
    for name in _KEPT:
        shutil.copyfile(folder / name, place / name)
    return place


def graph_weights(graph: Any, prefix: str = _GRAPH, dither: Dither = None) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of a quantised graph (an ONNX protobuf) by the names that they have in the network: those in the
    graph, which start with `prefix`, without it."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {
        name.removeprefix(prefix): np.array(value)
        for name, value in stored.items()
        if name.startswith(prefix) and name.endswith((".weight", ".bias"))
    }
    readers = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    without_bias = iter(_WITHOUT_BIAS)
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0].endswith(_QUANTISED):
            name = node.input[0].removesuffix(_QUANTISED)
            weights[name.removeprefix(prefix)] = _numbers(stored, name, dither)
        elif node.op_type == "MatMulInteger":
            layer = (_layer(node, readers, stored) or next(without_bias)).removeprefix(prefix)
            columns = _numbers(stored, node.input[1].removesuffix(_QUANTISED), dither)
            weights[f"{layer}.weight"] = np.ascontiguousarray(columns.T)
    return weights


def _numbers(stored: dict[str, npt.NDArray[Any]], name: str, dither: Dither) -> npt.NDArray[np.float32]:
    """The quantised matrix `name`, [in, out], with a scale for all of it or one a column."""
    zero = stored[f"{name}_zero_point"].astype(np.int32)
    steps = _moved(stored[name + _QUANTISED].astype(np.int32) - zero, dither)
    return np.asarray(steps * stored[f"{name}_scale"], np.float32)


def _moved(steps: npt.NDArray[Any], dither: Dither, axis: int = 0) -> npt.NDArray[np.float32]:
    """By up to half a step, but for the largest along `axis`, which the steps are measured by."""
    if dither is None:
        return steps.astype(np.float32)
    sizes = np.abs(steps.astype(np.int32))
    moved = steps + dither.uniform(-0.5, 0.5, steps.shape)
    return np.where(sizes == sizes.max(axis, keepdims=True), steps, moved).astype(np.float32)


def _layer(node: Any, readers: dict[str, list[Any]], stored: dict[str, Any]) -> str | None:
    """The layer whose bias is added to the product that `node` is, behind its cast and its scale."""
    for _ in range(3):
        following = readers[node.output[0]]
        if len(following) != 1:
            return None
        node = following[0]
        if node.op_type == "Add":
            biases = [name for name in node.input if name in stored and name.endswith(".bias")]
            return biases[0].removesuffix(".bias") if biases else None
    return None
