"""Linear attention: a sum over keys and values instead of a table of all pairs (Shen et al. 2018, as in GPT-Neo).

Queries become softmax over their features, keys their exponentials; both are positive, so what a query reads is a
weighted mean of the values before it, and the weights need no table. It is computed in chunks: inside a chunk by a
small table, before it by the running sums, so that memory grows with T * K and not with T * K * K.

Shapes: B batch, H heads, T time, C a chunk's time, K head width.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = 64
"""Positions that are read at a time; at the usual head width, table and sums cost the same."""
EPSILON = 1e-6
"""Added to the sum of the weights: a query may meet only keys that are almost nothing to it."""


@dataclass(slots=True)
class Sums:
    """All that linear attention remembers of the tokens before: it does not grow with them."""

    outer: Float[Tensor, "batch heads k k"]
    """Sum of the products of keys and values."""
    keys: Float[Tensor, "batch heads k"]
    """Sum of the keys."""
    document: Int[Tensor, " batch"] | None
    """Number of the document that they are of."""


def query_features(q: Tensor) -> Tensor:
    """Softmax over the features."""
    return q.softmax(-1)


def key_features(k: Tensor) -> Tensor:
    """Exponentials; nothing is subtracted, since a maximum over time would look ahead."""
    return k.exp()


def attend_linearly(
    q: Float[Tensor, "batch heads time k"],
    k: Float[Tensor, "batch heads time k"],
    v: Float[Tensor, "batch heads time k"],
    before: Sums | None = None,
    documents: Int[Tensor, "batch time"] | None = None,
) -> tuple[Float[Tensor, "batch heads time k"], Sums]:
    """What each query reads, and the sums after the last position.

    Args:
        q: queries as they are projected.
        k: keys.
        v: values.
        before: sums of earlier calls, which these tokens continue.
        documents: number of each token's document; a query reads only from its own.
    """
    q, k = query_features(q), key_features(k)
    sums, out = before, []
    for start in range(0, q.shape[2], CHUNK):
        stop = start + CHUNK
        part = None if documents is None else documents[:, start:stop]
        mixed, sums = _chunk(q[:, :, start:stop], k[:, :, start:stop], v[:, :, start:stop], sums, part)
        out.append(mixed)
    assert sums is not None, "there are no tokens"
    return torch.cat(out, dim=2), sums


def _chunk(q: Tensor, k: Tensor, v: Tensor, before: Sums | None, documents: Tensor | None) -> tuple[Tensor, Sums]:
    weights = (q @ k.transpose(-1, -2)).tril()
    if documents is not None:
        weights = weights * (documents[:, None, :, None] == documents[:, None, None, :])
    out, total = weights @ v, weights.sum(-1)
    last = None if documents is None else documents[:, -1]
    if last is not None and documents is not None:
        k = k * (documents == last[:, None])[:, None, :, None]  # only the last document goes on
    outer, keys = k.transpose(-1, -2) @ v, k.sum(2)
    if before is not None:
        read, weight = q @ before.outer, (q @ before.keys.unsqueeze(-1)).squeeze(-1)
        if documents is not None and before.document is not None and last is not None:
            same = (documents == before.document[:, None])[:, None]
            read, weight = read * same.unsqueeze(-1), weight * same
            goes_on = (last == before.document)[:, None, None]
            outer, keys = outer + before.outer * goes_on.unsqueeze(-1), keys + before.keys * goes_on
        else:
            outer, keys = outer + before.outer, keys + before.keys
        out, total = out + read, total + weight
    return out / (total.unsqueeze(-1) + EPSILON), Sums(outer, keys, last)
