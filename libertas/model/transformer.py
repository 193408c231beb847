"""The transformer: embeddings, blocks, logits. B batch, T time, D width, V vocabulary."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from libertas.model.attention import PLAIN, Attention, KeyValues, Setting
from libertas.model.branches import Branches
from libertas.model.config import ModelConfig
from libertas.model.cost import position_rows
from libertas.model.experts import BALANCE_WEIGHT, Z_WEIGHT, Experts, Routing
from libertas.model.feed_forward import FeedForward
from libertas.model.initialize import initialize
from libertas.model.linear import Linear, linear
from libertas.model.norm import norm_of
from libertas.model.positions import turns, waves

Cache = list[KeyValues]


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and added to the residual stream."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        """Build the block of a layer."""
        super().__init__()
        self.parallel = config.residual != "sequential"
        self.norm_attention = norm_of(config)
        self.attention = Attention(config, layer)
        # GPT-NeoX has two norms where one was meant, "due to a bug" that was kept (its code); GPT-J has one.
        self.norm_feed_forward = None if config.residual == "parallel, one norm" else norm_of(config)
        self.feed_forward: FeedForward | Experts = Experts(config) if config.experts else FeedForward(config)

    def forward(
        self, x: Float[Tensor, "batch time width"], cache: KeyValues | None = None, setting: Setting = PLAIN
    ) -> Float[Tensor, "batch time width"]:
        """One step of the residual stream."""
        normed = self.norm_attention(x)
        mixed = self.attention(normed, cache, setting)
        if not self.parallel:
            x = x + mixed
        if self.norm_feed_forward is not None:
            normed = self.norm_feed_forward(x)
        out: Tensor = x + self.feed_forward(normed)
        return out + mixed if self.parallel else out


class Model(nn.Module):
    """A language model: tokens in, logits of the next token out."""

    def __init__(self, config: ModelConfig, seed: int | None = 0) -> None:
        """Build with fresh weights that depend only on the config and the seed; without a seed, they are not drawn."""
        super().__init__()
        self.config = config
        self.precision: torch.dtype | None = None
        """Of activations, and of weights as they are used; None: as the weights are kept."""
        self.recompute = False
        """Whether the activations inside blocks are computed again on the way back instead of kept."""
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Embedding(position_rows(config), config.width) if position_rows(config) else None
        self.embedding_norm = norm_of(config) if config.embedding_norm else None
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = norm_of(config)
        self.logits = None if config.tied else Linear(config.width, config.vocabulary, bias=config.logits_bias)
        if seed is not None:
            initialize(self, config, seed)

    def hidden(
        self,
        tokens: Int[Tensor, "batch time"],
        cache: Cache | None = None,
        documents: Int[Tensor, "batch keys"] | None = None,
        branches: Branches | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """The residual stream after the last block and its norm.

        Args:
            tokens: token ids; with a cache, they continue what it holds.
            cache: of `new_cache`; it is filled.
            documents: number of each token's document, of those in the cache as well: tokens see only their own
                document, and their positions count from its start. Padding is a document, too.
            branches: where the tokens stand if they are branches of trees over what the cache holds.
        """
        start = cache[0].length if cache else 0
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        if documents is not None:
            positions = _within_documents(documents)[:, start:]
        if branches is not None:
            positions = branches.depths
        x = self.embed(tokens, positions)
        angles = turns(self.config, positions) if self.config.positions == "rotary" else None
        setting = Setting(turns=angles, documents=documents, branches=branches)
        for layer, block in enumerate(self.blocks):
            if self.recompute and cache is None and torch.is_grad_enabled():
                x = checkpoint(block, x, None, setting, use_reentrant=False, preserve_rng_state=False)
            else:
                x = block(x, cache[layer] if cache else None, setting)
        out: Tensor = self.norm(x)
        return out

    def embed(
        self, tokens: Int[Tensor, "batch time"], positions: Int[Tensor, "*batch time"]
    ) -> Float[Tensor, "batch time width"]:
        """What the first block reads of tokens at some positions."""
        x: Tensor = self.embedding(tokens)
        if self.positions is not None and self.config.positions == "axial":
            row = positions // self.config.axial_columns
            column = positions % self.config.axial_columns - self.config.axial_columns  # from the end of the table
            x = x + (self.positions(row) + self.positions.weight[column]) / 2
        elif self.positions is not None:
            x = x + self.positions(positions)
        elif self.config.positions == "sinusoidal":
            x = x + waves(positions.flatten(), self.config.width).view(*positions.shape, -1)
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        return x if self.precision is None else x.to(self.precision)

    def unembed(self, hidden: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch vocabulary"]:
        """Logits of the next token; where the embeddings are tied, by the input embedding."""
        return linear(hidden, *self.unembedding())

    def unembedding(self) -> tuple[Float[Tensor, "vocabulary width"], Float[Tensor, " vocabulary"] | None]:
        """The matrix and the bias that make logits of the hidden state."""
        return (self.embedding.weight, None) if self.logits is None else (self.logits.weight, self.logits.bias)

    def forward(
        self,
        tokens: Int[Tensor, "batch time"],
        cache: Cache | None = None,
        documents: Int[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "batch time vocabulary"]:
        """Logits of the token after each position; the arguments are those of `hidden`."""
        return self.unembed(self.hidden(tokens, cache, documents))

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

    def routings(self) -> list[Routing]:
        """How the routers of a mixture of experts shared out the last forward pass, layer by layer; else empty."""
        parts = (block.feed_forward for block in self.each_block())
        return [part.routing for part in parts if isinstance(part, Experts) and part.routing is not None]

    def router_loss(self) -> Tensor | None:
        """What training adds for the routers of a mixture of experts, mean over the layers; None without one."""
        found = self.routings()
        if not found:
            return None
        return torch.stack([BALANCE_WEIGHT * r.balance + Z_WEIGHT * r.z for r in found]).mean()

    def new_cache(self) -> Cache:
        """An empty cache of keys and values, for as many sequences as the first tokens have."""
        return [KeyValues(self.config, self.config.window_of(layer)) for layer in range(self.config.layers)]

    def parameter_count(self) -> int:
        """Trainable numbers; the tied embedding counts once."""
        return sum(p.numel() for p in self.parameters())


def _within_documents(documents: Int[Tensor, "batch keys"]) -> Int[Tensor, "batch keys"]:
    """Positions that count from the start of each run of equal numbers."""
    here = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    begins = torch.ones_like(documents, dtype=torch.bool)
    begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
    return here - torch.where(begins, here, 0).cummax(dim=1).values
