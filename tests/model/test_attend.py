"""Every way to attend equals the definition, forward and backward, whatever is asked of it."""

import sys
import types
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from libertas.errors import UsageError
from libertas.model import attend as attending
from libertas.model.attend import attend, visible
from libertas.model.positions import slopes

HEADS = 4


def made(queries: int, keys: int, groups: int, seed: int, batch: int = 2) -> list[Tensor]:
    """Queries, keys and values in float64."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(batch, HEADS, queries, 8), (batch, groups, keys, 8), (batch, groups, keys, 8)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]


def packed(keys: int, seed: int, batch: int = 2) -> Tensor:
    """Document numbers with a few boundaries, other ones in each row."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(batch, keys, generator=generator) < 3 / keys).cumsum(1)


def by_loops(q: Tensor, k: Tensor, v: Tensor, window: int | None, scale: float, **extra: Any) -> Tensor:
    """Query by query, key by key."""
    documents, fall, sinks = (extra.get(name) for name in ("documents", "fall", "sinks"))
    out = torch.zeros_like(q)
    earlier = k.shape[2] - q.shape[2]
    for b, h, t in torch.cartesian_prod(*(torch.arange(n) for n in q.shape[:3])).tolist():
        group = h // (q.shape[1] // k.shape[1])
        total = torch.zeros((), dtype=q.dtype) if sinks is None else sinks[h].to(q.dtype).exp()
        for s in range(k.shape[2]):
            distance = t + earlier - s
            if distance < 0 or (window is not None and distance >= window):
                continue
            if documents is not None and documents[b, s] != documents[b, t + earlier]:
                continue
            weight = (scale * q[b, h, t] @ k[b, group, s] - (0 if fall is None else fall[h] * distance)).exp()
            out[b, h, t] += weight * v[b, group, s]
            total = total + weight
        out[b, h, t] /= total
    return out


def extras(with_documents: bool, falls: bool, sinks: bool, keys: int, seed: int) -> dict[str, Any]:
    return {
        "documents": packed(keys, seed) if with_documents else None,
        "fall": slopes(HEADS) if falls else None,
        "sinks": torch.tensor([0.5, -1.0, 2.0, 0.0], requires_grad=True) if sinks else None,
    }


@pytest.mark.parametrize("window", [None, 1, 3, 7, 9])
@pytest.mark.parametrize("asked", [(False, False, False), (True, True, True)])
def test_the_reference_is_the_definition(window: int | None, asked: tuple[bool, bool, bool]) -> None:
    q, k, v = (part.detach() for part in made(5, 7, 2, 0))
    extra = extras(*asked, keys=7, seed=1)
    found = attend(q, k, v, window, 0.3, **extra, how="reference")
    assert found.dtype == torch.float64
    assert torch.allclose(found, by_loops(q, k, v, window, 0.3, **extra), atol=1e-12)


