"""Norms: LayerNorm and RMS norm; weights in float32 are cast to the precision of what they multiply."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from libertas.model.config import ModelConfig


class RmsNorm(nn.Module):
    """Divide by the root of the mean square, and multiply by a weight (Zhang and Sennrich 2019).

    The division is done in float32, and the weight multiplies afterwards, as in Llama's published code.
    """

    def __init__(self, width: int, epsilon: float) -> None:
        """A weight of ones."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Normalize the last dimension."""
        if x.dtype == torch.float32:
            return nn.functional.rms_norm(x, self.weight.shape, self.weight, self.epsilon)
        inverse = torch.rsqrt(x.float().square().mean(-1, keepdim=True) + self.epsilon)
        return self.weight.to(x.dtype) * (x.float() * inverse).to(x.dtype)


class LayerNorm(nn.LayerNorm):
    """As torch has it; means and variances are float32 whatever the input is."""

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Normalize the last dimension."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return nn.functional.layer_norm(x, self.normalized_shape, weight, bias, self.eps)


def norm_of(config: ModelConfig) -> nn.Module:
    """A fresh norm of the model's width."""
    if config.norm == "rms":
        return RmsNorm(config.width, config.norm_epsilon)
    return LayerNorm(config.width, eps=config.norm_epsilon)
