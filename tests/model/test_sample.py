"""Sampling: reproducible, greedy where asked, and the same with and without the cache's restarts."""

import pytest
import torch

from libertas.errors import UsageError
from libertas.model.config import ModelConfig
from libertas.model.sample import sample
from libertas.model.transformer import Model

SHAPE = ModelConfig(vocabulary=50, width=32, layers=2, heads=2, context=16, window=8)


def lively() -> Model:
    model = Model(SHAPE, seed=1).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0)
    return model


def test_greedy_sampling_takes_the_likeliest_token_each_time() -> None:
    model, tokens = lively(), [3, 1, 4]
    added, scores = sample(model, tokens, 8, temperature=0)
    for token, score in zip(added, scores, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([tokens]))[0, -1]
        assert token == int(logits.argmax())
        assert score == pytest.approx(float(logits.log_softmax(-1)[token]), abs=1e-4)
        tokens = [*tokens, token]


def test_equal_seeds_give_equal_texts_and_others_differ() -> None:
    model = lively()
    first, _ = sample(model, [1], 12, seed=5, temperature=1.5)
    assert first == sample(model, [1], 12, seed=5, temperature=1.5)[0]
    assert first != sample(model, [1], 12, seed=6, temperature=1.5)[0]


def test_a_text_longer_than_the_context_goes_on() -> None:
    added, scores = sample(lively(), list(range(40)), 40, temperature=1.0)
    assert len(added) == len(scores) == 40


def test_a_tiny_top_p_is_greedy() -> None:
    model = lively()
    assert sample(model, [2], 10, temperature=1.0, top_p=1e-6)[0] == sample(model, [2], 10, temperature=0)[0]


def test_the_stop_token_ends_the_text_and_is_left_out() -> None:
    model = lively()
    added, _ = sample(model, [2], 10, temperature=0)
    stopped, _ = sample(model, [2], 10, temperature=0, stop=added[3])
    assert stopped == added[: added.index(added[3])]


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(UsageError, match="no tokens"):
        sample(lively(), [], 3)
