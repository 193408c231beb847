"""Causal self-attention, global or within a window, with a cache of keys and values for generation.

Shapes: B batch, T queries, S keys (S >= T with a cache), H heads, G heads of keys and values, K head width, D width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from libertas.model.config import ModelConfig
from libertas.model.linear_attention import Sums, attend_linearly
from libertas.model.norm import RmsNorm
from libertas.model.positions import Turns, slopes, turned


class KeyValues:
    """Keys and values of one layer for the tokens seen so far. A local layer keeps no more than its window needs."""

    def __init__(self, config: ModelConfig, window: int | None) -> None:
        """Empty; `window` is the layer's."""
        self.context, self.window = config.context, window
        self.length = 0
        """Tokens seen."""
        self.sums: Sums | None = None
        """What a linear layer keeps instead."""
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def extend(self, k_BGTK: Tensor, v_BGTK: Tensor) -> tuple[Tensor, Tensor]:
        """Append, and return all that the new queries may see."""
        start, self.length = self.length, self.length + k_BGTK.shape[2]
        if self.window is not None and self.window < self.context:
            return self._slide(k_BGTK, v_BGTK)
        if self._keys is None or self._values is None:
            B, G, _, K = k_BGTK.shape
            self._keys, self._values = (k_BGTK.new_empty(B, G, self.context, K) for _ in "kv")
        self._keys[:, :, start : self.length] = k_BGTK
        self._values[:, :, start : self.length] = v_BGTK
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]

    def _slide(self, k_BGTK: Tensor, v_BGTK: Tensor) -> tuple[Tensor, Tensor]:
        if self._keys is not None and self._values is not None:
            k_BGTK, v_BGTK = torch.cat([self._keys, k_BGTK], dim=2), torch.cat([self._values, v_BGTK], dim=2)
        kept = (self.window or self.context) - 1  # the next query is itself the last of its window
        first = max(k_BGTK.shape[2] - kept, 0)
        self._keys, self._values = k_BGTK[:, :, first:].clone(), v_BGTK[:, :, first:].clone()
        return k_BGTK, v_BGTK


@dataclass(frozen=True, slots=True)
class Setting:
    """What all layers share in one forward pass."""

    turns: Turns | None = None
    """Angles of rotary positions, for the queries and the new keys."""
    documents: Int[Tensor, "batch keys"] | None = None
    """Number of each key's document; a query sees only its own. None: all keys are of one document."""


PLAIN = Setting()


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


class Attention(nn.Module):
    """Attention of one layer. Queries, keys and values come from one matrix, in that order."""

    fall: Tensor | None

    def __init__(self, config: ModelConfig, layer: int) -> None:
        """Build for a layer, whose number decides the kind of attention."""
        super().__init__()
        self.config = config
        self.window, self.linear = config.window_of(layer), config.kind_of(layer) == "linear"
        heads, groups, key_width = config.heads, config.groups, config.key_width
        self.widths = (heads * key_width, groups * key_width, groups * key_width)
        self.qkv = nn.Linear(config.width, sum(self.widths), bias=config.qkv_bias)
        self.out = nn.Linear(heads * key_width, config.width, bias=config.out_bias)
        self.norms = (
            nn.ModuleList(RmsNorm(key_width, config.norm_epsilon) for _ in "qk") if config.query_key_norm else None
        )
        self.sinks = nn.Parameter(torch.zeros(heads)) if config.sinks else None
        fall = slopes(heads) if config.positions == "alibi" else None
        self.register_buffer("fall", fall, persistent=False)

    def forward(
        self,
        x: Float[Tensor, "batch time width"],
        cache: KeyValues | None = None,
        setting: Setting = PLAIN,
    ) -> Float[Tensor, "batch time width"]:
        """Mix information over positions; with a cache, `x` holds only the new ones."""
        c = self.config
        q, k, v = (
            part.unflatten(-1, (-1, c.key_width)).transpose(1, 2) for part in self.qkv(x).split(self.widths, dim=-1)
        )
        if self.norms is not None:
            q, k = self.norms[0](q), self.norms[1](k)
        if setting.turns is not None:
            q, k = (turned(part, setting.turns, c.rotary_pairs) for part in (q, k))
        if cache is not None and not self.linear:
            k, v = cache.extend(k, v)
        if c.groups != c.heads:
            k, v = (part.repeat_interleave(c.heads // c.groups, dim=1) for part in (k, v))
        documents = setting.documents
        if documents is not None:
            documents = documents[:, -k.shape[2] :]  # a local layer has forgotten the earlier ones
        if self.linear:
            mixed_BHTK, sums = attend_linearly(q, k, v, cache.sums if cache else None, documents)
            if cache is not None:
                cache.sums, cache.length = sums, cache.length + x.shape[1]
        else:
            mixed_BHTK = attend(q, k, v, self.window, c.scale, documents, self.fall, self.sinks)
        out: Tensor = self.out(mixed_BHTK.transpose(1, 2).flatten(2))
        return out