@settings(deadline=None, max_examples=80)
@given(
    st.integers(1, 300),
    st.integers(0, 200),
    st.one_of(st.none(), st.integers(1, 400), st.sampled_from([64, 128, 256])),
    st.sampled_from([1, 2, 4]),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.sampled_from(["sdpa", "blocks", "auto"]),
)
def test_every_way_equals_the_reference_forward_and_backward(
    queries: int, earlier: int, window: int | None, groups: int, asked: tuple[bool, bool, bool], how: str
) -> None:
    keys = queries + earlier
    inputs = made(queries, keys, groups, seed=keys)
    extra = extras(*asked, keys=keys, seed=queries)
    up = torch.randn(2, HEADS, queries, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    wanted = [*inputs, *([extra["sinks"]] if asked[2] else [])]
    found, expected = (attend(*inputs, window, 0.3, **extra, how=way) for way in (how, "reference"))
    assert torch.allclose(found, expected, atol=1e-10)
    for ours, theirs in zip(
        torch.autograd.grad(found, wanted, up), torch.autograd.grad(expected, wanted, up), strict=True
    ):
        assert torch.allclose(ours, theirs, atol=1e-5 if ours.dtype == torch.float32 else 1e-9)


@pytest.mark.parametrize("length", [255, 256, 257, 300, 512, 517, 1030])
@pytest.mark.parametrize("window", [64, 256, 300])
def test_blocks_equal_the_reference_in_single_precision_at_usual_lengths(length: int, window: int) -> None:
    inputs = [part.float().detach().requires_grad_() for part in made(length, length, HEADS, 3, batch=1)]
    documents = packed(length, 4, batch=1)
    found, expected = (attend(*inputs, window, 0.3, documents, how=way) for way in ("blocks", "reference"))
    assert torch.allclose(found, expected, atol=1e-5)
    for ours, theirs in zip(
        torch.autograd.grad(found.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, atol=1e-4)


def test_the_fall_of_alibi_can_be_learned_in_blocks() -> None:
    inputs, fall = made(150, 150, HEADS, 0), slopes(HEADS).double().requires_grad_()
    ours, theirs = (
        torch.autograd.grad(attend(*inputs, 40, 0.3, fall=fall, how=way).square().sum(), fall)[0]
        for way in ("blocks", "reference")
    )
    assert torch.allclose(ours, theirs)


def test_memory_of_local_attention_grows_with_the_window_and_not_with_the_length() -> None:
    q, k, v = (torch.randn(1, 2, 4096, 8, requires_grad=True) for _ in range(3))
    kept: dict[int, int] = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.__setitem__(t.untyped_storage().data_ptr(), t.untyped_storage().nbytes() // 4) or t, lambda t: t
    ):
        attend(q, k, v, 64, documents=packed(4096, 0, batch=1), sinks=torch.zeros(2))
    assert sum(kept.values()) < 2 * 4096 * 64 * 8


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize(
    ("window", "earlier", "asked"),
    [(5, 0, (False, False, False)), (None, 20, (True, False, True)), (200, 20, (True, True, True))],
)
def test_flex_attention_equals_the_reference_forward(
    window: int | None, earlier: int, asked: tuple[bool, bool, bool]
) -> None:
    q, k, v = (part.detach().float() for part in made(130, 130 + earlier, 2, 0))
    extra = {n: None if e is None else e.detach() for n, e in extras(*asked, keys=130 + earlier, seed=2).items()}
    found, expected = (attend(q, k, v, window, 0.3, **extra, how=way) for way in ("flex", "reference"))
    assert torch.allclose(found, expected, atol=1e-5)


def test_flash_attn_is_asked_for_the_same_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    def flash_attn_func(q: Tensor, k: Tensor, v: Tensor, **asked: Any) -> Tensor:
        assert asked["causal"] is True
        left, right = asked["window_size"]
        assert (left, right) == (-1, -1) or right == 0
        parts = (part.transpose(1, 2) for part in (q, k, v))
        window = None if left < 0 else left + 1
        return by_loops(*parts, window, asked["softmax_scale"], fall=asked["alibi_slopes"]).transpose(1, 2)

    module: Any = types.ModuleType("flash_attn")
    module.flash_attn_func, module.__spec__ = flash_attn_func, types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "flash_attn", module)
    q, k, v = (part.detach() for part in made(5, 9, 2, 0))
    for window in (None, 3):
        for fall in (None, slopes(HEADS)):
            found, expected = (attend(q, k, v, window, 0.3, fall=fall, how=way) for way in ("flash", "reference"))
            assert torch.allclose(found, expected, atol=1e-12)
    with pytest.raises(UsageError, match="no documents"):
        attend(q, k, v, documents=packed(9, 0), how="flash")


@pytest.mark.parametrize("there", [False, True])
def test_a_gpu_takes_flash_attn_for_plain_windows_and_flex_for_what_it_cannot_do(
    there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attending, "find_spec", lambda _: object() if there else None)

    def choice(dtype: torch.dtype, length: int, window: int | None, sinks: Tensor | None, head: int = 64) -> str:
        return attending._fastest(True, dtype, length, head, attending._Rule(window, 1.0, None, None, sinks))

    half, sinks = torch.bfloat16, torch.zeros(4)
    assert choice(half, 1024, 256, None) == ("flash" if there else "flex")
    assert choice(half, 1024, 256, None, head=512) == "flex"
    assert choice(half, 1024, 256, sinks) == "flex"
    assert choice(torch.float32, 1024, 256, None) == "flex"
    assert choice(half, 1024, None, None) == "blocks"  # nothing but the order hides a key: torch's own FlashAttention
    assert choice(torch.float32, 1, 256, sinks) == "blocks"
    assert attending._fastest(False, half, 1024, 64, attending._Rule(256, 1.0, None, None, sinks)) == "blocks"


def test_ways_that_are_not_there_are_refused() -> None:
    q, k, v = made(3, 3, 4, 0)
    with pytest.raises(UsageError, match="how is 'fast'; expected one of auto, reference"):
        attend(q, k, v, how="fast")
    with pytest.raises(UsageError, match="expected flash-attn installed"):
        attend(q, k, v, how="flash")


def test_a_window_counts_the_query_itself() -> None:
    assert visible(3, 4, 2).tolist() == [
        [True, True, False, False],
        [False, True, True, False],
        [False, False, True, True],
    ]
