"""Sampling: reproducible, the same alone and together, and what `transformers` does to logits."""

from dataclasses import replace

import pytest
import torch

from libertas.errors import UsageError
from libertas.generate.sample import ROWS_APART, Sampling, sample
from libertas.model.config import ModelConfig
from libertas.model.transformer import Model

SHAPE = ModelConfig(vocabulary=50, width=32, layers=2, heads=2, context=16, window=8)
GREEDY = Sampling(temperature=0)


def lively(shape: ModelConfig = SHAPE) -> Model:
    model = Model(shape, seed=1).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0)
    return model


def one(model: Model, prompt: list[int], count: int, how: Sampling) -> list[int]:
    return sample(model, [prompt], count, how)[0].tokens


def test_greedy_sampling_takes_the_likeliest_token_each_time() -> None:
    model, tokens = lively(), [3, 1, 4]
    (found,) = sample(model, [tokens], 8, GREEDY, log_probabilities=True)
    for token, score in zip(found.tokens, found.log_probabilities, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([tokens]))[0, -1]
        assert token == int(logits.argmax())
        assert score == pytest.approx(float(logits.log_softmax(-1)[token]), abs=1e-4)
        tokens = [*tokens, token]


@pytest.mark.parametrize("positions", ["learned", "rotary", "alibi", "none"])
def test_texts_of_other_lengths_in_one_batch_come_out_as_if_alone(positions: str) -> None:
    model = lively(replace(SHAPE, context=64, positions=positions, key_heads=1))
    prompts = [[5], list(range(20)), [7, 8, 9], list(range(30, 41))]
    for how in (GREEDY, Sampling(temperature=1.3, top_k=9, seed=4)):
        together = sample(model, prompts, 20, how, log_probabilities=True)
        alone = [
            sample(model, [prompt], 20, how, seeds=[(how.seed + row * ROWS_APART) % (1 << 32)], log_probabilities=True)[
                0
            ]
            for row, prompt in enumerate(prompts)
        ]
        assert [c.tokens for c in together] == [c.tokens for c in alone]
        for left, right in zip(together, alone, strict=True):
            assert left.log_probabilities == pytest.approx(right.log_probabilities, abs=1e-3)


def test_a_local_layer_keeps_no_more_than_its_window() -> None:
    model = lively(replace(SHAPE, context=64))
    cache = model.new_cache()
    tokens = torch.arange(40)[None]
    with torch.no_grad():
        steps = torch.cat([model(part, cache) for part in tokens.split([13, 1, 1, 9, 16], dim=1)], dim=1)
        assert torch.allclose(steps, model(tokens), atol=1e-4)
    assert [c.length for c in cache] == [40, 40]
    assert [part.shape[2] for part in cache[1].kept()] == [SHAPE.window] * 2


def test_equal_seeds_give_equal_texts_and_others_differ() -> None:
    model = lively()
    first = one(model, [1], 12, Sampling(seed=5, temperature=1.5))
    assert first == one(model, [1], 12, Sampling(seed=5, temperature=1.5))
    assert first != one(model, [1], 12, Sampling(seed=6, temperature=1.5))


def test_equal_prompts_of_one_batch_are_continued_differently_and_a_seed_of_its_own_makes_a_text_alone() -> None:
    model = lively()
    texts = [one.tokens for one in sample(model, [[1, 2]] * 4, 12, Sampling(temperature=1.5))]
    assert len(set(map(tuple, texts))) == 4
    together = sample(model, [[4, 4, 4], [1, 2]], 12, Sampling(temperature=1.0), seeds=[5, 77])
    alone = sample(model, [[1, 2]], 12, Sampling(temperature=1.0), seeds=[77])
    assert together[1].tokens == alone[0].tokens


def test_a_text_longer_than_the_context_goes_on() -> None:
    (found,) = sample(lively(), [list(range(40))], 40, Sampling(temperature=1.0), log_probabilities=True)
    assert len(found.tokens) == len(found.log_probabilities) == 40


@pytest.mark.parametrize("how", [{"top_p": 1e-6}, {"top_k": 1}, {"min_p": 1.0}])
def test_each_way_to_leave_tokens_out_is_greedy_at_its_end(how: dict) -> None:
    model = lively()
    assert one(model, [2], 10, Sampling(temperature=1.0, **how)) == one(model, [2], 10, GREEDY)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"top_k": 5, "top_p": 1.0}, ("TopKLogitsWarper", {"top_k": 5})),
        ({"top_p": 0.7}, ("TopPLogitsWarper", {"top_p": 0.7})),
        ({"min_p": 0.2, "top_p": 1.0}, ("MinPLogitsWarper", {"min_p": 0.2})),
        ({"repetition_penalty": 1.7, "top_p": 1.0}, ("RepetitionPenaltyLogitsProcessor", {"penalty": 1.7})),
    ],
)
def test_the_tokens_that_may_come_are_those_of_transformers(ours: dict, theirs: tuple[str, dict]) -> None:
    transformers = pytest.importorskip("transformers")
    model, prompt = lively(), [3, 1, 4, 1]
    name, settings = theirs
    with torch.no_grad():
        logits = model(torch.tensor([prompt]))[:, -1]
    expected = getattr(transformers, name)(**settings)(torch.tensor([prompt]), logits).softmax(-1)[0]
    draws = torch.zeros(50)
    for seed in range(400):
        draws[one(model, prompt, 1, Sampling(temperature=1.0, seed=seed, **ours))[0]] += 1
    assert not draws[expected == 0].any()
    assert draws[expected > 0.05].all()
    assert float((draws / 400 - expected).abs().max()) < 0.12


def test_the_end_token_ends_the_text_and_is_left_out() -> None:
    model = lively()
    added = one(model, [2], 10, GREEDY)
    (stopped,) = sample(model, [[2]], 10, GREEDY, end=added[3])
    assert stopped.tokens == added[: added.index(added[3])]
    assert stopped.ended
    (told,) = sample(model, [[2]], 10, GREEDY, stop=lambda tokens: len(tokens) == 4)
    assert told.tokens == added[:4]


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(UsageError, match="no tokens"):
        sample(lively(), [[1], []], 3)
