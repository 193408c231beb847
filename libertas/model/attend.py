"""Mixing values by attention: who may see whom, and the ways to compute it, which agree.

`reference` is the definition, with a table of all pairs. `sdpa` is torch's fused kernel, on a GPU its FlashAttention
where nothing but the order hides a key. `blocks` computes local attention at O(T * window) with the same kernel, on any
device. `flex` is torch's FlexAttention, which compiles the mask into the kernel; on a CPU it has no backward pass.
`flash` is the package `flash-attn`, where it is installed.

Shapes: B batch, T queries, S keys (S >= T with a cache), H heads, G heads of keys and values, K head width.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from libertas.errors import UsageError

WAYS_TO_ATTEND = ("auto", "reference", "sdpa", "blocks", "flex", "flash")
"""What `attend` may be told."""
SMALLEST_BLOCK, LARGEST_BLOCK = 32, 128
"""Bounds of the queries that are computed together in local attention: each block meets `window` keys more than it has
queries, so small ones waste less, and large ones are multiplied faster."""
FLEX_QUERIES = 128
"""Fewest queries for which a compiled mask is worth it: FlexAttention's own blocks are as large."""
FLASH_HEAD = 256
"""Widest head that flash-attn computes."""


def visible(
    queries: int, keys: int, window: int | None, device: torch.device | None = None
) -> Bool[Tensor, "queries keys"]:
    """Which keys each query may see: those before it and itself, within the last `window` positions if local.

    The queries are the last ones of the keys' positions. A window of w means w positions including the query's own,
    as in mesh-tensorflow's `local_attention_1d` and GPT-Neo.
    """
    distance = _distance(queries, keys, device)
    return (distance >= 0) & (distance < (window or keys))


def _distance(queries: int, keys: int, device: torch.device | None) -> Tensor:
    return torch.arange(keys - queries, keys, device=device)[:, None] - torch.arange(keys, device=device)[None, :]


class _Rule(NamedTuple):
    """The arguments of `attend` of the same names."""

    window: int | None
    scale: float
    documents: Tensor | None
    fall: Tensor | None
    sinks: Tensor | None


