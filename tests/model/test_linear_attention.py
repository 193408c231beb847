"""Linear attention against its definition, which has a table of all pairs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from libertas.model.linear_attention import EPSILON, attend_linearly, key_features, query_features


def by_definition(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, documents: torch.Tensor | None) -> torch.Tensor:
    weights = (query_features(q) @ key_features(k).transpose(-1, -2)).tril()
    if documents is not None:
        weights = weights * (documents[:, None, :, None] == documents[:, None, None, :])
    return weights @ v / (weights.sum(-1, keepdim=True) + EPSILON)


def some(length: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 3, length, 8, generator=generator, requires_grad=True) for _ in range(3)]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 200), st.integers(0, 99), st.booleans())
def test_chunks_and_sums_give_what_the_table_gives_forward_and_backward(length: int, seed: int, packed: bool) -> None:
    q, k, v = some(length, seed)
    documents = None
    if packed:
        documents = torch.randint(0, 2, (2, length), generator=torch.Generator().manual_seed(seed))
        documents = (documents * (torch.rand(2, length, generator=torch.Generator().manual_seed(seed)) < 0.1)).cumsum(1)
    ours, theirs = attend_linearly(q, k, v, documents=documents)[0], by_definition(q, k, v, documents)
    assert torch.allclose(ours, theirs, atol=1e-5)
    up = torch.randn(ours.shape, generator=torch.Generator().manual_seed(seed))
    for left, right in zip(
        torch.autograd.grad(ours, (q, k, v), up), torch.autograd.grad(theirs, (q, k, v), up), strict=True
    ):
        assert torch.allclose(left, right, atol=1e-4)


@pytest.mark.parametrize("cuts", [[1] * 9, [70, 3, 1], [5, 64, 64, 7]])
def test_sums_of_earlier_calls_are_continued(cuts: list[int]) -> None:
    q, k, v = some(sum(cuts), 1)
    documents = (torch.arange(sum(cuts)) // 6)[None].expand(2, -1)
    whole = attend_linearly(q, k, v, documents=documents)[0]
    sums, parts, start = None, [], 0
    for length in cuts:
        here = slice(start, start + length)
        part, sums = attend_linearly(q[:, :, here], k[:, :, here], v[:, :, here], sums, documents[:, here])
        parts.append(part)
        start += length
    assert torch.allclose(torch.cat(parts, dim=2), whole, atol=1e-5)


def test_memory_does_not_hold_a_product_for_every_position() -> None:
    """Tensors that are kept for the backward pass: a few T * K, not T * K * K."""
    q, k, v = (torch.randn(1, 1, 2048, 64, requires_grad=True) for _ in range(3))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        attend_linearly(q, k, v)
    assert sum(kept) < 24 * 2048 * 64
