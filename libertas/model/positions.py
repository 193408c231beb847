"""Where a token stands: turned queries and keys (rotary), biases on distance (ALiBi), added waves (sinusoidal).

Shapes: B batch, T time, H heads, K head width, R numbers of a head that turn (R <= K).
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from libertas.model.config import ModelConfig

Turns = tuple[Tensor, Tensor]
"""Cosines and sines of the angles by which rotary positions turn, each of shape (T, R / 2) or (B, T, R / 2)."""


def turns(config: ModelConfig, positions: Int[Tensor, "*batch time"]) -> Turns:
    """The angles at some positions: pair r turns by position * base^(-2r / R) (Su et al. 2021, section 3.2.2).

    They are computed in float32 whatever the weights are: at base 10,000 a position of 2,000 has no meaning in bf16.
    """
    pairs = torch.arange(0, config.rotary_width, 2, dtype=torch.float32, device=positions.device)
    frequencies = 1.0 / config.rotary_base ** (pairs / config.rotary_width)
    angles = positions.float().unsqueeze(-1) * frequencies
    return angles.cos(), angles.sin()


def turned(x_BHTK: Float[Tensor, "batch heads time k"], by: Turns, pairs: str) -> Float[Tensor, "batch heads time k"]:
    """Queries or keys with their first R numbers turned; the rest stays.

    `halves` pairs number r with r + R/2 (GPT-NeoX, Llama), `neighbours` 2r with 2r + 1 (GPT-J); the two differ by a
    permutation, which is why weights of one do not work with the other.
    """
    cos, sin = (t if t.ndim == 2 else t[:, None] for t in by)  # over the heads
    width = 2 * cos.shape[-1]
    moving, still = x_BHTK[..., :width], x_BHTK[..., width:]
    if pairs == "halves":
        first, second = moving.chunk(2, dim=-1)
        moved = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    else:
        first, second = moving[..., 0::2], moving[..., 1::2]
        moved = torch.stack([first * cos - second * sin, second * cos + first * sin], dim=-1).flatten(-2)
    return torch.cat([moved.to(x_BHTK.dtype), still], dim=-1) if still.shape[-1] else moved.to(x_BHTK.dtype)


def slopes(heads: int) -> Float[Tensor, " heads"]:
    """How steeply each head's attention falls with distance: 2^(-8h / H) for H a power of two (Press et al. 2022).

    For other numbers the published code takes those of the next smaller power of two, and every other one of the next
    larger.
    """
    lower = 2 ** math.floor(math.log2(heads))
    steps = [8 / lower * h for h in range(1, lower + 1)]
    steps += [8 / (2 * lower) * h for h in range(1, 2 * (heads - lower), 2)]
    return torch.tensor([2.0**-s for s in steps])


def waves(positions: Int[Tensor, " time"], width: int) -> Float[Tensor, "time width"]:
    """Sines in the first half of the width, cosines in the second (Vaswani et al. 2017, in tensor2tensor's layout)."""
    frequencies = 10_000.0 ** -(torch.arange(width // 2, dtype=torch.float32, device=positions.device) / (width // 2))
    angles = positions.float()[:, None] * frequencies
    result = torch.cat([angles.sin(), angles.cos()], dim=-1)
    return torch.nn.functional.pad(result, (0, width - result.shape[-1]))
