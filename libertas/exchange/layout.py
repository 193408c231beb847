"""How one of our tensors is spelled by others: transposed, in several pieces, or with heads in another order.

Ours holds queries, keys and values in one matrix, all heads of each together; and gate before value.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from libertas.model.config import ModelConfig
from libertas.model.t5 import T5Config

SAME, TRANSPOSED, JOINED, PER_HEAD = "same", "transposed", "joined", "per head"
"""The layouts: as ours; input x output (GPT-2's Conv1D); pieces to be put one below the other; one block of rows per
head with its query, key and value (GPT-NeoX, BLOOM)."""


def to_ours(layout: str, parts: Sequence[Tensor], config: ModelConfig | T5Config) -> Tensor:
    """Our tensor from theirs."""
    if layout == JOINED:
        return torch.cat(list(parts), dim=0)
    (tensor,) = parts
    if layout == TRANSPOSED and tensor.ndim == 2:
        return tensor.T
    if layout == PER_HEAD:
        return tensor.view(config.heads, 3, config.key_width, *tensor.shape[1:]).transpose(0, 1).flatten(0, 2)
    return tensor


def to_theirs(layout: str, tensor: Tensor, config: ModelConfig | T5Config, pieces: int) -> list[Tensor]:
    """The inverse of `to_ours`; `pieces` is how many theirs are."""
    if layout == JOINED:
        inner, each = config.heads * config.key_width, config.groups * config.key_width
        sizes = [inner, each, each] if pieces == 3 else [tensor.shape[0] // pieces] * pieces
        return list(torch.split(tensor, sizes, dim=0))
    if layout == TRANSPOSED and tensor.ndim == 2:
        return [tensor.T]
    if layout == PER_HEAD:
        return [tensor.view(3, config.heads, config.key_width, *tensor.shape[1:]).transpose(0, 1).flatten(0, 2)]
    return [tensor]
