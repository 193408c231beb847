"""Fresh weights, drawn as the published codes draw them.

`neo`, Mesh TensorFlow's fan-in: queries have standard deviation (D * K) ** -0.5 instead of D ** -0.5, which replaces
the division of the logits by sqrt(K) (`attention_params_simple` with `fold_scaling_into_initializer=True`). Embeddings
use 0.02 and positions 0.01, the values of GPT-2's and GPT-Neo's code.
`gpt2`: 0.02 everywhere, 0.02 / sqrt(2 L) for what is added to the residual stream (Radford et al. 2019, section 2.3).
`neox`: sqrt(2 / (5 D)) everywhere (small_init, Nguyen and Salazar 2019), 2 / (L sqrt(D)) for what is added to the
stream (wang_init, Wang and Komatsuzaki 2021); both as in GPT-NeoX.
`mup`: `neo`, whose matrices already have the fan-in variance of Yang et al. 2022, table 8; logits are multiplied by
base width / width, which here is where the weights of the last norm start (see `mup.py`).
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

from libertas.model.config import ModelConfig
from libertas.model.experts import Experts

if TYPE_CHECKING:
    from libertas.model.transformer import Model

EMBEDDING_DEVIATION = 0.02
POSITION_DEVIATION = 0.01


def initialize(model: "Model", config: ModelConfig, seed: int) -> None:
    """Fill all parameters in place; the same config and seed give the same bits on a platform."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor: torch.Tensor, deviation: float) -> None:
        with torch.no_grad():
            tensor.normal_(0.0, deviation, generator=generator)

    inner, outer = _deviations(config)
    normal(model.embedding.weight, outer)
    if model.positions is not None:
        normal(model.positions.weight, POSITION_DEVIATION)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    for block in model.each_block():
        queries, keys, values = torch.split(block.attention.qkv.weight, list(block.attention.widths))
        normal(queries, inner["queries"])
        normal(keys, inner["in"])
        normal(values, inner["in"])
        normal(block.attention.out.weight, inner["attention out"])
        part = block.feed_forward
        if isinstance(part, Experts):
            normal(part.router.weight, inner["router"])
            normal(part.up, inner["in"])
            normal(part.down, inner["feed-forward out"])
        else:
            normal(part.up.weight, inner["in"])
            normal(part.down.weight, inner["feed-forward out"])
    if model.logits is not None:
        normal(model.logits.weight, outer)
    if config.initialization == "mup":
        nn.init.constant_(model.get_parameter("norm.weight"), config.base_width / config.width)


def _deviations(config: ModelConfig) -> tuple[dict[str, float], float]:
    """Standard deviations of the matrices inside the blocks, by where they lead, and of the embeddings."""
    width = config.width
    if config.initialization in ("neo", "mup"):
        folded = config.initialization == "neo" or config.attention_scale is not None
        return {
            "queries": (width * config.key_width) ** -0.5 if folded else width**-0.5,
            "in": width**-0.5,
            "router": width**-0.5 if config.initialization == "neo" else config.base_width**0.5 / width,
            "attention out": (config.heads * config.key_width) ** -0.5,
            "feed-forward out": config.hidden_width**-0.5,
        }, EMBEDDING_DEVIATION
    if config.initialization == "gpt2":
        every, out = EMBEDDING_DEVIATION, EMBEDDING_DEVIATION / (2 * config.layers) ** 0.5
    else:
        every, out = (2 / (5 * width)) ** 0.5, 2 / (config.layers * width**0.5)
    return {"queries": every, "in": every, "router": every, "attention out": out, "feed-forward out": out}, every
