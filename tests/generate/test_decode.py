"""Decoding by the native kernel: what the reference computes, token for token, whatever the shape and the company."""

from array import array
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import libertas.kernel as kernel
from libertas.generate.decode import native_step
from libertas.generate.sample import Sampling, sample
from libertas.model.config import ModelConfig
from libertas.model.transformer import Model

compiled = pytest.mark.skipif(kernel.native is None, reason="the kernel was not compiled")

SHAPE = ModelConfig(
    vocabulary=101, width=40, layers=3, heads=4, context=48, window=7, head_width=20, axial_columns=8, tied=False
)
SHAPES: dict[str, dict[str, Any]] = {
    "gpt-neo": {},
    "neox": {
        "positions": "rotary", "rotary_share": 0.5, "residual": "parallel", "activation": "gelu", "qkv_bias": True,
    },
    "gpt-j": {
        "positions": "rotary", "rotary_pairs": "neighbours", "residual": "parallel, one norm", "logits_bias": True,
    },
    "bloom": {"positions": "alibi", "embedding_norm": True, "tied": True, "attention_scale": None},
    "santacoder": {"key_heads": 1, "attention": ("global",)},
    "modern": {
        "positions": "rotary", "key_heads": 2, "norm": "rms", "gated": True, "activation": "silu",
        "query_key_norm": True, "out_bias": False, "feed_forward_bias": False, "sinks": True,
    },
    "axial": {"positions": "axial", "activation": "relu2", "gated": True},
    "waves": {"positions": "sinusoidal", "hidden": 33},
    "none": {"positions": "none", "attention": ("local",), "window": 1},
}  # fmt: skip
GREEDY = Sampling(temperature=0)


def lively(**changes: Any) -> Model:
    model = Model(replace(SHAPE, **changes), seed=1).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


def decoded(model: Model, tokens: Tensor, starts: list[int], read: int) -> Tensor:
    """Logits of the kernel's steps behind the first `read` tokens, stacked."""
    cache = model.new_cache()
    with torch.no_grad():
        model.hidden(tokens[:, :read], cache, documents_of(starts, read))
        step = native_step(model, cache, starts)
        assert step is not None
        return torch.stack([step(column.tolist()) for column in tokens[:, read:].T], dim=1)


def documents_of(starts: list[int], length: int) -> Tensor | None:
    return (torch.arange(length) >= torch.tensor(starts)[:, None]).long() if any(starts) else None


@compiled
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("starts", [[0], [0, 3, 8, 1, 0, 9, 2]], ids=["alone", "padded"])
def test_logits_are_those_of_one_pass_over_the_whole_text(name: str, starts: list[int]) -> None:
    model = lively(**SHAPES[name])
    tokens = torch.randint(0, 101, (len(starts), 40), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = model(tokens, documents=documents_of(starts, 40))[:, 10:]
    assert torch.allclose(decoded(model, tokens, starts, 10), expected, atol=2e-5 * float(expected.abs().max()))


@compiled
@pytest.mark.parametrize("name", SHAPES)
def test_texts_are_those_of_the_reference_token_for_token_and_beyond_the_context(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, prompts = lively(**SHAPES[name]), [[5], list(range(20)), [7, 8, 9]]
    for how in (GREEDY, Sampling(temperature=1.2, seed=4, repetition_penalty=1.3)):
        monkeypatch.setattr(kernel, "native", kernel.native)
        by_kernel = sample(model, prompts, 60, how, log_probabilities=True)
        with monkeypatch.context() as patch:
            patch.setattr(kernel, "native", None)
            by_torch = sample(model, prompts, 60, how, log_probabilities=True)
        assert [c.tokens for c in by_kernel] == [c.tokens for c in by_torch]
        for left, right in zip(by_kernel, by_torch, strict=True):
            assert left.log_probabilities == pytest.approx(right.log_probabilities, abs=1e-3)


def test_cached_greedy_texts_are_those_of_reading_everything_again() -> None:
    model, text = lively(positions="rotary"), [3, 1, 4]
    cached = sample(model, [text], 40, GREEDY)[0].tokens
    with torch.no_grad():
        for _ in range(40):
            text = [*text, int(model(torch.tensor([text]))[0, -1].argmax())]
    assert cached == text[3:]


@compiled
def test_logits_are_the_same_bits_for_any_number_of_threads_and_beside_other_texts() -> None:
    model = lively(width=512, layers=2, vocabulary=2048, context=32)  # large enough for several threads
    tokens = torch.randint(0, 2048, (5, 20), generator=torch.Generator().manual_seed(3))
    cache = model.new_cache()
    with torch.no_grad():
        model.hidden(tokens[:, :8], cache)

    def by(threads: int, rows: list[int]) -> Tensor:
        held = model.new_cache()
        for layer, whole in zip(held, cache, strict=True):
            layer.extend(*(part[rows, :, :8].clone() for part in whole.kept()))
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with torch.no_grad():
                step = native_step(model, held, [0] * len(rows))
                assert step is not None
                return torch.stack([step(column.tolist()) for column in tokens[rows, 8:].T])
        finally:
            torch.set_num_threads(before)

    together = by(3, [0, 1, 2, 3, 4])
    assert torch.equal(together, by(1, [0, 1, 2, 3, 4]))
    assert torch.equal(together[:, 3:4], by(2, [3]))


@compiled
def test_a_model_with_parts_that_the_kernel_does_not_know_is_left_to_torch() -> None:
    def step_of(model: Model, rows: int = 1) -> object:
        cache = model.new_cache()
        with torch.no_grad():
            model.hidden(torch.zeros(rows, 1, dtype=torch.long), cache)
        return native_step(model, cache, [0] * rows)

    plain = lively()
    assert step_of(plain) is not None
    assert step_of(plain, 100) is None
    hook = plain.blocks[1].register_forward_hook(lambda *_: None)
    assert step_of(plain) is None
    hook.remove()
    assert step_of(plain.double()) is None
    assert step_of(lively(attention=("linear",))) is None
    assert step_of(lively(experts=2, feed_forward_bias=False)) is None


@compiled
def test_arrays_of_another_size_than_the_shape_says_are_refused() -> None:
    model = lively(positions="none")
    cache = model.new_cache()
    with torch.no_grad():
        model.hidden(torch.tensor([[1, 2]]), cache)
        step = native_step(model, cache, [0])
        assert step is not None
        cache[0].length = SHAPE.context
        with pytest.raises(ValueError, match="another shape"):
            step([1])
        cache[0].length = 2
        with pytest.raises(ValueError, match="another shape"):
            step([1, 2])
        with pytest.raises(ValueError, match="expected"):
            kernel.native.decode_step(*short(model))  # type: ignore[union-attr]


def short(model: Model) -> tuple[Any, ...]:
    """Arguments whose first weight is too short."""
    c = model.config
    shape = (1, 0, 1, c.width, 1, c.heads, c.groups, c.key_width, c.hidden_width, c.vocabulary, c.context, *[0] * 6)
    weights: list[Any] = [bytes(4 * c.width - 4), *[None] * 21]
    x, logits = bytearray(4 * c.width), bytearray(4 * c.vocabulary)
    return array("q", shape), 1e-5, 1.0, array("q", [1]), weights, [None, None], array("q", [0]), x, logits
