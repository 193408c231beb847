"""Mixing values by attention: who may see whom, and the ways to compute it.

Shapes: B batch, T queries, S keys (S >= T with a cache), H heads, K head width.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def visible(queries: int, keys: int, window: int | None) -> Bool[Tensor, "queries keys"]:
    """Which keys each query may see: those before it and itself, within the last `window` positions if local.

    The queries are the last ones of the keys' positions. A window of w means w positions including the query's own,
    as in mesh-tensorflow's `local_attention_1d` and GPT-Neo.
    """
    distance = _distance(queries, keys)
    return (distance >= 0) & (distance < (window or keys))


def _distance(queries: int, keys: int) -> Tensor:
    return torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)[None, :]


def attend(
    q: Float[Tensor, "batch heads queries k"],
    k: Float[Tensor, "batch heads keys k"],
    v: Float[Tensor, "batch heads keys k"],
    window: int | None = None,
    scale: float = 1.0,
    documents: Int[Tensor, "batch keys"] | None = None,
    fall: Float[Tensor, " heads"] | None = None,
    sinks: Float[Tensor, " heads"] | None = None,
) -> Float[Tensor, "batch heads queries k"]:
    """Mix the values of the keys that each query may see.

    Args:
        q: queries, at the last positions of the keys.
        k: keys.
        v: values.
        window: positions a query sees, its own included; None for all.
        scale: factor on the products of queries and keys.
        documents: number of each key's document; None where all are of one.
        fall: how much a head's logits fall with each position of distance (ALiBi); None for not at all.
        sinks: logit of each head that stands for no token and has no value; None for none.
    """
    queries, keys = q.shape[2], k.shape[2]
    local = window is not None and window < keys
    if sinks is not None:
        mask = _mask(queries, keys, window, documents, fall)
        logits = mask if mask.is_floating_point() else torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
        shape = (max(logits.shape[0], 1), len(sinks), queries)
        sink = sinks[None, :, None].expand(shape)
        mask = torch.cat([sink[..., None], logits.to(q).expand(*shape, keys)], dim=-1)
        k, v = (F.pad(part, (0, 0, 1, 0)) for part in (k, v))  # the key of nothing, whose product is 0
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    if documents is not None or fall is not None:
        mask = _mask(queries, keys, window, documents, fall).to(q.device)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    if local and queries == keys and window is not None and queries % window == 0:
        return _attend_in_blocks(q, k, v, window, scale)
    if queries == keys and not local:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    if queries == 1 and not local:
        return F.scaled_dot_product_attention(q, k, v, scale=scale)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible(queries, keys, window).to(q.device), scale=scale)


def _mask(queries: int, keys: int, window: int | None, documents: Tensor | None, fall: Tensor | None) -> Tensor:
    """What is added to the logits, or may be seen: the shape broadcasts to (B, H, T, S)."""
    seen: Tensor = visible(queries, keys, window)[None, None]
    if documents is not None:
        same = documents[:, -queries:, None] == documents[:, None, :]
        # A query that sees nothing, which is padding, would be divided by zero: it sees itself.
        seen = (seen & same[:, None]) | (_distance(queries, keys) == 0)
    if fall is None:
        return seen
    bias = -fall[:, None, None] * _distance(queries, keys)
    return bias.masked_fill(~seen, -torch.inf)


def _attend_in_blocks(q: Tensor, k: Tensor, v: Tensor, window: int, scale: float) -> Tensor:
    """Local attention at O(T * window): each block of `window` queries sees its own and the previous block."""
    B, H, T, K = q.shape
    blocks = T // window
    q_BNQK = q.reshape(B, H * blocks, window, K)
    k_BNSK, v_BNSK = (_with_previous_block(x, blocks, window).reshape(B, H * blocks, 2 * window, K) for x in (k, v))
    mask_QS = visible(window, 2 * window, window).to(q.device)
    first_QS = mask_QS & (torch.arange(2 * window, device=q.device) >= window)  # before the first block is nothing
    mask_NQS = torch.cat([first_QS[None], mask_QS[None].expand(blocks - 1, -1, -1)]).repeat(H, 1, 1)
    out = F.scaled_dot_product_attention(q_BNQK, k_BNSK, v_BNSK, attn_mask=mask_NQS[None], scale=scale)
    return out.reshape(B, H, T, K)


def _with_previous_block(x_BHTK: Tensor, blocks: int, window: int) -> Tensor:
    x = x_BHTK.reshape(*x_BHTK.shape[:2], blocks, window, -1)
    previous = F.pad(x[:, :, :-1], (0, 0, 0, 0, 1, 0))
    return torch.cat([previous, x], dim=3)
