"""What makes training faster where the processor can do it: bfloat16, and compiled layers."""

from __future__ import annotations

import time
from functools import cache

import torch
from transformers import PreTrainedModel


@cache
def half_precision() -> bool:
    """Whether layers are to run in bfloat16 on this machine's CPU (weights and their sums stay in float32).

    A step took 0.72 s instead of 1.6 s on a processor with AVX512-BF16, but 5.5 s instead of 2.7 s on another that has
    these instructions, too: so it is tried. Without them bfloat16 is emulated. Of processes that learn together the
    first tries for all.
    """
    supported = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    faster = [not torch.cuda.is_available() and supported and _seconds(torch.bfloat16) < 0.8 * _seconds(torch.float32)]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.broadcast_object_list(faster)
    return faster[0]


def _seconds(kind: torch.dtype) -> float:
    """Of the fastest of some products of the size of a layer's."""
    rows, columns = torch.ones(2048, 384, dtype=kind), torch.ones(1536, 384, dtype=kind)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        torch.nn.functional.linear(rows, columns)
        times.append(time.perf_counter() - start)
    return min(times)


def compile_network(network: torch.nn.Module, encoder: PreTrainedModel) -> None:
    """Compile a network on `encoder` (torch.compile, in place); it takes a minute and needs a C++ compiler.

    A step took 0.56 s instead of 0.79 s. Attention is spelled out for it: compiled that was faster than PyTorch's
    fused attention, which is slow on a CPU with heads as small as MiniLM's (0.67 s compiled). With AMX it is the other
    way round (3.3 s as it is, 4.8 s compiled, on one busy core), so there the network stays as it is.
    """
    if torch.cpu._is_amx_tile_supported():
        return
    encoder.set_attn_implementation("eager")
    network.compile(dynamic=True)
