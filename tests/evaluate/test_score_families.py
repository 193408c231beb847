"""In double precision the scores of a trie are those of each text alone, for every architecture that has a name."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_trie import tree_of_texts

from libertas.evaluate import score as scoring
from libertas.evaluate.score import Request, score
from libertas.model.sizes import SIZES
from libertas.model.transformer import Model

NAMED = (
    "gpt2", "gpt-neo-125m", "gpt-j-6b", "pythia-70m", "bloom-560m", "santacoder-1.1b", "llama-7b", "smollm2-135m",
    "modern-125m", "modern-350m", "tiny-experts", "tiny-linear",
)  # fmt: skip
OTHERS = {
    "sinusoidal": {"positions": "sinusoidal"},
    "axial": {"positions": "axial", "axial_columns": 8},
    "a narrow window and alibi": {"positions": "alibi", "window": 7},
    "bias of the logits": {"tied": False, "logits_bias": True},
}
FAMILIES = [*NAMED, *OTHERS]


def shrunk(name: str) -> Model:
    """The architecture with two layers and few numbers, and weights that make a difference."""
    shape = replace(SIZES["tiny"], **OTHERS[name]) if name in OTHERS else SIZES[name]
    few = 2 if shape.key_heads and shape.key_heads > 1 else shape.key_heads
    sizes = {"vocabulary": 40, "width": 32, "layers": 2, "heads": 4, "context": 96, "hidden": 48, "head_width": None}
    model = Model(replace(shape, **sizes, key_heads=few, window=min(shape.window, 20)), seed=1).double().eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.double)
    return model


def alone(model: Model, request: Request) -> np.ndarray:
    tokens = torch.tensor([request.tokens])
    with torch.no_grad():
        logits = model(tokens[:, :-1]).log_softmax(-1)
    return logits[0].gather(1, tokens[0, 1:, None])[-request.scored :, 0].numpy()


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 300))
def test_scores_of_a_trie_are_those_of_each_text_alone_within_a_billionth(name: str, seed: int, row: int) -> None:
    model, generator = shrunk(name), np.random.default_rng(seed)
    texts = [t for t in tree_of_texts(seed, count=12) if len(t) > 1]
    requests = [Request(t, int(generator.integers(1, len(t)))) for t in texts]
    for request, found in zip(requests, score(model, requests, "test", row), strict=True):
        np.testing.assert_allclose(found.log_probabilities, alone(model, request), rtol=0, atol=1e-9)


@pytest.mark.parametrize("few", [1, 2, 7])
def test_scores_do_not_depend_on_how_many_positions_are_unembedded_at_once(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = shrunk("pythia-70m")
    requests = [Request(t, len(t) - 1) for t in tree_of_texts(3, count=8) if len(t) > 1]
    usual = score(model, requests, "test")
    monkeypatch.setattr(scoring, "UNEMBEDDED", few)
    for one, other in zip(usual, score(model, requests, "test"), strict=True):
        np.testing.assert_allclose(one.log_probabilities, other.log_probabilities, rtol=0, atol=1e-12)
        assert one.likeliest == other.likeliest


def test_a_text_is_likeliest_where_each_of_its_tokens_is() -> None:
    model = shrunk("gpt2")
    text = [3]
    for _ in range(5):
        with torch.no_grad():
            text.append(int(model(torch.tensor([text]))[0, -1].argmax()))
    other = (*text[:-1], (text[-1] + 1) % 40)
    found = score(model, [Request(tuple(text), 5), Request(other, 5), Request((*other, 7), 6)], "test")
    assert [one.likeliest for one in found] == [True, False, False]
