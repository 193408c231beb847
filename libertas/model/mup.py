"""muP: widths whose best learning rates are the same (Yang et al. 2022, "Tensor Programs V", table 8, under Adam).

A matrix inside a block reads as many numbers as the model is wide, so Adam's equal steps add up: its learning rate is
multiplied by base width / width, and so are the logits. The table multiplies logits in the forward pass; here the
weights of the last norm start at base width / width and learn by as much less, which under Adam is the same, and keeps
the forward pass that of the published classes. Attention divides by the head width and not by its root where heads get
wider (`ModelConfig.base_head_width`). Embeddings, biases and the other norms learn alike at all widths. All other
widths (heads, hidden layers) are meant to grow as the model's does.
"""

from libertas.model.config import ModelConfig

SCALED = (
    "qkv.weight",
    "out.weight",
    "router.weight",
    "up.weight",
    "down.weight",
    "feed_forward.up",
    "feed_forward.down",
)
"""Ends of the names of what reads the width of the model: all of it stands in the blocks."""


def learning_rate_multiplier(config: ModelConfig, name: str) -> float:
    """Factor on the learning rate of a parameter under Adam, by the name that `Model.named_parameters` has for it.

    It is 1 for all of them unless `config.initialization` is `mup`.
    """
    inside = name.startswith("blocks.") and name.endswith(SCALED)
    if config.initialization == "mup" and (inside or name in ("norm.weight", "norm.bias")):
        return config.base_width / config.width
    return 1.0
