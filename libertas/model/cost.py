"""What a model costs: floating-point operations counted per operation, and the peak they are compared with."""

import time

from libertas.model.config import ModelConfig


def forward_flops_per_token(config: ModelConfig, length: int) -> dict[str, float]:
    """Floating-point operations of one token's forward pass by operation, averaged over a sequence of `length`.

    A matrix multiplication of m x n weights costs 2mn per token. Attention is counted as causal: query t meets t keys,
    or `window` in local layers. Norms, GELU and the embedding look-up are left out (below 1 %).
    """
    width = config.width
    keys = 0.0
    for layer in range(config.layers):
        reach = config.window if config.kind_of(layer) == "local" else length
        reach = min(reach, length)
        keys += (reach * (reach + 1) / 2 + (length - reach) * reach) / length
    return {
        "query, key, value": config.layers * 2 * width * 3 * width,
        "scores and mixing": 2 * 2 * width * keys,
        "attention output": config.layers * 2 * width * width,
        "feed-forward": config.layers * 2 * 2 * config.expansion * width * width,
        "logits": 2 * width * config.vocabulary,
    }


def training_flops_per_token(config: ModelConfig, length: int) -> float:
    """Operations of forward and backward: the backward pass costs twice the forward pass."""
    return 3 * sum(forward_flops_per_token(config, length).values())


def measured_peak(seconds: float = 0.4, size: int = 1024) -> float:
    """Operations per second that this process reaches in a square fp32 matrix multiplication: the best of several.

    The model-FLOPs utilization that training prints is relative to this, not to a data sheet.
    """
    import torch

    a, b = torch.ones(size, size), torch.ones(size, size)
    best, deadline = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
