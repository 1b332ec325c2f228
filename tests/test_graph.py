from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from pagelabel.export.graph import write_fp32, write_int8
from pagelabel.model.features import FEATURE_NAMES
from pagelabel.model.network import PageNetwork, from_config
from pagelabel.sessions import open_session

_SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 600,
}


def network_of(kind: str) -> PageNetwork:
    torch.manual_seed(0)
    network = from_config({"model_type": kind, **_SIZES}, 5, len(FEATURE_NAMES)).eval()
    network.encoder.set_attn_implementation("eager")
    return network


def window(tokens: int, markers: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(tokens)
    ids = torch.randint(3, 50, (1, tokens), generator=generator)
    features = torch.zeros(1, tokens, len(FEATURE_NAMES))
    features[0, markers] = torch.rand(len(markers), len(FEATURE_NAMES), generator=generator)
    features[0, markers, 0] = 1
    return ids, features


def run(session: onnxruntime.InferenceSession, ids: torch.Tensor, features: torch.Tensor) -> np.ndarray:  # type: ignore[type-arg]
    return session.run(["logits"], {"input_ids": ids.numpy(), "features": features.numpy()})[0][0]


@pytest.mark.parametrize("kind", ["bert", "roberta", "mpnet"])
def test_the_graph_gives_the_logits_of_torch_at_markers(kind: str, tmp_path: Path) -> None:
    network = network_of(kind)
    write_fp32(network, tmp_path / "model.onnx")
    session = open_session(tmp_path / "model.onnx", 1)
    for tokens, markers in ((30, [1, 5, 20, 28]), (3, [1]), (512, [*range(1, 511)])):
        ids, features = window(tokens, markers)
        expected = network(ids, features)[0, markers].detach().numpy()
        assert np.abs(run(session, ids, features)[markers] - expected).max() < 1e-5


def test_of_bert_only_markers_are_read(tmp_path: Path) -> None:
    write_fp32(network_of("bert"), tmp_path / "fp32.onnx")
    write_int8(tmp_path / "fp32.onnx", tmp_path / "int8.onnx")
    ids, features = window(40, [1, 17, 30])
    for name in ("fp32.onnx", "int8.onnx"):
        logits = run(open_session(tmp_path / name, 1), ids, features)
        assert np.flatnonzero(np.abs(logits).sum(1)).tolist() == [1, 17, 30]
