"""The shape of a model: a frozen value. Needs no torch. Sizes that have names are in `sizes.py`."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from libertas.errors import UsageError
from libertas.spelling import nearest

CHOICES: dict[str, tuple[str, ...]] = {
    "positions": ("learned", "axial", "rotary", "alibi", "sinusoidal", "none"),
    "rotary_pairs": ("halves", "neighbours"),
    "norm": ("layer", "rms"),
    "residual": ("sequential", "parallel", "parallel, one norm"),
    "activation": ("gelu", "gelu_tanh", "relu2", "silu"),
    "initialization": ("neo", "gpt2", "neox", "mup"),
}
"""What the fields of `ModelConfig` that name something may say."""
SIZES_OF_A_MODEL = ("vocabulary", "width", "layers", "heads", "context")
"""Fields without which there is no model."""
T5_MARK = "farthest"
"""The field that tells an encoder-decoder's shape (`t5.py`) from those of this file."""
ATTENTION_KINDS = ("global", "local", "linear")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A decoder-only transformer. What is not named is as in GPT-Neo (EleutherAI 2021)."""

    vocabulary: int
    """Token ids the model knows."""
    width: int
    """Model width, D."""
    layers: int
    """Number of blocks."""
    heads: int
    """Attention heads."""
    context: int
    """Longest sequence, in tokens."""
    key_heads: int | None = None
    """Heads of keys and values, each shared by heads / key_heads queries (Ainslie et al. 2023); None: one for each
    query head. 1 is multi-query attention (Shazeer 2019)."""
    head_width: int | None = None
    """Width of a head; None: width / heads."""
    attention: tuple[str, ...] = ("global", "local")
    """Kinds of attention, repeated over the layers: `global`, `local` (a window), `linear` (sums instead of a table;
    Shen et al. 2018). GPT-Neo alternates global and local, global first."""
    window: int = 256
    """Positions a local layer sees, the current one included (GPT-Neo: 256)."""
    attention_scale: float | None = 1.0
    """Factor on the products of queries and keys; None: 1 / sqrt(head width), or sqrt(base_head_width) / head width
    with one. GPT-Neo has none: it folds the division into how queries are drawn."""
    sinks: bool = False
    """Whether each head has a learned logit in its softmax that stands for no token, so that it may attend to nothing
    (OpenAI 2025, gpt-oss)."""
    query_key_norm: bool = False
    """Whether queries and keys are RMS-normalized in each head, with a weight (Henry et al. 2020)."""
    positions: str = "learned"
    """`learned`, `axial` (a vector for the row of `axial_columns` positions that a token stands in, and one for its
    column; GPT-Neo), `rotary` (Su et al. 2021), `alibi` (Press et al. 2022), `sinusoidal` (Vaswani et al. 2017) or
    `none`."""
    axial_columns: int = 32
    """Positions in a row of axial positions."""
    rotary_share: float = 1.0
    """Share of each head that rotary positions turn, from its start (GPT-NeoX-20B: 0.25)."""
    rotary_base: float = 10_000.0
    """Base of the wavelengths of rotary positions."""
    rotary_pairs: str = "halves"
    """Which two numbers turn together: one from each of two `halves` (GPT-NeoX, Llama), or `neighbours` (GPT-J)."""
    norm: str = "layer"
    """`layer` (Ba et al. 2016) or `rms` (Zhang and Sennrich 2019)."""
    norm_epsilon: float = 1e-5
    """Added to the variance."""
    embedding_norm: bool = False
    """Whether embeddings are normalized before the first block (BLOOM)."""
    residual: str = "sequential"
    """Where the feed-forward part reads: after attention (`sequential`), or beside it (`parallel`, Wang and Komatsuzaki
    2021), behind a norm of its own (GPT-NeoX, whose two norms were meant to be one) or with `one norm` (GPT-J)."""
    hidden: int | None = None
    """Width of the hidden layer of the feed-forward part; None: four model widths."""
    activation: str = "gelu_tanh"
    """`gelu` (by the error function), `gelu_tanh` (GPT-2's approximation), `relu2` (So et al. 2021), `silu`."""
    gated: bool = False
    """Whether the activation multiplies a second projection (Shazeer 2020); with `silu` this is SwiGLU."""
    experts: int = 0
    """Feed-forward parts in a layer, of which each token is read by a few (Shazeer et al. 2017); 0 for one of all."""
    experts_per_token: int = 2
    """How many experts read a token."""
    expert_capacity: float = 0.0
    """In training, most tokens that an expert reads, in shares of what it would read if all were used alike (GShard,
    Lepikhin et al. 2020: 1.25 or 2); the others pass it by. 0 for no limit, as always outside training."""
    qkv_bias: bool = False
    """Whether queries, keys and values have biases."""
    out_bias: bool = True
    """Whether the output of attention has a bias."""
    feed_forward_bias: bool = True
    """Whether the feed-forward part has biases."""
    logits_bias: bool = False
    """Whether logits have a bias (GPT-J)."""
    tied: bool = True
    """Whether the output embedding is the input embedding."""
    initialization: str = "neo"
    """How fresh weights are drawn: `neo` (Mesh TensorFlow's fan-in, with the attention scale folded in), `gpt2` (0.02,
    divided by sqrt(2 layers) on the way back into the residual stream), `neox` (small_init and wang_init), `mup` (as
    `neo` at the base width, and so at others that learning rates found there hold; Yang et al. 2022)."""
    base_width: int = 256
    """Width at which `mup` changes nothing."""
    base_head_width: int | None = None
    """Head width at which queries and keys are multiplied as usual, where models get wider heads and not more of them;
    `mup` wants a factor that falls as 1 / head width and not as its root. None: that of this model."""

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit together."""
        for name in (*SIZES_OF_A_MODEL, "window", "axial_columns", "key_width", "hidden_width", "base_width"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.head_width is None and self.width % self.heads:
            raise UsageError(f"width is {self.width}, which {self.heads} heads do not divide; change one of them")
        if self.heads % self.groups:
            raise UsageError(f"heads is {self.heads}, which {self.groups} key_heads do not divide; change one of them")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UsageError(f"{name} is {getattr(self, name)!r}; {nearest(getattr(self, name), known)}")
        if self.base_head_width is not None and (self.base_head_width < 1 or self.attention_scale is not None):
            raise UsageError(
                f"base_head_width is {self.base_head_width} with an attention_scale of {self.attention_scale}; "
                "expected 1 or more, and no attention_scale"
            )
        if set(self.attention) - set(ATTENTION_KINDS) or not self.attention:
            raise UsageError(f"attention is {self.attention}; expected a pattern of {', '.join(ATTENTION_KINDS)}")
        if "linear" in self.attention and self.positions == "alibi":
            raise UsageError("positions is 'alibi', which is added to a table that linear attention does not have")
        if self.experts and (self.feed_forward_bias or not 1 <= self.experts_per_token <= self.experts):
            raise UsageError(
                f"experts is {self.experts} with {self.experts_per_token} per token; expected at least as many, and "
                "feed_forward_bias = false"
            )
        if not 0 <= self.expert_capacity < float("inf"):
            raise UsageError(f"expert_capacity is {self.expert_capacity}; expected 0 for no limit, or such as 1.25")
        if self.positions == "rotary" and (self.rotary_width not in range(2, self.key_width + 1, 2)):
            raise UsageError(
                f"rotary_share is {self.rotary_share}, which turns {self.rotary_width} of {self.key_width} numbers of "
                "a head; expected an even number of 2 or more, and no more than there are"
            )

    @property
    def key_width(self) -> int:
        """Width of a head, K."""
        return self.head_width or self.width // self.heads

    @property
    def groups(self) -> int:
        """Heads of keys and values, G."""
        return self.key_heads or self.heads

    @property
    def hidden_width(self) -> int:
        """Width of the hidden layer of the feed-forward part, F."""
        return self.hidden or 4 * self.width

    @property
    def rotary_width(self) -> int:
        """Numbers of a head that rotary positions turn."""
        return int(self.key_width * self.rotary_share)

    @property
    def scale(self) -> float:
        """Factor on the products of queries and keys."""
        if self.attention_scale is None and self.base_head_width is not None:
            return math.sqrt(self.base_head_width) / self.key_width
        return self.key_width**-0.5 if self.attention_scale is None else self.attention_scale

    def kind_of(self, layer: int) -> str:
        """The kind of attention of a layer."""
        return self.attention[layer % len(self.attention)]

    def window_of(self, layer: int) -> int | None:
        """Positions that a layer sees, the current one included; None for all."""
        return self.window if self.kind_of(layer) == "local" else None

    def to_json(self) -> dict[str, Any]:
        """Plain values, as stored beside the weights."""
        return {**asdict(self), "attention": list(self.attention)}

    @staticmethod
    def from_json(record: dict[str, Any]) -> "ModelConfig":
        """The inverse of `to_json`.

        Raises:
            UsageError: a key is unknown, or a needed one is missing.
        """
        if T5_MARK in record:
            raise UsageError("the model is an encoder-decoder (T5); expected one that continues texts")
        known = {f.name for f in fields(ModelConfig)}
        for key in record:
            if key not in known:
                raise UsageError(f"a model has no setting {key!r}; {nearest(key, known)}")
        for key in SIZES_OF_A_MODEL:
            if key not in record:
                raise UsageError(f"the shape of a model lacks {key}; expected a whole number")
        return ModelConfig(**{**record, "attention": tuple(record.get("attention", ("global", "local")))})
