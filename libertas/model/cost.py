"""What a model costs: floating-point operations counted per operation, and the peak they are compared with."""

import time

from libertas.model.config import ModelConfig

FLOP_FORMULAS = {
    "query, key, value": "2 L D (H + 2 G) K",
    "scores and mixing": "4 L H K x mean keys met",
    "attention output": "2 L H K D",
    "feed-forward": "2 L D F x matrices x experts of a token",
    "router": "2 L D E",
    "logits": "2 D V",
}
"""Of `forward_flops_per_token`: L layers, D width, H heads, G key heads, K head width, F hidden, E experts, V words."""


def forward_flops_per_token(config: ModelConfig, length: int) -> dict[str, float]:
    """Floating-point operations of one token's forward pass by operation, averaged over a sequence of `length`.

    A matrix multiplication of m x n weights costs 2mn per token. Attention is counted as causal: query t meets t keys,
    or `window` in local layers; in linear ones the sums are counted, as much as K keys. Of experts, those that read the
    token are counted. Norms, activations and the embedding look-up are left out (below 1 %).
    """
    layers, width, inner = config.layers, config.width, config.heads * config.key_width
    keys, read = 0.0, config.experts_per_token if config.experts else 0
    for layer in range(layers):
        if config.kind_of(layer) == "linear":  # a key times a value, and a query times the sum of these
            keys += config.key_width
            continue
        reach = min(config.window_of(layer) or length, length)
        keys += (reach * (reach + 1) / 2 + (length - reach) * reach) / length
    return {
        "query, key, value": layers * 2 * width * (inner + 2 * config.groups * config.key_width),
        "scores and mixing": 2 * 2 * inner * keys,
        "attention output": layers * 2 * inner * width,
        "feed-forward": layers * 2 * (2 + config.gated) * width * config.hidden_width * max(read, 1),
        **({"router": layers * 2 * width * config.experts} if read else {}),
        "logits": 2 * width * config.vocabulary,
    }


def position_rows(config: ModelConfig) -> int:
    """Vectors that a model learns for positions: one for each, or for each row and each column."""
    if config.positions == "axial":
        return -(-config.context // config.axial_columns) + config.axial_columns
    return config.context if config.positions == "learned" else 0


def parameters(config: ModelConfig) -> dict[str, int]:
    """Trainable numbers by part; a tied embedding counts once. They are counted, not allocated."""
    width, layers, hidden = config.width, config.layers, config.hidden_width
    inner, both = config.heads * config.key_width, 2 * config.groups * config.key_width
    norm = width * (2 if config.norm == "layer" else 1)
    norms = 1 if config.residual == "parallel, one norm" else 2
    attention = width * (inner + both) + inner * width + (inner + both) * config.qkv_bias + width * config.out_bias
    attention += 2 * config.key_width * config.query_key_norm + config.heads * config.sinks
    up = (1 + config.gated) * hidden
    feed_forward = (width * (up + hidden) + (up + width) * config.feed_forward_bias) * max(config.experts, 1)
    feed_forward += width * config.experts
    return {
        "embedding": config.vocabulary * width,
        "positions": position_rows(config) * width,
        "attention": layers * attention,
        "feed-forward": layers * feed_forward,
        "norms": norm * (layers * norms + 1 + config.embedding_norm),
        "logits": 0 if config.tied else config.vocabulary * (width + config.logits_bias),
    }


def cache_bytes_per_token(config: ModelConfig, bytes_per_number: int = 2) -> int:
    """Bytes of keys and values that one more token of one sequence takes, in global layers beyond any window."""
    global_layers = sum(config.kind_of(layer) == "global" for layer in range(config.layers))
    return global_layers * 2 * config.groups * config.key_width * bytes_per_number


def training_flops_per_token(config: ModelConfig, length: int) -> float:
    """Operations of forward and backward: the backward pass costs twice the forward pass."""
    return 3 * sum(forward_flops_per_token(config, length).values())


def measured_peak(seconds: float = 0.4, size: int = 1024, device: str = "cpu", precision: str = "fp32") -> float:
    """Operations per second that this process reaches in a square matrix multiplication: the best of several.

    The model-FLOPs utilization that training prints is relative to this, not to a data sheet. On a CPU both libraries
    that torch multiplies with are tried.
    """
    import torch

    from libertas.model.linear import product

    size = size if device == "cpu" else 8 * size
    a, b = (torch.ones(size, size, device=device, dtype=torch.bfloat16 if precision == "bf16" else None) for _ in "ab")
    best, deadline = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for multiply in (torch.matmul, product):
            start = time.perf_counter()
            multiply(a, b)
            if device != "cpu":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
