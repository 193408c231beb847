"""One more token for a few texts at a time, by the native kernel: as fast as memory gives the weights.

`Model.hidden` with a cache is the reference, and does it where the kernel is missing or does not know the model. The
two differ by rounding. B rows, D width, V vocabulary.
"""

from array import array
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import libertas.kernel as kernel
from libertas.model.attention import Attention
from libertas.model.config import CHOICES
from libertas.model.feed_forward import FeedForward
from libertas.model.linear import Linear
from libertas.model.norm import LayerNorm, RmsNorm
from libertas.model.positions import turns
from libertas.model.transformer import Block, Cache, Model

MOST_ROWS = 16
"""Rows up to which waiting for the weights is most of the time; with more, torch's products are as fast."""
MOST_THREADS = 64
"""As in decode.c."""
SHARE = 1 << 19
"""Weights for which it is worth to start another thread."""

KNOWN = (Model, Block, Attention, FeedForward, RmsNorm, LayerNorm, Linear, nn.Embedding, nn.ModuleList)
"""What the kernel does as well; a model with other parts, or with hooks on its parts, is torch's."""

Arrays = list[NDArray[np.float32] | None]
Step = Callable[[Sequence[int]], Tensor]
"""The logits (B, V) that follow one new token of each row."""


def native_step(model: Model, cache: Cache, starts: Sequence[int]) -> Step | None:
    """What takes the next token of each row by the native kernel; None where it cannot.

    Args:
        model: in evaluation mode.
        cache: of the rows' earlier tokens; each step fills it further.
        starts: padding on the left of each row.
    """
    weights = None if kernel.native is None or len(starts) > MOST_ROWS else _weights(model)
    if kernel.native is None or weights is None:
        return None
    c, decode_step = model.config, kernel.native.decode_step
    rows, padding = len(starts), torch.tensor(starts)
    threads = max(1, min(torch.get_num_threads(), MOST_THREADS, model.parameter_count() // SHARE))
    rest = (c.width, c.layers, c.heads, c.groups, c.key_width, c.hidden_width, c.vocabulary, c.context)
    turning = c.rotary_width if c.positions == "rotary" else 0
    activation = CHOICES["activation"].index(c.activation)
    flags = (c.rotary_pairs == "neighbours", c.norm == "rms", c.residual != "sequential", c.gated, activation)
    epsilon, slots, begins = c.norm_epsilon, array("q", (layer.slots for layer in cache)), array("q", starts)
    numbers = [part.numpy() for layer in cache for part in layer.kept()]

    def step(tokens: Sequence[int]) -> Tensor:
        position = cache[0].length
        x = model.embed(torch.tensor(tokens)[:, None], (position - padding)[:, None]).contiguous()
        logits = torch.empty(rows, c.vocabulary)
        shape = array("q", (rows, position, threads, *rest, turning, *flags))
        decode_step(shape, epsilon, c.scale, slots, weights, numbers, begins, x.numpy(), logits.numpy())
        for layer in cache:
            layer.length += 1
        return logits

    return step


def _weights(model: Model) -> Arrays | None:
    """All weights in the order of decode.c, without a copy; None where something is not as the kernel knows it."""
    c = model.config
    if "linear" in c.attention or model.precision not in (None, torch.float32):
        return None
    for module in model.modules():
        if type(module) not in KNOWN or module._forward_hooks or module._forward_pre_hooks:
            return None
    parts = [part for block in model.each_block() for part in _parts(block)]
    parts += [*_pair(model.norm), *model.unembedding()]
    parts += turns(c, torch.arange(c.context)) if c.positions == "rotary" else (None, None)
    parts.append(next(model.each_block()).attention.fall)
    given = [part for part in parts if part is not None]
    if any(p.dtype != torch.float32 or p.device.type != "cpu" for p in given):
        return None
    return [None if part is None else part.detach().contiguous().numpy() for part in parts]


def _parts(block: Block) -> list[Tensor | None]:
    attention, feed_forward = block.attention, block.feed_forward
    assert isinstance(feed_forward, FeedForward), type(feed_forward)
    before, between = [block.norm_attention, attention.qkv, attention.out], block.norm_feed_forward
    parts = [part for m in (*before, between, feed_forward.up, feed_forward.down) for part in _pair(m)]
    norms = attention.norms or (None, None)
    return [*parts, *(_pair(norm)[0] for norm in norms), attention.sinks]


def _pair(module: nn.Module | None) -> tuple[Tensor | None, Tensor | None]:
    """Weight and bias."""
    return getattr(module, "weight", None), getattr(module, "bias", None)