def attend(
    q: Float[Tensor, "batch heads queries k"],
    k: Float[Tensor, "batch groups keys k"],
    v: Float[Tensor, "batch groups keys k"],
    window: int | None = None,
    scale: float = 1.0,
    documents: Int[Tensor, "batch keys"] | None = None,
    fall: Float[Tensor, " heads"] | None = None,
    sinks: Float[Tensor, " heads"] | None = None,
    how: str = "auto",
) -> Float[Tensor, "batch heads queries k"]:
    """Mix the values of the keys that each query may see.

    Args:
        q: queries, at the last positions of the keys.
        k: keys; each of their heads serves heads / groups queries.
        v: values.
        window: positions a query sees, its own included; None for all.
        scale: factor on the products of queries and keys.
        documents: number of each key's document; None where all are of one.
        fall: how much a head's logits fall with each position of distance (ALiBi); None for not at all.
        sinks: logit of each head that stands for no token and has no value; None for none.
        how: one of `WAYS_TO_ATTEND`; `auto` takes the fastest that is there.

    Raises:
        UsageError: there is no such way, or it is not there, or cannot do this.
    """
    rule = _Rule(window if window is not None and window < k.shape[2] else None, scale, documents, fall, sinks)
    if how == "auto":
        how = _fastest(q.is_cuda, q.dtype, q.shape[2], q.shape[3], rule)
    if how not in WAYS_TO_ATTEND:
        raise UsageError(f"how is {how!r}; expected one of {', '.join(WAYS_TO_ATTEND)}")
    if how in ("flex", "flash"):
        return (_by_flex if how == "flex" else _by_flash)(q, k, v, rule)
    if q.shape[1] != k.shape[1]:
        k, v = (part.repeat_interleave(q.shape[1] // part.shape[1], dim=1) for part in (k, v))
    if how == "reference":
        return _by_table(q, k, v, rule)
    return (_in_blocks if how == "blocks" and rule.window is not None else _by_kernel)(q, k, v, rule)


def _fastest(on_gpu: bool, dtype: torch.dtype, queries: int, head: int, rule: _Rule) -> str:
    """The way that `auto` means."""
    masked = rule.documents is not None or rule.sinks is not None
    if on_gpu and (masked or rule.window or rule.fall is not None):
        halves = dtype in (torch.float16, torch.bfloat16)
        if halves and not masked and head <= FLASH_HEAD and find_spec("flash_attn"):
            return "flash"
        if queries >= FLEX_QUERIES:
            return "flex"
    return "blocks"


def _mask(q: Tensor, k: Tensor, rule: _Rule) -> Tensor:
    """What may be seen, or is added to the logits, those of the sinks in front: it broadcasts to (B, H, T, S)."""
    queries, keys = q.shape[2], k.shape[2]
    seen: Tensor = visible(queries, keys, rule.window, q.device)[None, None]
    if rule.documents is not None:
        seen = seen & (rule.documents[:, None, -queries:, None] == rule.documents[:, None, None, :])
    if rule.fall is None and rule.sinks is None:
        return seen
    bias = q.new_zeros(())
    if rule.fall is not None:
        bias = -rule.fall.to(q)[:, None, None] * _distance(queries, keys, q.device)
    bias = torch.where(seen, bias, -torch.inf)
    if rule.sinks is None:
        return bias
    shape = (bias.shape[0], len(rule.sinks), queries)
    return torch.cat([rule.sinks.to(q)[None, :, None, None].expand(*shape, 1), bias.expand(*shape, keys)], dim=-1)


def _by_table(q: Tensor, k: Tensor, v: Tensor, rule: _Rule) -> Tensor:
    """The definition."""
    logits, mask = rule.scale * q @ k.transpose(-1, -2), _mask(q, k, rule)
    if rule.sinks is not None:
        logits = F.pad(logits, (1, 0))
    logits = logits + mask if mask.is_floating_point() else logits.masked_fill(~mask, -torch.inf)
    weights = logits.softmax(-1)
    return (weights if rule.sinks is None else weights[..., 1:]) @ v


def _by_kernel(q: Tensor, k: Tensor, v: Tensor, rule: _Rule) -> Tensor:
    """One call of torch's kernel, without a mask where none is needed."""
    window, scale, *others = rule
    if window is None and others == [None, None, None] and q.shape[2] in (1, k.shape[2]):
        return F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1, scale=scale)
    mask = _mask(q, k, rule)
    if rule.sinks is not None:
        k, v = (F.pad(part, (0, 0, 1, 0)) for part in (k, v))  # the key of nothing, whose product is 0
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def _in_blocks(q: Tensor, k: Tensor, v: Tensor, rule: _Rule) -> Tensor:
    """Local attention at O(T * window): blocks of queries, each with its own keys and the `window` keys before.

    What is left over by the blocks goes first, so that every block has a whole window before it.
    """
    (B, _, T, _), S, window = q.shape, k.shape[2], rule.window or k.shape[2]
    size = min(max(window, SMALLEST_BLOCK), LARGEST_BLOCK)
    blocks = min((T - 1) // size, (S - window) // size)
    if blocks < 1:
        return _by_kernel(q, k, v, rule)
    start, reach = S - blocks * size, window + size  # of the keys of the first block, and how many each block has
    documents, of_blocks = rule.documents, None
    if documents is not None:
        of_blocks = documents[:, start - window :].unfold(1, reach, size).flatten(0, 1)
        documents = documents[:, :start]
    left_over = _by_kernel(
        q[:, :, : -blocks * size], k[:, :, :start], v[:, :, :start], rule._replace(documents=documents)
    )
    views = [q[:, :, -blocks * size :].reshape(B, -1, blocks, size, q.shape[3])]
    views += [part[:, :, start - window :].unfold(2, reach, size).transpose(3, 4) for part in (k, v)]
    queries, keys, values = (view.transpose(1, 2).flatten(0, 1) for view in views)  # B * blocks, H, T or S, K
    mixed = _by_kernel(queries, keys, values, rule._replace(documents=of_blocks)).view(B, blocks, -1, size, q.shape[3])
    return torch.cat([left_over, mixed.transpose(1, 2).flatten(2, 3)], dim=2)


@cache
def _flex_attention(compiled: bool) -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention) if compiled else flex_attention


def _by_flex(q: Tensor, k: Tensor, v: Tensor, rule: _Rule) -> Tensor:
    from torch.nn.attention.flex_attention import AuxRequest, create_block_mask

    window, scale, documents, fall, sinks = rule
    keys, earlier = k.shape[2], k.shape[2] - q.shape[2]
    rows, reach = None if documents is None else len(q), window or keys
    of = q.new_zeros(len(q), keys, dtype=torch.long) if documents is None else documents
    mask = create_block_mask(
        lambda b, _, i, j: (j <= i + earlier) & (i + earlier - j < reach) & (of[b, i + earlier] == of[b, j]),
        *(rows, None, q.shape[2], keys, q.device),
    )
    falling = None if fall is None else lambda logit, _, h, i, j: logit - fall[h] * (i + earlier - j)
    mixed, more = _flex_attention(q.is_cuda)(
        *(q, k, v, falling, mask, scale),
        enable_gqa=q.shape[1] != k.shape[1],
        return_aux=AuxRequest(lse=True),
    )
    if sinks is not None:  # `lse` is the logarithm of what the weights were divided by, without the sink
        mixed = mixed * torch.sigmoid(more.lse - sinks[:, None])[..., None].to(mixed)
    return torch.as_tensor(mixed)


def _by_flash(q: Tensor, k: Tensor, v: Tensor, rule: _Rule) -> Tensor:
    window, scale, documents, fall, sinks = rule
    if documents is not None or sinks is not None or find_spec("flash_attn") is None:
        raise UsageError("how is 'flash'; expected flash-attn installed, no documents and no sinks; 'flex' has them")
    mixed = import_module("flash_attn").flash_attn_func(
        *(part.transpose(1, 2) for part in (q, k, v)),
        softmax_scale=scale,
        causal=True,  # the queries stand at the end of the keys, as from flash-attn 2.1 on
        window_size=(-1, -1) if window is None else (window - 1, 0),
        alibi_slopes=None if fall is None else fall.float(),
    )
    return torch.as_tensor(mixed).transpose(1, 2)
