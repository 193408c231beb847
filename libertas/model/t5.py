"""An encoder-decoder: T5 1.1 (Raffel et al. 2020; https://huggingface.co/google/t5-v1_1-base).

The encoder reads a text in both directions, the decoder writes another and looks at what the encoder made of the first.
Positions are biases on the distance of query and key, learned for each head and bucket of distances; the first layer's
serve all layers. Norms are RMS norms, nothing has a bias, logits of attention are not divided, and the feed-forward
part is gated by GELU in its tanh form.

Shapes: B batch, T queries, S keys, H heads, K head width, D width.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from libertas.errors import UsageError
from libertas.model.config import ModelConfig
from libertas.model.feed_forward import FeedForward
from libertas.model.norm import RmsNorm


@dataclass(frozen=True, kw_only=True)
class T5Config:
    """The shape of an encoder-decoder."""

    vocabulary: int
    """Token ids."""
    width: int
    """Model width, D."""
    layers: int
    """Blocks of the encoder, and of the decoder."""
    heads: int
    """Attention heads."""
    head_width: int
    """Width of a head, K."""
    hidden: int
    """Hidden width of the feed-forward part."""
    buckets: int = 32
    """Of distances, for the biases."""
    farthest: int = 128
    """Distance from which all are in one bucket."""
    norm_epsilon: float = 1e-6
    """Added to the mean square."""
    tied: bool = False
    """Whether the output embedding is the input embedding; then logits are scaled by width ** -0.5 (T5 1.0)."""

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together."""
        if self.buckets < 4 or self.buckets % 4:
            raise UsageError(f"buckets is {self.buckets}; expected a multiple of 4, such as 32")
        if self.farthest <= self.buckets // 2:
            raise UsageError(f"farthest is {self.farthest}; expected more than half of the {self.buckets} buckets")

    @property
    def key_width(self) -> int:
        """As `ModelConfig` calls the width of a head."""
        return self.head_width

    @property
    def groups(self) -> int:
        """Heads of keys and values: all of them."""
        return self.heads

    def to_json(self) -> dict[str, Any]:
        """Plain values, as stored beside the weights."""
        return asdict(self)

    @staticmethod
    def from_json(record: dict[str, Any]) -> "T5Config":
        """The inverse of `to_json`.

        Raises:
            UsageError: the keys are not those of an encoder-decoder.
        """
        try:
            return T5Config(**record)
        except TypeError as error:
            raise UsageError(
                f"the shape is none of an encoder-decoder ({error}); expected that of an import"
            ) from error

    def feed_forward(self) -> ModelConfig:
        """The part of the shape that blocks share with a decoder-only model."""
        return ModelConfig(
            vocabulary=self.vocabulary,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            head_width=self.head_width,
            context=1,
            hidden=self.hidden,
            gated=True,
            feed_forward_bias=False,
        )


def buckets(distance: Int[Tensor, "queries keys"], config: T5Config, both_ways: bool) -> Int[Tensor, "queries keys"]:
    """The bucket of each distance (key minus query): half of them exact, the others wider and wider.

    Both ways, one half of the buckets is for keys after the query, the other for keys up to it; else keys after the
    query share the bucket of distance 0 (mesh-tensorflow's `_relative_position_bucket`).
    """
    count = config.buckets // 2 if both_ways else config.buckets
    after = (distance > 0).long() * count if both_ways else torch.zeros_like(distance)
    far = distance.abs() if both_ways else (-distance).clamp(min=0)
    exact = count // 2
    steps = (far.float().clamp(min=1) / exact).log() / math.log(config.farthest / exact) * (count - exact)
    wide = (exact + steps.long()).clamp(max=count - 1)
    return after + torch.where(far < exact, far, wide)


class Positions(nn.Module):
    """Biases on distances, one for each bucket and head."""

    def __init__(self, config: T5Config, both_ways: bool) -> None:
        """`both_ways` in the encoder."""
        super().__init__()
        self.config, self.both_ways = config, both_ways
        self.weight = nn.Parameter(torch.zeros(config.buckets, config.heads))

    def forward(self, queries: int, keys: int) -> Float[Tensor, "heads queries keys"]:
        """Biases of the last `queries` of `keys` positions."""
        distance = torch.arange(keys)[None, :] - torch.arange(keys - queries, keys)[:, None]
        return self.weight[buckets(distance, self.config, self.both_ways)].permute(2, 0, 1)


class CrossOrSelf(nn.Module):
    """Attention of queries to keys that come from the same text or from another."""

    def __init__(self, config: T5Config) -> None:
        """Four matrices without biases."""
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.query, self.key, self.value = (nn.Linear(config.width, inner, bias=False) for _ in "qkv")
        self.out = nn.Linear(inner, config.width, bias=False)

    def keys_and_values(self, x: Float[Tensor, "batch keys width"]) -> tuple[Tensor, Tensor]:
        """Of a text, by head."""
        key, value = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.key, self.value))
        return key, value

    def forward(
        self, x: Float[Tensor, "batch queries width"], k_BHSK: Tensor, v_BHSK: Tensor, bias: Tensor
    ) -> Float[Tensor, "batch queries width"]:
        """Mix values; `bias` broadcasts to (B, H, T, S) and is minus infinity where nothing may be seen."""
        q_BHTK = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, attn_mask=bias, scale=1.0)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


@dataclass(slots=True)
class T5Cache:
    """What the decoder keeps while it writes: its own keys and values by layer, and those of the encoder's text."""

    own: list[tuple[Tensor, Tensor]]
    other: list[tuple[Tensor, Tensor]]

    @property
    def length(self) -> int:
        """Tokens that were written."""
        return self.own[0][0].shape[2] if self.own else 0


