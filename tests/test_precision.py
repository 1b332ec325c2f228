import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pagelabel.model.checkpoint import load_checkpoint
from pagelabel.training import precision
from pagelabel.training.precision import compile_network, half_precision


@pytest.mark.parametrize(
    ("bf16", "amx", "cuda", "seconds", "expected"),
    [
        (True, False, False, 0.5, True),
        (False, True, False, 0.5, True),
        (False, False, False, 0.5, False),
        (True, True, True, 0.5, False),
        # One that has the instructions, and is slow at them.
        (True, False, False, 2.0, False),
    ],
)
def test_bfloat16_is_for_cpus_that_are_faster_in_it(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, amx: bool, cuda: bool, seconds: float, expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(precision, "_seconds", lambda kind: seconds if kind is torch.bfloat16 else 1.0)
    half_precision.cache_clear()
    try:
        assert half_precision() is expected
    finally:
        half_precision.cache_clear()


def test_of_processes_that_learn_together_the_first_decides_for_all(tmp_path: Path) -> None:
    script = tmp_path / "rank.py"
    script.write_text(
        """
import os
import torch
from pagelabel.training import precision

rank = int(os.environ["RANK"])
torch.distributed.init_process_group("gloo")
torch.cpu._is_avx512_bf16_supported = lambda: True
torch.cuda.is_available = lambda: False
precision._seconds = lambda kind: (0.5 if rank == 0 else 2.0) if kind is torch.bfloat16 else 1.0
print(f"half {precision.half_precision()}\\n", end="", flush=True)
torch.distributed.destroy_process_group()
"""
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n").count("half True") == 2


def test_the_time_of_a_product_is_measured() -> None:
    assert 0 < precision._seconds(torch.float32) < 10


# torch trips over its own deprecations.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_compiled_network_computes_the_same(monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    network = load_checkpoint(tiny_checkpoint).network
    ids = torch.randint(5, 100, (2, 20), generator=torch.Generator().manual_seed(0))
    features = torch.rand(2, 20, network.feature_count, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, 20, dtype=torch.long)
    mask[0, -4:] = 0
    names = list(network.state_dict())
    with torch.no_grad():
        before = network(ids, features, mask)
        compile_network(network, network.encoder)
        after = network(ids, features, mask)
    torch.testing.assert_close(after[1], before[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after[0, :-4], before[0, :-4], atol=1e-4, rtol=1e-4)
    assert list(network.state_dict()) == names


def test_with_amx_a_network_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    network = load_checkpoint(tiny_checkpoint).network
    before = network.encoder.config._attn_implementation
    compile_network(network, network.encoder)
    assert network.encoder.config._attn_implementation == before != "eager"
    assert network._compiled_call_impl is None
