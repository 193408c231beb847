"""Causal self-attention, global or within a window, with a cache of keys and values for generation.

Shapes: B batch, T queries, S keys (S >= T with a cache), H heads, G heads of keys and values, K head width, D width.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from libertas.model.attend import attend
from libertas.model.config import ModelConfig
from libertas.model.linear import Linear
from libertas.model.linear_attention import Sums, attend_linearly
from libertas.model.norm import RmsNorm
from libertas.model.positions import Turns, slopes, turned

if TYPE_CHECKING:
    from libertas.model.branches import Branches


class KeyValues:
    """Keys and values of one layer for the tokens seen so far. A local layer keeps no more than its window.

    What belongs to position p is in slot p modulo the slots.
    """

    def __init__(self, config: ModelConfig, window: int | None) -> None:
        """Empty; `window` is the layer's."""
        self.slots = min(window or config.context, config.context)
        self.length = 0
        """Tokens seen."""
        self.sums: Sums | None = None
        """What a linear layer keeps instead."""
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def extend(self, k_BGTK: Tensor, v_BGTK: Tensor) -> tuple[Tensor, Tensor]:
        """Append, and return all that the new queries may see."""
        B, G, T, K = k_BGTK.shape
        start, self.length = self.length, self.length + T
        if self._keys is None or self._values is None:
            self._keys, self._values = (k_BGTK.new_empty(B, G, self.slots, K) for _ in "kv")
        return self._seen(self._keys, k_BGTK, start), self._seen(self._values, v_BGTK, start)

    def kept(self) -> tuple[Tensor, Tensor]:
        """Keys and values of all slots, (B, G, slots, K), once there are tokens."""
        assert self._keys is not None, "an empty cache"
        assert self._values is not None, "an empty cache"
        return self._keys, self._values

    def _seen(self, kept: Tensor, new: Tensor, start: int) -> Tensor:
        slots, end = self.slots, start + new.shape[2]
        if end <= slots:
            kept[:, :, start:end] = new
            return kept[:, :, :end]
        first = max(start - slots + 1, 0)  # the next query is itself the last of its window
        earlier = torch.arange(first, start, device=new.device) % slots
        seen = torch.cat([kept[:, :, earlier], new], dim=2)
        last = torch.arange(max(start, end - slots), end, device=new.device)
        kept[:, :, last % slots] = new[:, :, last - start]
        return seen


@dataclass(frozen=True, slots=True)
class Setting:
    """What all layers share in one forward pass."""

    turns: Turns | None = None
    """Angles of rotary positions, for the queries and the new keys."""
    documents: Int[Tensor, "batch keys"] | None = None
    """Number of each key's document; a query sees only its own. None: all keys are of one document."""
    branches: "Branches | None" = None
    """What the new tokens see where they are branches of trees; None: all that is before them."""


PLAIN = Setting()


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
        self.qkv = Linear(config.width, sum(self.widths), bias=config.qkv_bias)
        self.out = Linear(heads * key_width, config.width, bias=config.out_bias)
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
            if setting.branches is not None:
                mixed_BHTK = setting.branches.attend(q, k, v, self.window, c.scale, self.fall)
            else:
                mixed_BHTK = attend(q, k, v, self.window, c.scale, documents, self.fall, self.sinks)
        out: Tensor = self.out(mixed_BHTK.transpose(1, 2).flatten(2))
        return out
