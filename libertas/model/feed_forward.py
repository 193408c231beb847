"""The feed-forward part of a block."""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from libertas.model.config import ModelConfig
from libertas.model.linear import Linear


def _squared_relu(x: Tensor) -> Tensor:
    return F.relu(x).square()


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu2": _squared_relu,
    "silu": F.silu,
}
"""By the name that `ModelConfig.activation` has for them."""


class FeedForward(nn.Module):
    """Two linear layers around an activation; where it is gated, `up` makes the gate first and then what it gates."""

    def __init__(self, config: ModelConfig) -> None:
        """Build from the model's shape."""
        super().__init__()
        self.gated, self.activation = config.gated, ACTIVATIONS[config.activation]
        width, hidden, bias = config.width, config.hidden_width, config.feed_forward_bias
        self.up = Linear(width, (1 + config.gated) * hidden, bias=bias)
        self.down = Linear(hidden, width, bias=bias)

    def forward(self, x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        """Apply to every position alone."""
        hidden = self.up(x)
        if self.gated:
            gate, value = hidden.chunk(2, dim=-1)
            hidden = self.activation(gate) * value
        else:
            hidden = self.activation(hidden)
        out: Tensor = self.down(hidden)
        return out
