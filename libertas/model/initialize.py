"""Fresh weights as GPT-Neo draws them in Mesh TensorFlow: fan-in scaling, the attention scale folded into queries.

Queries have standard deviation (D * K) ** -0.5 instead of D ** -0.5, which replaces the division of the logits by
sqrt(K) (mesh-tensorflow, `attention_params_simple` with `fold_scaling_into_initializer=True`). Embeddings use 0.02 and
positions 0.01, the values of GPT-2's and GPT-Neo's code.
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

from libertas.model.config import ModelConfig

if TYPE_CHECKING:
    from libertas.model.transformer import Model

EMBEDDING_DEVIATION = 0.02
POSITION_DEVIATION = 0.01


def initialize(model: "Model", config: ModelConfig, seed: int) -> None:
    """Fill all parameters in place; the same config and seed give the same bits on a platform."""
    generator = torch.Generator().manual_seed(seed)
    width, head = config.width, config.width // config.heads

    def normal(tensor: torch.Tensor, deviation: float) -> None:
        with torch.no_grad():
            tensor.normal_(0.0, deviation, generator=generator)

    normal(model.embedding.weight, EMBEDDING_DEVIATION)
    normal(model.positions.weight, POSITION_DEVIATION)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    for block in model.each_block():
        queries, keys, values = block.attention.qkv.weight.chunk(3)
        normal(queries, (width * head) ** -0.5)
        normal(keys, width**-0.5)
        normal(values, width**-0.5)
        normal(block.attention.out.weight, width**-0.5)
        normal(block.feed_forward.up.weight, width**-0.5)
        normal(block.feed_forward.down.weight, (config.expansion * width) ** -0.5)
