"""The shape of a model: a frozen value, and the sizes that have names. Needs no torch."""

from dataclasses import asdict, dataclass
from typing import Any

from libertas.errors import UsageError
from libertas.spelling import nearest


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A GPT-Neo style decoder: learned positions, pre-LayerNorm, alternating attention, tied embeddings.

    Source: EleutherAI's gpt-neo (2021) and its published checkpoints.
    """

    vocabulary: int
    """Token ids the model knows."""
    width: int
    """Model width, D."""
    layers: int
    """Number of blocks."""
    heads: int
    """Attention heads; each is width / heads wide."""
    context: int
    """Longest sequence, in tokens."""
    attention: tuple[str, ...] = ("global", "local")
    """Kinds of attention, repeated over the layers; GPT-Neo alternates, global first."""
    window: int = 256
    """Positions a local layer sees, the current one included (GPT-Neo: 256)."""
    expansion: int = 4
    """Width of the hidden layer of the feed-forward part, in model widths."""

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together."""
        if self.width % self.heads:
            raise UsageError(f"width is {self.width}, which {self.heads} heads do not divide; change one of them")
        unknown = set(self.attention) - {"global", "local"}
        if unknown or not self.attention:
            raise UsageError(f"attention is {self.attention}; expected a pattern of 'global' and 'local'")

    def kind_of(self, layer: int) -> str:
        """The kind of attention of a layer."""
        return self.attention[layer % len(self.attention)]

    def to_json(self) -> dict[str, Any]:
        """Plain values, as stored beside the weights."""
        return {**asdict(self), "attention": list(self.attention)}

    @staticmethod
    def from_json(record: dict[str, Any]) -> "ModelConfig":
        """The inverse of `to_json`."""
        return ModelConfig(**{**record, "attention": tuple(record["attention"])})


SIZES: dict[str, ModelConfig] = {
    # For tests: everything is exercised, nothing takes time.
    "tiny": ModelConfig(vocabulary=512, width=32, layers=2, heads=2, context=64, window=16),
    # The demo: enough tokens in three minutes on two cores. Four layers and six reach the same loss per token here,
    # and four read 1.4 times as many tokens a second (LOG.md, 2026-11-21).
    "neo-1m": ModelConfig(vocabulary=4096, width=128, layers=4, heads=4, context=256, window=64),
    "neo-10m": ModelConfig(vocabulary=8192, width=256, layers=10, heads=8, context=512, window=128),
    # Published by EleutherAI, https://huggingface.co/EleutherAI/gpt-neo-125m and its two larger siblings.
    "gpt-neo-125m": ModelConfig(vocabulary=50257, width=768, layers=12, heads=12, context=2048),
    "gpt-neo-1.3b": ModelConfig(vocabulary=50257, width=2048, layers=24, heads=16, context=2048),
    "gpt-neo-2.7b": ModelConfig(vocabulary=50257, width=2560, layers=32, heads=20, context=2048),
}


def named_size(name: str) -> ModelConfig:
    """A size by its name.

    Raises:
        UsageError: no size has this name; the nearest one is suggested.
    """
    if name not in SIZES:
        raise UsageError(f"model is {name!r}, which is not a known size; {nearest(name, SIZES)}")
    return SIZES[name]
