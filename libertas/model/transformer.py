"""The transformer: embeddings, blocks, logits. B batch, T time, D width, V vocabulary."""

from collections.abc import Iterator

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from libertas.model.attention import Attention, KeyValues
from libertas.model.config import ModelConfig
from libertas.model.initialize import initialize

NORM_EPSILON = 1e-5
"""LayerNorm's epsilon in GPT-Neo's published configurations."""

Cache = list[KeyValues]


class FeedForward(nn.Module):
    """Two linear layers around GELU in its tanh form, as GPT-Neo (`gelu_new`)."""

    def __init__(self, config: ModelConfig) -> None:
        """Hidden width is `expansion` times the model's."""
        super().__init__()
        self.up = nn.Linear(config.width, config.expansion * config.width)
        self.down = nn.Linear(config.expansion * config.width, config.width)

    def forward(self, x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        """Apply to every position alone."""
        out: Tensor = self.down(F.gelu(self.up(x), approximate="tanh"))
        return out


class Block(nn.Module):
    """Attention, then feed-forward, each after a LayerNorm and added to the residual stream."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        """Build the block of a layer."""
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.width, eps=NORM_EPSILON)
        self.attention = Attention(config, layer)
        self.norm_feed_forward = nn.LayerNorm(config.width, eps=NORM_EPSILON)
        self.feed_forward = FeedForward(config)

    def forward(
        self, x: Float[Tensor, "batch time width"], cache: KeyValues | None = None
    ) -> Float[Tensor, "batch time width"]:
        """One step of the residual stream."""
        x = x + self.attention(self.norm_attention(x), cache)
        x = x + self.feed_forward(self.norm_feed_forward(x))
        return x


class Model(nn.Module):
    """A language model: tokens in, logits of the next token out."""

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        """Build with fresh weights that depend only on the config and the seed."""
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Embedding(config.context, config.width)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPSILON)
        initialize(self, config, seed)

    def hidden(
        self, tokens: Int[Tensor, "batch time"], cache: Cache | None = None
    ) -> Float[Tensor, "batch time width"]:
        """The residual stream after the last block and its norm; with a cache, `tokens` continue what it holds."""
        start = cache[0].length if cache else 0
        x = self.embedding(tokens) + self.positions.weight[start : start + tokens.shape[1]]
        for layer, block in enumerate(self.blocks):
            x = block(x, cache[layer] if cache else None)
        out: Tensor = self.norm(x)
        return out

    def forward(
        self, tokens: Int[Tensor, "batch time"], cache: Cache | None = None
    ) -> Float[Tensor, "batch time vocabulary"]:
        """Logits of the token after each position; the output embedding is the input embedding (tied)."""
        return F.linear(self.hidden(tokens, cache), self.embedding.weight)

    def loss(
        self, tokens: Int[Tensor, "batch time"], targets: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time"]:
        """Negative natural-log probability of each target, not averaged."""
        logits = self(tokens)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)

    def each_block(self) -> Iterator[Block]:
        """The blocks, first to last, with their type."""
        for block in self.blocks:
            assert isinstance(block, Block), type(block)
            yield block

    def new_cache(self, batch: int) -> Cache:
        """An empty cache of keys and values for `batch` sequences."""
        return [KeyValues(batch, self.config) for _ in self.blocks]

    def parameter_count(self) -> int:
        """Trainable numbers; the tied embedding counts once."""
        return sum(p.numel() for p in self.parameters())
