import numpy as np
import pytest
import torch

from libertas.evaluate.score import Request, fit, score


def alone(model, tokens):
    """Log-probability of each token but the first, from one plain forward pass."""
    with torch.no_grad():
        logits = model(torch.tensor([tokens[:-1]]))[0].log_softmax(-1)
    return np.array([float(logits[i, t]) for i, t in enumerate(tokens[1:])])


def test_batches_give_what_each_sequence_gives_alone_whatever_its_neighbours(model):
    generator = np.random.default_rng(0)
    sequences = [tuple(generator.integers(0, 300, n).tolist()) for n in (2, 65, 3, 40, 41, 17, 64, 40)]
    scored = [1, 64, 2, 5, 40, 1, 3, 39]
    found = score(model, [Request(s, k) for s, k in zip(sequences, scored, strict=True)], "test")
    for sequence, k, scores in zip(sequences, scored, found, strict=True):
        assert scores.log_probabilities == pytest.approx(alone(model, sequence)[-k:], abs=1e-4)


def test_requests_that_read_the_same_tokens_share_the_pass_and_keep_their_own_answer(model, monkeypatch):
    passes = []
    hidden = model.hidden
    monkeypatch.setattr(model, "hidden", lambda *a, **k: passes.append(a[0].shape) or hidden(*a, **k))
    question = (0, 7, 8, 9)
    found = score(model, [Request((*question, letter), 1) for letter in (20, 21, 22, 23)], "test")
    assert passes == [torch.Size([1, 4])]
    monkeypatch.undo()
    assert [f.total for f in found] == pytest.approx([alone(model, (*question, x))[-1] for x in (20, 21, 22, 23)])


def test_what_does_not_fit_loses_tokens_at_the_left_and_says_so():
    assert fit(range(10), 3, context=9) == (Request(tuple(range(10)), 3), False)
    assert fit(range(10), 3, context=5) == (Request((4, 5, 6, 7, 8, 9), 3), True)
    assert fit(range(10), 8, context=5) == (Request((4, 5, 6, 7, 8, 9), 5), True)