class T5Block(nn.Module):
    """Self-attention, in the decoder attention to the encoder's text, and feed-forward."""

    def __init__(self, config: T5Config, decodes: bool) -> None:
        """`decodes` in the decoder."""
        super().__init__()
        shape = config.feed_forward()
        self.norm_self, self.self_attention = RmsNorm(config.width, config.norm_epsilon), CrossOrSelf(config)
        self.norm_cross = RmsNorm(config.width, config.norm_epsilon) if decodes else None
        self.cross_attention = CrossOrSelf(config) if decodes else None
        self.norm_feed_forward, self.feed_forward = RmsNorm(config.width, config.norm_epsilon), FeedForward(shape)

    def attend_self(
        self, x: Tensor, bias: Tensor, before: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The stream after self-attention, and all keys and values so far."""
        normed = self.norm_self(x)
        k, v = self.self_attention.keys_and_values(normed)
        if before is not None:
            k, v = torch.cat([before[0], k], dim=2), torch.cat([before[1], v], dim=2)
        return x + self.self_attention(normed, k, v, bias), k, v

    def forward(self, x: Tensor, other: tuple[Tensor, Tensor] | None, unseen: Tensor) -> Tensor:
        """The rest of the block; `unseen` hides padding of the encoder's text."""
        if self.cross_attention is not None and self.norm_cross is not None and other is not None:
            x = x + self.cross_attention(self.norm_cross(x), *other, unseen)
        out: Tensor = x + self.feed_forward(self.norm_feed_forward(x))
        return out


class T5(nn.Module):
    """Tokens of one text in, logits of the next token of another out."""

    def __init__(self, config: T5Config) -> None:
        """Fresh weights as torch draws them; they are meant to be loaded."""
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.encoder, self.decoder = (
            nn.ModuleList(T5Block(config, decodes) for _ in range(config.layers)) for decodes in (False, True)
        )
        self.encoder_positions, self.decoder_positions = Positions(config, True), Positions(config, False)
        self.encoder_norm, self.decoder_norm = (RmsNorm(config.width, config.norm_epsilon) for _ in "ed")
        self.logits = None if config.tied else nn.Linear(config.width, config.vocabulary, bias=False)

    def encode(
        self, tokens: Int[Tensor, "batch keys"], present: Bool[Tensor, "batch keys"] | None = None
    ) -> Float[Tensor, "batch keys width"]:
        """What the encoder makes of a text; `present` is false where a row is padded."""
        x, unseen = self.embedding(tokens), _hidden(present)
        bias = self.encoder_positions(tokens.shape[1], tokens.shape[1]) + unseen
        for block in self.encoder:
            assert isinstance(block, T5Block), type(block)
            x, _, _ = block.attend_self(x, bias, None)
            x = block(x, None, unseen)
        out: Tensor = self.encoder_norm(x)
        return out

    def new_cache(self, encoded: Float[Tensor, "batch keys width"]) -> T5Cache:
        """Keys and values of the encoder's text for every layer, computed once."""
        parts = [block.cross_attention for block in self.decoder if isinstance(block, T5Block)]
        return T5Cache([], [part.keys_and_values(encoded) for part in parts if part is not None])

    def decode(
        self,
        tokens: Int[Tensor, "batch queries"],
        cache: T5Cache,
        present: Bool[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "batch queries vocabulary"]:
        """Logits of the token after each of `tokens`, which continue what the cache holds; it is filled."""
        start, x = cache.length, self.embedding(tokens)
        end = start + tokens.shape[1]
        future = torch.ones(tokens.shape[1], end, dtype=torch.bool).triu(start + 1)
        bias = self.decoder_positions(tokens.shape[1], end).masked_fill(future, -torch.inf)
        unseen, own = _hidden(present), []
        for layer, block in enumerate(self.decoder):
            assert isinstance(block, T5Block), type(block)
            x, k, v = block.attend_self(x, bias, cache.own[layer] if cache.own else None)
            own.append((k, v))
            x = block(x, cache.other[layer], unseen)
        cache.own = own
        x = self.decoder_norm(x)
        if self.logits is None:
            return F.linear(x * self.config.width**-0.5, self.embedding.weight)
        out: Tensor = self.logits(x)
        return out

    def forward(
        self,
        tokens: Int[Tensor, "batch keys"],
        target: Int[Tensor, "batch queries"],
        present: Bool[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "batch queries vocabulary"]:
        """Logits of the token after each of `target`, given the whole of `tokens`."""
        return self.decode(target, self.new_cache(self.encode(tokens, present)), present)


def _hidden(present: Tensor | None) -> Tensor:
    """What is added to the logits of attention so that padding is not seen; broadcasts to (B, H, T, S)."""
    if present is None:
        return torch.zeros(1, 1, 1, 1)
    return torch.zeros(present.shape).masked_fill(~present, -torch.inf)[:, None, None, :]


@torch.no_grad()
def write_greedily(
    model: T5,
    tokens: Int[Tensor, "batch keys"],
    count: int,
    start: int,
    end: int,
    present: Bool[Tensor, "batch keys"] | None = None,
) -> list[list[int]]:
    """The likeliest next token, again and again, for each row: at most `count`, up to `end`, which is left out."""
    cache = model.new_cache(model.encode(tokens, present))
    unread = torch.full((len(tokens), 1), start)
    written: list[list[int]] = [[] for _ in tokens]
    done = [False] * len(written)
    for _ in range(count):
        unread = model.decode(unread, cache, present)[:, -1:].argmax(-1)
        for row, token in enumerate(unread[:, 0].tolist()):
            done[row] = done[row] or token == end
            if not done[row]:
                written[row].append(token)
        if all(done):
            break
    return written
