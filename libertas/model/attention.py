"""Causal self-attention, global or within a window, with a cache of keys and values for generation.

Shapes: B batch, T queries, S keys (S >= T with a cache), H heads, K head width, D = H * K model width.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from libertas.model.config import ModelConfig


class KeyValues:
    """Keys and values of one layer for the tokens seen so far; filled in place."""

    def __init__(self, batch: int, config: ModelConfig) -> None:
        """Room for a whole context, empty."""
        shape = (batch, config.heads, config.context, config.width // config.heads)
        self.keys, self.values, self.length = torch.empty(shape), torch.empty(shape), 0

    def extend(self, k_BHTK: Tensor, v_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Append, and return everything so far."""
        stop = self.length + k_BHTK.shape[2]
        self.keys[:, :, self.length : stop] = k_BHTK
        self.values[:, :, self.length : stop] = v_BHTK
        self.length = stop
        return self.keys[:, :, :stop], self.values[:, :, :stop]


def visible(queries: int, keys: int, window: int | None) -> Bool[Tensor, "queries keys"]:
    """Which keys each query may see: those before it and itself, within the last `window` positions if local.

    The queries are the last ones of the keys' positions. A window of w means w positions including the query's own,
    as in mesh-tensorflow's `local_attention_1d` and GPT-Neo.
    """
    distance = torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)[None, :]
    return (distance >= 0) & (distance < (window or keys))


def attend(
    q: Float[Tensor, "batch heads queries k"],
    k: Float[Tensor, "batch heads keys k"],
    v: Float[Tensor, "batch heads keys k"],
    window: int | None,
) -> Float[Tensor, "batch heads queries k"]:
    """Attention without scaling of the logits: GPT-Neo folds 1/sqrt(K) into the initialization of the queries."""
    queries, keys = q.shape[2], k.shape[2]
    if window is not None and window < keys and queries == keys and queries % window == 0:
        return _attend_in_blocks(q, k, v, window)
    if queries == keys and (window is None or window >= keys):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible(queries, keys, window).to(q.device), scale=1.0)


def _attend_in_blocks(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Local attention at O(T * window): each block of `window` queries sees its own and the previous block."""
    B, H, T, K = q.shape
    blocks = T // window
    q_BNQK = q.reshape(B, H * blocks, window, K)
    k_BNSK, v_BNSK = (_with_previous_block(x, blocks, window).reshape(B, H * blocks, 2 * window, K) for x in (k, v))
    mask_QS = visible(window, 2 * window, window).to(q.device)
    first_QS = mask_QS & (torch.arange(2 * window, device=q.device) >= window)  # before the first block is nothing
    mask_NQS = torch.cat([first_QS[None], mask_QS[None].expand(blocks - 1, -1, -1)]).repeat(H, 1, 1)
    out = F.scaled_dot_product_attention(q_BNQK, k_BNSK, v_BNSK, attn_mask=mask_NQS[None], scale=1.0)
    return out.reshape(B, H, T, K)


def _with_previous_block(x_BHTK: Tensor, blocks: int, window: int) -> Tensor:
    x = x_BHTK.reshape(*x_BHTK.shape[:2], blocks, window, -1)
    previous = F.pad(x[:, :, :-1], (0, 0, 0, 0, 1, 0))
    return torch.cat([previous, x], dim=3)


class Attention(nn.Module):
    """Multi-head attention of one layer; queries, keys and values have no bias, the output has one (GPT-Neo)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        """Build for a layer, whose number decides the kind of attention."""
        super().__init__()
        self.heads = config.heads
        self.window = config.window if config.kind_of(layer) == "local" else None
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width)

    def forward(
        self, x: Float[Tensor, "batch time width"], cache: KeyValues | None = None
    ) -> Float[Tensor, "batch time width"]:
        """Mix information over positions; with a cache, `x` holds only the new ones."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = cache.extend(k, v)
        mixed_BHTK = attend(q, k, v, self.window)
        out: Tensor = self.out(mixed_BHTK.transpose(1, 2).flatten(2))
        return out
