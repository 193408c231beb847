"""Cross-entropy of the next token, in chunks: logits of a few rows at a time, and their gradient at once.

The logits of a batch are its largest tensor by far, and the plain formula keeps three of them. Here a chunk's logits
become its probabilities and then its gradient in the same memory, which the processor's cache holds; they are computed
once. What stays is as large as the hidden state and the unembedding.

Shapes: N rows (tokens), D width, V vocabulary.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from libertas.model.linear import outer_product, product

CHUNK_NUMBERS = {"cpu": 2**22, "cuda": 2**28}
"""Logits that are computed together: 16 MB in float32, about what stays in a processor's third-level cache; on a GPU
1 GB, enough to keep it busy."""
SMALLEST_CHUNK = 64
"""Fewest rows of a chunk, so that large vocabularies are multiplied by matrices and not by vectors."""


class Losses(NamedTuple):
    """The loss of a part of a batch."""

    total: Float[Tensor, ""]
    """Sum over the rows of weight * (loss + z-loss); it has a gradient."""
    each: Float[Tensor, " rows"]
    """Negative natural-log probability of each target, without weights, z-loss and gradient."""


def chunked_cross_entropy(
    hidden: Float[Tensor, "rows width"],
    weight: Float[Tensor, "vocabulary width"],
    bias: Float[Tensor, " vocabulary"] | None,
    targets: Int[Tensor, " rows"],
    weights: Float[Tensor, " rows"],
    z_loss: float = 0.0,
    rows: int | None = None,
) -> Losses:
    """The loss of predicting targets by the logits `hidden @ weight.T + bias`.

    Args:
        hidden: the model's hidden state; logits are multiplied in its precision.
        weight: the unembedding.
        bias: of the logits; None for none.
        targets: the tokens to predict.
        weights: how much each row counts in `total`.
        z_loss: weight of the squared logarithm of the softmax's denominator (Chowdhery et al. 2022: 1e-4).
        rows: rows of a chunk; None: as many as `CHUNK_NUMBERS` allow.
    """
    rows = rows or max(SMALLEST_CHUNK, CHUNK_NUMBERS.get(hidden.device.type, 2**22) // len(weight))
    parts = _ChunkedCrossEntropy.apply(hidden, weight, bias, targets, weights, z_loss, rows)  # type: ignore[no-untyped-call]
    return Losses(*parts)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        weights: Tensor,
        z_loss: float,
        rows: int,
    ) -> tuple[Tensor, Tensor]:
        of_hidden, of_weight, of_bias = ctx.needs_input_grad[:3]
        matrix, wide = weight.to(hidden.dtype), torch.promote_types(hidden.dtype, torch.float32)
        weights = weights.to(wide)
        by_hidden = torch.empty_like(hidden) if of_hidden else None
        by_weight: Tensor | None = None
        by_bias = torch.zeros_like(bias) if of_bias and bias is not None else None
        each, logsumexp = (hidden.new_empty(len(hidden), dtype=wide) for _ in range(2))
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            logits = product(hidden[part], matrix, None if bias is None else bias.to(hidden.dtype)).to(wide)
            target = targets[part, None]
            highest, wanted = logits.amax(-1), logits.gather(1, target).squeeze(1)
            slopes = torch.softmax(logits, -1, out=logits)
            torch.sub(highest, slopes.amax(-1).log_(), out=logsumexp[part])
            torch.sub(logsumexp[part], wanted, out=each[part])
            if not any(ctx.needs_input_grad):
                continue
            slopes *= (weights[part] * (1 + 2 * z_loss * logsumexp[part])).unsqueeze(1)
            slopes.scatter_add_(1, target, -weights[part].unsqueeze(1))
            if by_bias is not None:
                by_bias += slopes.sum(0)
            slopes = slopes.to(hidden.dtype)
            if by_hidden is not None:
                by_hidden[part] = product(slopes, matrix.t())
            if of_weight:
                more = outer_product(slopes, hidden[part]).to(weight.dtype)
                by_weight = more if by_weight is None else by_weight.add_(more)
        ctx.save_for_backward(by_hidden, by_weight, by_bias)
        ctx.mark_non_differentiable(each)
        return ((each + z_loss * logsumexp.square()) * weights).sum(), each

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return *(None if slopes is None else slopes * gradients[0] for slopes in ctx.saved_tensors), *[None] * 4
